package s3conn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// A test of a scope with Roles Anywhere uses no session that readers share, and calls in the lane for tests.
func TestTestScope_RolesAnywhereUsesASessionOfItsOwn(t *testing.T) {
	t.Parallel()
	m, store := fencedMount(t, "analytics")
	var calls int
	var failure error
	m.source = func(_ context.Context, _ *connection.Connection, lane budget.Lane) (session.Session, error) {
		calls++
		if lane != budget.Test {
			t.Errorf("the session was requested in lane %v", lane)
		}
		made := awstest.Session{AccessKey: "ASIABASE", SecretKey: canaryText, SessionToken: canaryText + "-token",
			ARN: "arn:aws:sts::123456789012:assumed-role/app/orders-api", Expiration: m.clock.Now().Add(time.Hour)}
		store.sts.AddSession(made)
		return session.Session{AccessKey: made.AccessKey, SecretKey: secret.New(made.SecretKey),
			SessionToken: secret.New(made.SessionToken), ARN: made.ARN, Issued: m.clock.Now(),
			Expiration: made.Expiration}, failure
	}
	m.start()
	m.write("orders", rolesAnywhereFields(t, with("s3_endpoint", store.URL), with("s3_path_style", true),
		with("sts_endpoint", store.sts.URL)))
	m.writeScopeOf("orders", "reports", map[string]any{"role_arn": fencedRole, "buckets": "analytics",
		"prefixes": "reports/"})
	for range 2 {
		if resp := m.must(logical.UpdateOperation, "test/orders/reports", nil); resp.Data["fence"] != "proven" {
			t.Errorf("the response is %v", resp.Data)
		}
	}
	if calls != 2 {
		t.Errorf("two tests made %d CreateSession, want one each", calls)
	}
	failure = upstream.New("CreateSession", upstream.Permanent, "Untrusted certificate", nil)
	if text := m.refused(logical.UpdateOperation, "test/orders/reports", nil); !strings.Contains(text,
		"Untrusted certificate") {
		t.Errorf("without a session the test says %q", text)
	}
}

func TestTestScope_NamesTheAccessKeyWhereTheStoreNamesNoRole(t *testing.T) {
	t.Parallel()
	probe := &scopeProbe{session: session.Session{AccessKey: "ASIA1"}}
	if identity := probe.response()["identity"]; identity != "ASIA1" {
		t.Errorf("the identity is %v", identity)
	}
}

// A bucket that is gone has no fence, so that its 404 says nothing of the session policy.
func TestTestScope_ABucketThatIsGoneIsNoOpenFence(t *testing.T) {
	t.Parallel()
	target := scope.Target{Bucket: "gone", Key: "k"}
	err := refusedOutside(opListObjects, target, &awscall.Refusal{Status: 404, Code: "NoSuchBucket"})
	var open *openFenceError
	var failed *upstream.Error
	if errors.As(err, &open) || !errors.As(err, &failed) || !strings.Contains(err.Error(), `"gone/k"`) {
		t.Errorf("the error is %v", err)
	}
	if err := refusedOutside(opHeadObject, target, &awscall.Refusal{Status: 404, Code: "NotFound"}); !errors.As(err,
		&open) {
		t.Errorf("a key that was looked for: %v, want an open fence", err)
	}
}

// What a scope's templates refuse is refused on every path before anything is called.
func TestScoped_EveryPathRefusesWhatTemplatesRefuse(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.entities.teams["e-1"] = "*"
		presigned := map[string]any{"bucket": "home", "key": "x"}
		for entity, says := range map[string]string{"": "the token has none", "e-1": `it holds "*"`} {
			for path, data := range map[string]map[string]any{"test/orders/home": nil,
				"presign/orders/home": presigned} {
				resp, err := s.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation,
					Path: path, Data: data, Storage: s.storage, EntityID: entity})
				if err != nil || !resp.IsError() || !strings.Contains(resp.Error().Error(), says) {
					t.Errorf("%s of entity %q: %+v, %v; want words with %q", path, entity, resp, err, says)
				}
			}
		}
		text := s.refused(logical.UpdateOperation, "presign/orders/none", presigned)
		if !strings.Contains(text, `connection "orders" has no scope "none"`) || s.sts.count()+s.aws.count() != 0 {
			t.Errorf("an unknown scope: %q, after %d calls", text, s.sts.count()+s.aws.count())
		}
	})
}

// A damaged scope keeps a connection from a change that it might not survive, and a scope whose connection is gone is
// not there.
func TestScopes_WhatCannotBeJudgedIsNotPassedOver(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	putEntry(t, m, scopeKey("orders", "damaged"), "x")
	text := m.do500(logical.UpdateOperation, "config/orders", with("role_arn", "arn:aws:iam::123456789012:role/other"))
	if !strings.Contains(text, "the stored entry is damaged") {
		t.Errorf("a change beside a damaged scope: %q", text)
	}
	putEntry(t, m, scopeKey("gone", "reports"), `{"version":1,"revision":"r","buckets":["b"],"duration":900}`)
	if resp, err := m.do(t.Context(), logical.ReadOperation, "scopes/gone/reports", nil); resp != nil || err != nil {
		t.Errorf("a scope without its connection: %+v, %v", resp, err)
	}
}

// do500 returns the words of a request that fails for want of this host's own storage.
func (m *mount) do500(op logical.Operation, path string, data map[string]any) string {
	m.t.Helper()
	resp, err := m.do(m.t.Context(), op, path, data)
	if err == nil {
		m.t.Fatalf("%s %s: %+v, want an error", op, path, resp)
	}
	return err.Error()
}
