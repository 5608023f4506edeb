package s3conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// sessionPool holds the connections in use and their sessions.
type sessionPool = session.Pool[*inUse, logical.Storage]

// inUse is a connection, or a scope of one, as it was read from storage, and what was made from its session. It
// implements [session.Subject]. What was read never changes.
type inUse struct {
	conn           *connection.Connection
	certificateEnd connection.CertificateEnd // zero for access keys

	program  *scope.Program  // the scope; nil: the connection itself
	narrowed *scope.Rendered // the scope as sessions are obtained for it; nil: the connection itself, or templates

	record *health.Record // of the connection

	// What is made once a session. Readers get copies of the maps.
	response session.Memo[map[string]any] // of creds/NAME, with whatever ttl
	sdk      session.Memo[[]byte]         // the body of sdk/NAME
	lease    session.Memo[*logical.Secret]
}

// Revision implements session.Subject.
func (u *inUse) Revision() string {
	if u.program == nil {
		return u.conn.Revision
	}
	return revisionOf(u.conn.Revision, u.program.Revision())
}

// Permanent implements session.Subject: access keys are handed out as they are, and templates have no sessions.
func (u *inUse) Permanent() bool {
	if u.program == nil {
		return !u.conn.UsesRolesAnywhere()
	}
	return u.narrowed == nil
}

// roleARN is the role of the sessions.
func (u *inUse) roleARN() string {
	if u.narrowed == nil {
		return u.conn.RoleARN
	}
	return u.narrowed.RoleARN
}

// generatesLease says whether credentials are handed out with a lease.
func (u *inUse) generatesLease() bool {
	if u.program == nil {
		return u.conn.GenerateLease
	}
	return u.program.Settings().GenerateLease
}

// obtainSession requests one session for a connection. It blocks until the call's turn in the lane has come, then for
// upstream.Timeout at the most.
type obtainSession func(ctx context.Context, conn *connection.Connection, lane budget.Lane) (session.Session, error)

func (b *backend) newSessionPool() *sessionPool {
	return session.New(session.Config[*inUse, logical.Storage]{
		Clock:    func() session.Instant { return b.clock() },
		Loader:   connectionLoader{&b.monitor.records},
		Store:    &sessionStore{locks: b.locks, log: b.Logger},
		Source:   sessionSource{b},
		Observer: sessionWatch{b},
		ReadOnly: b.onStandby,
	})
}

// connectionLoader is the pool's Loader.
type connectionLoader struct{ records *health.Records }

// Load implements session.Loader.
func (l connectionLoader) Load(ctx context.Context, storage logical.Storage, key session.Key) (*inUse, error) {
	loaded, err := loadSubject(ctx, storage, key)
	if err != nil {
		return nil, err
	}
	loaded.record = l.records.Of(key.Name)
	return loaded, nil
}

func loadSubject(ctx context.Context, storage logical.Storage, key session.Key) (*inUse, error) {
	switch {
	case key.Variant != "":
		return loadVariant(ctx, storage, key)
	case key.Scope != "":
		return loadScoped(ctx, storage, key.Name, key.Scope)
	}
	return loadUnscoped(ctx, storage, key.Name)
}

// loadUnscoped reads a connection.
func loadUnscoped(ctx context.Context, storage logical.Storage, name string) (*inUse, error) {
	conn, err := loadConnection(ctx, storage, name)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, &missingError{name}
	}
	if err := requireCertificate(conn, name); err != nil {
		return nil, err
	}
	return newInUse(conn), nil
}

func newInUse(conn *connection.Connection) *inUse {
	used := &inUse{conn: conn}
	if conn.UsesRolesAnywhere() {
		used.certificateEnd = conn.CertificateEnd()
	}
	return used
}

// identifiedBy returns the same with the connection's new identity.
func (u *inUse) identifiedBy(conn *connection.Connection) *inUse {
	used := newInUse(conn)
	used.program, used.narrowed, used.record = u.program, u.narrowed, u.record
	return used
}

// requireCertificate returns an error that says how a connection without identity gets one.
func requireCertificate(conn *connection.Connection, name string) error {
	if !conn.UsesRolesAnywhere() || conn.Certificate != "" {
		return nil
	}
	_, err := identity.State{}.Require(name)
	return fmt.Errorf("connection %s: %w", problem.Quote(name), err)
}

// Revision implements session.Loader.
func (connectionLoader) Revision(ctx context.Context, storage logical.Storage, key session.Key) (string, error) {
	if key.Scope != "" {
		return scopedRevision(ctx, storage, key.Name, key.Scope)
	}
	conn, err := loadConfig(ctx, storage, key.Name)
	if err != nil || conn == nil {
		return "", err
	}
	return conn.Revision, nil
}

// sessionSource is the pool's Source.
type sessionSource struct{ *backend }

// Obtain implements session.Source.
func (s sessionSource) Obtain(
	ctx context.Context, r session.Request[*inUse, logical.Storage],
) (session.Session, error) {
	lanes := map[session.Reason]budget.Lane{session.First: budget.First, session.Refresh: budget.Refresh,
		session.Retry: budget.Retry}
	if r.Key.Scope != "" {
		return s.obtainScoped(ctx, r, lanes[r.Reason])
	}
	conn, err := s.withCurrentIdentity(ctx, r.Storage, r.Key.Name, r.Subject.conn)
	if err != nil {
		return session.Session{}, err
	}
	return s.obtain(ctx, conn, lanes[r.Reason])
}

// withCurrentIdentity returns the connection in use with the identity that is stored now, which changes without the
// connection's revision.
func (b *backend) withCurrentIdentity(ctx context.Context, storage logical.Storage, name string,
	used *connection.Connection) (*connection.Connection, error) {
	conn := *used
	state, err := loadIdentity(ctx, storage, name, &conn)
	if err != nil {
		return nil, err
	}
	withIdentity(&conn, state)
	return &conn, requireCertificate(&conn, name)
}

// reader is a request for credentials.
type reader struct {
	req   *logical.Request
	path  health.Path
	name  string
	scope string // empty: those of the connection itself
}

// credentialsFor returns what is in use for a reader, its key, and the credentials: the access keys, or a session with
// at least the wanted life where the session's lifetime allows that. It counts the read.
func (b *backend) credentialsFor(
	ctx context.Context, r reader, want time.Duration,
) (*inUse, session.Key, session.Session, error) {
	used, key, creds, err := b.findCredentials(ctx, r, want)
	if err != nil {
		b.monitor.metrics.ReadFailed(r.path, outcomeOfError(b.forwarded(err)))
		return nil, key, session.Session{}, err
	}
	used.record.Read(r.path)
	return used, key, creds, nil
}

func (b *backend) findCredentials(
	ctx context.Context, r reader, want time.Duration,
) (*inUse, session.Key, session.Session, error) {
	if r.scope != "" {
		return b.scopedCredentials(ctx, r, want)
	}
	key := session.Key{Name: r.name}
	used, s, err := b.sessions.GetIf(ctx, r.req.Storage, key, want, (*inUse).admitUnscoped)
	switch {
	case errors.Is(err, errUnscoped):
		err = &unscopedError{r.name}
	case err == nil && used.Permanent():
		s = ownCredentials(used.conn)
	}
	return used, key, s, err
}

var errUnscoped = errors.New("the connection hands out credentials only through its scopes")

// admitUnscoped refuses readers without a scope where the connection's configuration says so: nothing is requested for
// them.
func (u *inUse) admitUnscoped() error {
	if u.conn.AllowUnscoped {
		return nil
	}
	return errUnscoped
}
