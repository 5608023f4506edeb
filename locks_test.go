package s3conn

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestLocks_WritesWaitForAnotherAndThenChangeNothing(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]struct {
		operation logical.Operation
		path      string
		data      map[string]any
	}{
		"a connection":              {logical.UpdateOperation, "config/orders", with("session_name", "changed")},
		"the connection's deletion": {logical.DeleteOperation, "config/orders", nil},
		"a scope":                   {logical.UpdateOperation, "scopes/orders/reports", with("access", "read")},
		"a scope's deletion":        {logical.DeleteOperation, "scopes/orders/reports", nil},
		"a request":                 {logical.UpdateOperation, "identity/orders/csr", with("common_name", "other")},
		"an issuer": {logical.UpdateOperation, "identity/orders/issuer",
			map[string]any{"type": "step_ca", "address": "https://ca"}},
		"a certificate": {logical.UpdateOperation, "identity/orders/certificate", nil},
		"a certificate without a proof": {logical.UpdateOperation, "identity/orders/certificate",
			with("verify", false)},
	} {
		t.Run(name, func(t *testing.T) {
			withScopes(t, func(t *testing.T, s *scopeTest) {
				data := map[string]any{}
				for field, value := range request.data {
					data[field] = value
				}
				csr := s.must(logical.UpdateOperation, "identity/orders/csr", nil).Data["csr"]
				if strings.Contains(request.path, "certificate") {
					data["certificate"] = signed(t, newAuthority(t), csr, rolesanywheretest.IssueOptions{})
				}
				before := s.stored("orders") + s.storedIdentity("orders") + s.storedScope("orders", "reports")
				lock := s.locks.of("orders")
				lock <- struct{}{}
				start := time.Now()
				resp, err := s.do(t.Context(), request.operation, request.path, data)
				status, text := asVaultSeesIt(t, resp, err)
				if status != http.StatusServiceUnavailable || !strings.Contains(text, errLocked.Error()) {
					t.Errorf("answered with %d: %s", status, text)
				}
				if waited := time.Since(start); waited < 5*time.Second || waited > maxProbeWait {
					t.Errorf("waited for %s", waited)
				}
				if s.stored("orders")+s.storedIdentity("orders")+s.storedScope("orders", "reports") != before {
					t.Error("what is stored has changed")
				}
				<-lock
				s.must(request.operation, request.path, data)
			})
		})
	}
}
