package s3conn

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// faultyRequest is a request during which one operation of storage fails.
type faultyRequest struct {
	before func(m *scopeTest) // what is there already
	op     logical.Operation
	path   string
	data   map[string]any
	after  func(m *scopeTest) // holds once the request was repeated and has succeeded
}

// whole sees to it that whatever connection is stored has a certificate and the key that belongs to it.
func (m *mount) whole(when string) {
	m.t.Helper()
	conn, err := loadConnection(m.t.Context(), m.storage, "orders")
	if err != nil {
		m.t.Errorf("%s: the connection cannot be read: %v", when, err)
		return
	}
	if conn == nil || conn.Certificate == "" {
		return
	}
	_, err = rolesanywhere.ParseIdentity([]byte(conn.Certificate), []byte(conn.PrivateKey.Reveal()), nil)
	if err != nil {
		m.t.Errorf("%s: certificate and key do not belong together: %v", when, err)
	}
}

// empty is the state of a mount without connections.
func (s *scopeTest) empty() {
	s.t.Helper()
	if keys := storedKeys(s.t, s.storage); len(keys) > 0 {
		s.t.Errorf("storage still has %v", keys)
	}
}

func writeOrders(s *scopeTest) { s.write("orders", rolesAnywhereFields(s.t)) }

func faultyRequests(t *testing.T) map[string]faultyRequest {
	t.Helper()
	issued := issue(t, newAuthority(t), rolesanywheretest.IssueOptions{})
	other := map[string]any{"certificate": string(issued.CertificatePEM), "private_key": string(issued.PrivateKeyPEM)}
	shows := func(field string, want any) func(s *scopeTest) {
		return func(s *scopeTest) {
			s.t.Helper()
			if got := s.read("config/orders").Data[field]; got != want {
				s.t.Errorf("%s is %v, want %v", field, got, want)
			}
		}
	}
	full := func(s *scopeTest) {
		writeOrders(s)
		s.writeScopeOf("orders", "reports", scopeFields())
		s.must(logical.UpdateOperation, "identity/orders/csr", nil)
		s.read("creds/orders")
		s.read("creds/orders/reports")
	}
	none := func(*scopeTest) {}
	proved, unproved := map[string]any{}, map[string]any{"verify": false}
	certified := func(data map[string]any) func(s *scopeTest) {
		return func(s *scopeTest) {
			writeOrders(s)
			s.read("creds/orders")
			csr := s.must(logical.UpdateOperation, "identity/orders/csr", nil).Data["csr"]
			data["certificate"] = signed(s.t, newAuthority(s.t), csr, rolesanywheretest.IssueOptions{})
		}
	}
	isCurrent := func(s *scopeTest) {
		if got := s.read("identity/orders").Data; got["key_origin"] != "vault" || got["waiting_csr"] != nil {
			s.t.Errorf("the identity is %v", got)
		}
	}
	return map[string]faultyRequest{
		"a new connection": {none, logical.UpdateOperation, "config/orders", rolesAnywhereFields(t),
			shows("session_name", "orders-api")},
		"a changed connection": {full, logical.UpdateOperation, "config/orders", with("session_name", "changed"),
			shows("session_name", "changed")},
		"another identity": {full, logical.UpdateOperation, "config/orders", other, func(s *scopeTest) {
			if got := s.read("identity/orders").Data; got["certificate"] != other["certificate"] ||
				got["waiting_csr"] == nil {
				s.t.Errorf("the identity is %v", got)
			}
		}},
		"another kind of connection": {writeOrders, logical.UpdateOperation, "config/orders",
			accessKeyFields(with("auth_type", "access_key"), with("rotation_period", 86400)), func(s *scopeTest) {
				if s.storedIdentity("orders") != "" {
					s.t.Error("the identity is still stored")
				}
			}},
		"an access key that rotates no more": {func(s *scopeTest) {
			s.write("orders", accessKeyFields(with("rotation_period", 86400)))
		}, logical.UpdateOperation, "config/orders", rolesAnywhereFields(t), shows("auth_type", "roles_anywhere")},
		"a deleted connection":      {full, logical.DeleteOperation, "config/orders", nil, (*scopeTest).empty},
		"a list of connections":     {full, logical.ListOperation, "config/", nil, none},
		"a list of states":          {full, logical.ListOperation, "status/", nil, none},
		"a connection's state":      {full, logical.ReadOperation, "status/orders", nil, none},
		"a connection that is read": {full, logical.ReadOperation, "config/orders", nil, none},
		"an identity that is read":  {full, logical.ReadOperation, "identity/orders", nil, none},
		"credentials":               {writeOrders, logical.ReadOperation, "creds/orders", nil, none},
		"credentials for SDKs":      {writeOrders, logical.ReadOperation, "creds/orders", nil, none},
		"a scope's credentials": {func(s *scopeTest) {
			writeOrders(s)
			s.writeScopeOf("orders", "reports", scopeFields())
		}, logical.ReadOperation, "creds/orders/reports", nil, none},
		"a scope": {writeOrders, logical.UpdateOperation, "scopes/orders/reports", scopeFields(), func(s *scopeTest) {
			if s.storedScope("orders", "reports") == "" {
				s.t.Error("no scope is stored")
			}
		}},
		"a changed scope": {full, logical.UpdateOperation, "scopes/orders/reports", with("access", "read"), none},
		"scopes":          {full, logical.ListOperation, "scopes/orders/", nil, none},
		"a deleted scope": {full, logical.DeleteOperation, "scopes/orders/reports", nil, func(s *scopeTest) {
			if s.storedScope("orders", "reports") != "" {
				s.t.Error("the scope is still stored")
			}
		}},
		"a key that waits": {writeOrders, logical.UpdateOperation, "identity/orders/csr", nil, func(s *scopeTest) {
			if s.read("identity/orders").Data["waiting_csr"] == nil {
				s.t.Error("no key waits")
			}
		}},
		"a certificate": {certified(proved), logical.UpdateOperation, "identity/orders/certificate", proved,
			isCurrent},
		"a certificate without a proof": {certified(unproved), logical.UpdateOperation, "identity/orders/certificate",
			unproved, isCurrent},
		"a renewal": {func(s *scopeTest) {
			renewed(s.t, s.mount)
		}, logical.UpdateOperation, "identity/orders/renew", nil, isCurrent},
		"an issuer": {full, logical.UpdateOperation, "identity/orders/issuer",
			map[string]any{"type": "step_ca", "address": "https://ca"}, func(s *scopeTest) {
				if s.read("identity/orders/issuer").Data["address"] != "https://ca" {
					s.t.Error("no issuer is stored")
				}
			}},
		"an issuer that is deleted": {func(s *scopeTest) {
			writeOrders(s)
			s.must(logical.UpdateOperation, "identity/orders/issuer",
				map[string]any{"type": "step_ca", "address": "https://ca"})
		}, logical.DeleteOperation, "identity/orders/issuer", nil, none},
		"a URL": {func(s *scopeTest) {
			s.write("orders", accessKeyFields())
		}, logical.UpdateOperation, "presign/orders", map[string]any{"bucket": "a-bucket", "key": "a"}, none},
	}
}

// Whatever operation of storage fails, the request fails or does without it, certificate and key stay together, and
// the request can be repeated.
func TestStorage_OneFaultAnywhereLeavesNothingThatARepetitionDoesNotMend(t *testing.T) {
	t.Parallel()
	for name, request := range faultyRequests(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at, reached := 1, true; reached; at++ {
				loneSessionTest(t, func(t *testing.T, m *mount, aws *service) {
					s := &scopeTest{mount: m, aws: aws, sts: &tokenService{}, entities: &directory{}}
					s.restart()
					request.before(s)
					elapse(time.Second) // what runs in the background has ended
					s.storage.failOnce(at)
					resp, err := s.do(t.Context(), request.op, request.path, request.data)
					elapse(time.Second)
					reached = s.storage.hasFailed()
					s.storage.failOnce(0)
					if err != nil && !errors.Is(err, errStorage) || err == nil && resp.IsError() {
						t.Errorf("with operation %d failing: %v, %+v", at, err, resp)
					}
					s.whole("after a failure")
					elapse(time.Minute)
					if s.must(request.op, request.path, request.data); err != nil {
						elapse(time.Second)
					}
					s.whole("after the repetition")
					request.after(s)
				})
			}
		})
	}
}
