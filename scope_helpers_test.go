package s3conn

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// tokenService stands for STS behind a mount. It counts, and fails as it is set.
type tokenService struct {
	mu      sync.Mutex
	err     error
	callers []session.Session
	granted []*scope.Rendered
	padding string // behind every session token
}

func (s *tokenService) assumeRole(
	_ context.Context, _ *connection.Connection, caller session.Session, narrowed *scope.Rendered, _ budget.Lane,
) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callers, s.granted = append(s.callers, caller), append(s.granted, narrowed)
	if s.err != nil {
		return session.Session{}, s.err
	}
	n, now := len(s.granted), bubbleNow()
	return session.Session{Issued: now, Expiration: now.Add(narrowed.Duration),
		AccessKey:    fmt.Sprintf("ASIASCOPED%d", n),
		SecretKey:    secret.New(fmt.Sprintf("secret-scoped-%d", n)),
		SessionToken: secret.New(fmt.Sprintf("token-scoped-%d", n) + s.padding),
		ARN:          "arn:aws:sts::123456789012:assumed-role/app/" + narrowed.SessionName}, nil
}

func (s *tokenService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.granted)
}

func (s *tokenService) last() (caller session.Session, granted *scope.Rendered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.callers[len(s.callers)-1], s.granted[len(s.granted)-1]
}

// directory stands for Vault's identity store: entity e-N is of team N, and counts how often it is asked.
type directory struct {
	mu    sync.Mutex
	asked int
	teams map[string]string // by entity, where it is another team
}

func (d *directory) ask(id string) (*logical.Entity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	team := "team-" + id
	if other, found := d.teams[id]; found {
		team = other
	}
	return vaultEntity(id, "name-"+id, map[string]string{"team": team}), nil
}

func (d *directory) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// scopeTest is a mount in a bubble, with services that count.
type scopeTest struct {
	*mount
	aws      *service
	sts      *tokenService
	entities *directory
}

// restart puts a new backend on the mount's storage.
func (s *scopeTest) restart() {
	s.t.Helper()
	s.assumer = s.sts.assumeRole
	s.start()
	s.backend.entities = newEntities(bubbleNow, s.entities.ask)
}

// withScopes runs a test in a bubble with the connection "orders" and its scope "reports".
func withScopes(t *testing.T, run func(t *testing.T, s *scopeTest)) {
	t.Helper()
	sessionTest(t, func(t *testing.T, m *mount, aws *service) { run(t, newScopeTest(m, aws)) })
}

func newScopeTest(m *mount, aws *service) *scopeTest {
	s := &scopeTest{mount: m, aws: aws, sts: &tokenService{}, entities: &directory{teams: map[string]string{}}}
	s.restart()
	s.write("orders", rolesAnywhereFields(m.t))
	s.writeScopeOf("orders", "reports", scopeFields())
	return s
}

// readAs reads as the token of an entity does; an empty id is a token without one.
func (m *mount) readAs(id, path string) (*logical.Response, error) {
	m.t.Helper()
	req := &logical.Request{Operation: logical.ReadOperation, Path: path, Storage: m.storage, MountPoint: "s3conn/",
		EntityID: id}
	resp, err := m.HandleRequest(context.Background(), req)
	if err == nil && !resp.IsError() {
		m.assertDeclared(path, req.Operation, resp)
	}
	return resp, err
}

// keyFor is the access key that an entity gets.
func (m *mount) keyFor(id, path string) string {
	m.t.Helper()
	resp, err := m.readAs(id, path)
	if err != nil || resp.IsError() {
		m.t.Fatalf("%s reads %s: %v, %+v", id, path, err, resp)
	}
	return resp.Data["access_key"].(string)
}

const templated = "home"

// writeTemplated gives every entity a prefix and a name of its own.
func (s *scopeTest) writeTemplated() {
	s.t.Helper()
	s.writeScopeOf("orders", templated, map[string]any{"buckets": "home", "duration": 900,
		"prefixes": "{{identity.entity.metadata.team}}/", "session_name": "{{identity.entity.name}}"})
}

// elapse moves the bubble's clock on.
func elapse(d time.Duration) { pass(d) }
