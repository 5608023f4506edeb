// Package s3conn is a Vault secrets engine that keeps S3 connections and hands out credentials for them: AWS access
// keys as they are, or short-lived sessions of IAM Roles Anywhere.
package s3conn

import (
	"context"
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/renewal"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
)

// Version is what the plugin reports to Vault. A version given to "vault plugin register" has to equal it.
const Version = "v0.2.0"

const backendHelp = `
The s3conn secrets engine keeps S3 connections and hands out credentials for them.

A connection authenticates with AWS access keys, which are handed out as they are, or with IAM Roles Anywhere: an
X.509 certificate and its private key, which never leave Vault, obtain short-lived credentials.

  vault write s3conn/config/orders auth_type=roles_anywhere profile_arn=... role_arn=... trust_anchor_arn=... \
      session_name=orders certificate=@orders.pem private_key=@orders.key
  vault write -f s3conn/test/orders
  vault read s3conn/creds/orders
`

// backend is one mount. One process serves many, so nothing here lives in package variables.
type backend struct {
	*framework.Backend
	now      func() time.Time
	clock    session.Clock
	process  string // names this backend: the uptime of its clock means nothing in another
	obtain   obtainSession
	assume   assumeRole
	entities *entities
	costs    *costs
	sessions *sessionPool
	monitor  *monitor
	vitals   *vitalsIndex
	iam      iamOf
	rotator  *rotation.Rotator
	// statusParts add to the fields renewal and rotation of status/NAME.
	statusParts map[health.Activity]statusPart
	locks       *nameLocks
	role        nodeRole

	storage    logical.Storage // of the mount, for what no request asks for
	background context.Context // ends when Vault unloads the mount
	end        context.CancelFunc
	newIssuer  func(enroll.Settings) (enroll.Issuer, error)
	renewer    *renewal.Renewer
	jobs       *schedule.Scheduler
	search     jobSearch

	nameOnly   map[string]*framework.FieldSchema // the schema of paths that take a name and nothing else
	scopeNames map[string]*framework.FieldSchema // and of those that take a scope's name too
	rows       map[*framework.Path][]field.Row   // how requests to a path are decoded; see takes
}

// NewFactory returns what Vault calls for every mount, and at registration with an empty configuration: it does no
// I/O and starts nothing. The mounts of one factory share the budget of calls to AWS, as they share the account, and
// the bounds on what costs much.
func NewFactory() logical.Factory {
	turns, err := budget.NewGroup(time.Now, budget.DefaultRates())
	if err != nil {
		return func(context.Context, *logical.BackendConfig) (logical.Backend, error) { return nil, err }
	}
	return newFactory(time.Now, turns)
}

func newFactory(now func() time.Time, turns *budget.Group) logical.Factory {
	shared := newCosts()
	return func(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
		mount := &budget.Mount{}
		calls := &source.RolesAnywhere{Now: now, Turns: turns, Mount: mount}
		sts := &source.STS{Now: now, Turns: turns, Mount: mount}
		b := newBackend(now, calls.Obtain, sts.Obtain)
		calls.Observe, sts.Observe, b.monitor.waiting = b.monitor.called, b.monitor.called, mount.Waiting
		b.costs = shared
		b.iam = func(conn *connection.Connection) rotation.IAM {
			return &source.AccessKeys{Conn: conn, Now: now, Turns: turns, Mount: mount, Observe: b.monitor.called}
		}
		if err := b.Setup(ctx, config); err != nil {
			return nil, err
		}
		return b, nil
	}
}

func newBackend(now func() time.Time, obtain obtainSession, assume assumeRole) *backend {
	b := &backend{now: now, clock: session.NewClock(now), process: rand.Text(),
		obtain: obtain, assume: assume, locks: newNameLocks(), costs: newCosts()}
	b.background, b.end = context.WithCancel(context.Background())
	b.jobs = b.newJobs()
	b.newIssuer = enroll.New
	b.renewer = b.newRenewer()
	b.rows = map[*framework.Path][]field.Row{}
	b.nameOnly = map[string]*framework.FieldSchema{"name": connectionNameSchema()}
	b.scopeNames = map[string]*framework.FieldSchema{"name": connectionNameSchema(), "scope": scopeNameSchema()}
	b.entities = newEntities(now, func(id string) (*logical.Entity, error) { return b.System().EntityInfo(id) })
	b.Backend = &framework.Backend{
		Help:           strings.TrimSpace(backendHelp),
		BackendType:    logical.TypeLogical,
		RunningVersion: Version,
		PathsSpecial: &logical.Paths{
			SealWrapStorage: []string{configPrefix, sessionPrefix, scopePrefix, identityPrefix, rotationPrefix,
				leftPrefix}},
		Paths: framework.PathAppend(
			b.configPaths(),
			b.scopePaths(),
			b.credsPaths(),
			b.sdkPaths(),
			b.presignPaths(),
			[]*framework.Path{b.rotatePath()},
			b.testPaths(),
			[]*framework.Path{b.testScopePath()},
			b.statusPaths(),
			b.metricsPaths(),
			b.identityPaths(),
		),
		Secrets:    []*framework.Secret{b.sessionSecret()},
		Invalidate: b.invalidate,
		Clean:      func(context.Context) { b.end(); b.sessions.Close(); b.rotator.Close(); b.monitor.close() },

		InitializeFunc: b.initialize,
		PeriodicFunc:   b.periodic,
	}
	b.role.ask = func() consts.ReplicationState { return b.System().ReplicationState() }
	b.monitor = newMonitor(now, b.Logger, eventSender{b})
	b.vitals = b.newVitalsIndex()
	b.sessions = b.newSessionPool()
	b.rotator = b.newRotator()
	b.statusParts = map[health.Activity]statusPart{health.Rotation: rotationStatus,
		health.Renewal: renewalStatus}
	return b
}

