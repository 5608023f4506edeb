package s3conn

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/testhelpers/schema"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
)

// testTime is when the certificates in rolesanywhere/testdata are valid.
var testTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// mount is a backend with its storage, as Vault would hold it.
type mount struct {
	*backend
	t       *testing.T
	clock   *clock
	source  obtainSession
	assumer assumeRole
	role    consts.ReplicationState
	storage *brokenStorage
	log     *lockedBuffer
}

func newMount(t *testing.T) *mount {
	t.Helper()
	m := &mount{t: t, clock: &clock{now: testTime}, storage: &brokenStorage{Storage: &logical.InmemStorage{}},
		log: &lockedBuffer{}}
	calls := &source.RolesAnywhere{Now: m.clock.Now, Turns: newTurns(t), Mount: &budget.Mount{}}
	calls.Observe = func(call source.Call) { m.monitor.called(call) }
	m.source = calls.Obtain
	m.start()
	t.Cleanup(func() { m.Cleanup(context.Background()) })
	return m
}

// newTurns is a budget with AWS's own rates, in real time or a bubble's.
func newTurns(t testing.TB) *budget.Group {
	t.Helper()
	turns, err := budget.NewGroup(time.Now, budget.DefaultRates())
	if err != nil {
		t.Fatalf("making a budget: %v", err)
	}
	return turns
}

// unboundedTurns is a budget that lets calls to STS and IAM through.
func unboundedTurns(t testing.TB) *budget.Group {
	t.Helper()
	rate := budget.Rate{PerSecond: 1000, Floor: 1000}
	turns, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.STS: rate, budget.IAM: rate})
	if err != nil {
		t.Fatalf("making a budget: %v", err)
	}
	return turns
}

// start puts a new backend on the mount's storage, as a restart of the plugin does.
func (m *mount) start() {
	m.t.Helper()
	now := bubbleNow
	if m.clock != nil {
		now = m.clock.Now
	}
	m.backend = newBackend(now, m.source, m.assumer)
	m.rotator.AcceptEvery = time.Millisecond
	turns := unboundedTurns(m.t)
	m.backend.iam = func(conn *connection.Connection) rotation.IAM {
		return &source.AccessKeys{Conn: conn, Now: now, Turns: turns, Mount: &budget.Mount{}}
	}
	system := logical.TestSystemView()
	system.ReplicationStateVal = m.role
	err := m.Setup(m.t.Context(), &logical.BackendConfig{
		Logger:      hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: m.log}),
		System:      system,
		StorageView: m.storage,
	})
	if err != nil {
		m.t.Fatalf("setting up the backend: %v", err)
	}
}

// do sends a request as Vault does, the existence check first, and holds a success against its schema.
func (m *mount) do(ctx context.Context, op logical.Operation, path string, data map[string]any) (*logical.Response,
	error) {
	m.t.Helper()
	req := &logical.Request{Operation: op, Path: path, Data: maps.Clone(data), Storage: m.storage,
		MountPoint: "s3conn/"}
	if op == logical.UpdateOperation {
		check := *req
		_, exists, err := m.HandleExistenceCheck(ctx, &check)
		if err != nil {
			return nil, err
		}
		if !exists && (strings.HasPrefix(path, configPrefix) || strings.HasPrefix(path, scopesPath)) {
			req.Operation = logical.CreateOperation
		}
	}
	resp, err := m.HandleRequest(ctx, req)
	if err == nil && resp != nil && !resp.IsError() {
		m.assertDeclared(path, req.Operation, resp)
	}
	return resp, err
}

// assertDeclared holds a success against what its path declares, a raw JSON body by its fields.
func (m *mount) assertDeclared(path string, op logical.Operation, resp *logical.Response) {
	m.t.Helper()
	route := m.Route(path)
	if route == nil {
		return
	}
	if body, raw := resp.Data[logical.HTTPRawBody].([]byte); raw {
		if resp.Data[logical.HTTPStatusCode] != http.StatusOK ||
			resp.Data[logical.HTTPContentType] != "application/json" {
			return
		}
		resp = &logical.Response{}
		if err := json.Unmarshal(body, &resp.Data); err != nil {
			m.t.Errorf("%s %s returns what is no JSON object: %v", op, path, err)
		}
	}
	schema.ValidateResponse(m.t, schema.GetResponseSchema(m.t, route, op), resp, true)
}

