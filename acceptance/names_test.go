package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// Vault's storage refuses keys with two dots in a row by an internal error, so every path has to say it before.
func TestNames_WithTwoDotsAreRefusedOnEveryPath(t *testing.T) {
	t.Parallel()
	s := &stack{t: t, vault: harness.StartVault(t, harness.VaultOptions{InMemory: true})}
	s.vault.RegisterPlugin(pluginName)
	s.vault.Mount("s3conn", pluginName)
	s.api = s.vault.Client()
	s.write("config/x", map[string]any{"access_key": "AKIA", "secret_key": "x"})
	v := newRawVault(t, s.vault)
	connection := `{"access_key":"AKIA","secret_key":"x"}`
	scope := `{"buckets":"b","role_arn":"` + roleARN + `"}`
	for _, one := range []struct{ methods, path, body string }{
		{"GET POST PATCH DELETE", "config/a..b", connection},
		{"GET", "creds/a..b", ""},
		{"GET", "creds/a..b/s", ""},
		{"GET", "creds/x/s..t", ""},
		{"GET", "sdk/a..b", ""},
		{"GET", "sdk/a..b/s", ""},
		{"GET", "sdk/x/s..t", ""},
		{"LIST", "scopes/a..b", ""},
		{"LIST", "scopes/a..b/", ""},
		{"GET POST PATCH DELETE", "scopes/a..b/s", scope},
		{"GET POST PATCH DELETE", "scopes/x/s..t", scope},
		{"POST", "test/a..b", ""},
		{"POST", "test/a..b/s", ""},
		{"POST", "test/x/s..t", ""},
		{"POST", "presign/a..b", `{"bucket":"b","key":"k"}`},
		{"POST", "presign/a..b/s", `{"bucket":"b","key":"k"}`},
		{"POST", "presign/x/s..t", `{"bucket":"b","key":"k"}`},
		{"GET", "status/a..b", ""},
		{"POST", "rotate/a..b", `{}`},
		{"GET", "identity/a..b", ""},
		{"POST", "identity/a..b/csr", `{}`},
		{"POST", "identity/a..b/certificate", `{"certificate":"x"}`},
		{"GET POST DELETE", "identity/a..b/issuer", `{"type":"est","address":"https://ca.example"}`},
		{"POST", "identity/a..b/renew", `{}`},
	} {
		for method := range strings.FieldsSeq(one.methods) {
			a := v.ask(t.Context(), method, "s3conn/"+one.path, one.body)
			if a.err != nil || a.status != http.StatusBadRequest || !strings.Contains(a.body, `holds \"..\"`) {
				t.Errorf("%s %s: answered with %d, %v: %s", method, one.path, a.status, a.err, a.body)
			}
		}
	}
}