// Setup implements logical.Backend.
func (b *backend) Setup(ctx context.Context, config *logical.BackendConfig) error {
	b.storage = config.StorageView
	return b.Backend.Setup(ctx, config)
}

// invalidate is called when another node has changed what is stored under the key.
func (b *backend) invalidate(_ context.Context, key string) {
	if name, found := strings.CutPrefix(key, rotationPrefix); found {
		b.vitals.drop(name) // the key itself is the connection's
	}
	for _, prefix := range []string{configPrefix, sessionPrefix, scopePrefix, identityPrefix} {
		names, found := strings.CutPrefix(key, prefix)
		if !found {
			continue
		}
		if name, scopeName, scoped := strings.Cut(names, "/"); scoped {
			b.sessions.DropScope(name, scopeName)
		} else {
			b.drop(name)
		}
	}
}

// drop ends what is in use under the name: what is stored has changed, or may have.
func (b *backend) drop(name string) {
	b.sessions.Drop(name)
	b.vitals.drop(name)
}

// HandleRequest decodes the request's fields with errors that quote no secret before the framework sees them, and
// turns a panic into an error: Vault replays a request that killed the plugin, which would kill it again, with all
// its mounts.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (resp *logical.Response, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			resp, err = nil, b.panicked(recovered, req)
		}
	}()
	if resp, served, err := b.serveInUse(ctx, req); served {
		return resp, err
	}
	return b.Backend.HandleRequest(b.decodeRequest(ctx, req), req)
}

// serveInUse answers reads of connections that are in use; served is false for every other request. The framework
// asks Vault for its replication state at every request, to decide whether to forward it. That round trip takes as
// long as the read itself, and these reads are never forwarded. Only names that came through the framework's routing
// are in use, so its rules for names hold here too.
func (b *backend) serveInUse(ctx context.Context, req *logical.Request) (resp *logical.Response, served bool,
	err error) {
	if req.Operation != logical.ReadOperation || len(req.Data) > 0 {
		return nil, false, nil
	}
	handle, path := b.readCredentials, health.Creds
	names, found := strings.CutPrefix(req.Path, credsPrefix)
	if !found {
		handle, path = b.readSDKCredentials, health.SDK
		names, found = strings.CutPrefix(req.Path, sdkPrefix)
	}
	name, scopeName, scoped := strings.Cut(names, "/")
	if !found || scoped && scopeName == "" || !b.sessions.InUse(session.Key{Name: name, Scope: scopeName}) {
		return nil, false, nil
	}
	resp, err = handle(ctx, reader{req, path, name, scopeName})
	return resp, true, err
}

// readFor answers a read of PREFIX/NAME or PREFIX/NAME/SCOPE.
type readFor func(ctx context.Context, r reader) (*logical.Response, error)

// byNames is the framework's form of a read, whose path has a scope's name or not.
func byNames(read readFor) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
		r := reader{req: req, path: credentialsPath(req.Path), name: data.Get("name").(string)}
		if _, scoped := data.Schema["scope"]; scoped {
			r.scope = data.Get("scope").(string)
		}
		return read(ctx, r)
	}
}

// HandleExistenceCheck guards the framework's as HandleRequest does.
func (b *backend) HandleExistenceCheck(ctx context.Context, req *logical.Request) (found, exists bool, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			found, exists, err = false, false, b.panicked(recovered, req)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, maxRequestWait)
	defer cancel()
	return b.Backend.HandleExistenceCheck(b.decodeRequest(ctx, req), req)
}

// panicked logs where a request panicked. The recovered value is left out: it may quote what was being handled.
func (b *backend) panicked(_ any, req *logical.Request) error {
	b.Logger().Error("a request panicked", "operation", req.Operation, "path", req.Path, "stack", string(debug.Stack()))
	return logical.CodedError(http.StatusInternalServerError,
		"handling the request: it ended in a defect of this plugin; "+
			"the server's log says where; please report it")
}