// must is do for a request that has to succeed.
func (m *mount) must(op logical.Operation, path string, data map[string]any) *logical.Response {
	m.t.Helper()
	resp, err := m.do(m.t.Context(), op, path, data)
	if err != nil {
		m.t.Fatalf("%s %s: %v", op, path, err)
	}
	if resp.IsError() {
		m.t.Fatalf("%s %s: %v", op, path, resp.Error())
	}
	return resp
}

// refused is do for a request that has to be answered with an error response, a 400; it returns the text.
func (m *mount) refused(op logical.Operation, path string, data map[string]any) string {
	m.t.Helper()
	resp, err := m.do(m.t.Context(), op, path, data)
	if err != nil {
		m.t.Fatalf("%s %s: a Go error, which Vault answers with 500: %v", op, path, err)
	}
	if !resp.IsError() {
		m.t.Fatalf("%s %s succeeded: %+v", op, path, resp)
	}
	return resp.Error().Error()
}

func (m *mount) write(name string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(logical.UpdateOperation, "config/"+name, data)
}

func (m *mount) read(path string) *logical.Response {
	m.t.Helper()
	return m.must(logical.ReadOperation, path, nil)
}

// stored is the connection's entry, byte for byte.
func (m *mount) stored(name string) string {
	m.t.Helper()
	entry, err := m.storage.Get(m.t.Context(), configPrefix+name)
	if err != nil {
		m.t.Fatalf("reading storage: %v", err)
	}
	if entry == nil {
		return ""
	}
	return string(entry.Value)
}

// storedIdentity is the entry of a connection's identity, byte for byte.
func (m *mount) storedIdentity(name string) string {
	m.t.Helper()
	entry, err := m.storage.Get(m.t.Context(), identityPrefix+name)
	if err != nil {
		m.t.Fatalf("reading storage: %v", err)
	}
	if entry == nil {
		return ""
	}
	return string(entry.Value)
}

type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// vector reads a file of AWS's own client's requests and keys.
func vector(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("rolesanywhere", "testdata", name))
	if err != nil {
		t.Fatalf("reading a test vector: %v", err)
	}
	return string(content)
}

const (
	testAccount = "123456789012"
	testUUID    = "11111111-2222-3333-4444-555555555555"
)

// accessKeyFields is a valid access_key connection.
func accessKeyFields(changes ...map[string]any) map[string]any {
	return changed(map[string]any{"access_key": "AKIAEXAMPLE", "secret_key": "sEcReT/key+1"}, changes)
}

// rolesAnywhereFields is a valid roles_anywhere connection at testTime.
func rolesAnywhereFields(t testing.TB, changes ...map[string]any) map[string]any {
	t.Helper()
	return changed(map[string]any{
		"auth_type":        connection.AuthRolesAnywhere,
		"profile_arn":      fmt.Sprintf("arn:aws:rolesanywhere:us-east-1:%s:profile/%s", testAccount, testUUID),
		"role_arn":         fmt.Sprintf("arn:aws:iam::%s:role/app", testAccount),
		"trust_anchor_arn": fmt.Sprintf("arn:aws:rolesanywhere:us-east-1:%s:trust-anchor/%s", testAccount, testUUID),
		"session_name":     "orders-api",
		"certificate":      vector(t, "p256.pem"),
		"private_key":      vector(t, "p256.key"),
	}, changes)
}

// changed lays changes over fields; absent removes one.
func changed(fields map[string]any, changes []map[string]any) map[string]any {
	for _, change := range changes {
		for name, value := range change {
			if value == absent {
				delete(fields, name)
				continue
			}
			fields[name] = value
		}
	}
	return fields
}

type absence struct{}

var absent = absence{}

func with(name string, value any) map[string]any { return map[string]any{name: value} }
