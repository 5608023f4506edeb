package enroll

import (
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestSettingsCheck(t *testing.T) {
	t.Parallel()
	root := toPEM(newAuthority(t, 0).root())
	pki := Settings{
		Type:         TypeVaultPKI,
		Address:      "https://vault.example.com:8200/",
		CertAuthRole: "renewal",
		PKIPath:      "pki/team/",
		PKIRole:      "s3conn",
	}
	for name, test := range map[string]struct {
		change func(s *Settings)
		want   string // empty: nothing is wrong
	}{
		"as it should be": {func(*Settings) {}, ""},
		"no type": {func(s *Settings) { s.Type = "" },
			"type: is required; give one of vault_pki, est, step_ca"},
		"another type": {func(s *Settings) { s.Type = "acme" }, `type: "acme" is not a type of issuer`},
		"no address":   {func(s *Settings) { s.Address = "" }, "address: is required"},
		"plain http":   {func(s *Settings) { s.Address = "http://localhost:8200" }, "address: is plain http"},
		"a path":       {func(s *Settings) { s.Address = "https://vault/v1" }, "address: holds a path"},
		"metadata":     {func(s *Settings) { s.Address = "https://169.254.169.254" }, "address: "},
		"a user": {func(s *Settings) { s.Address = "https://CANARY:CANARY@vault" },
			"address: holds a user name"},
		"not a CA": {func(s *Settings) { s.CACert = "x" }, "ca_cert: is not PEM"},
		"not a proxy": {func(s *Settings) { s.ProxyURL = secret.New("ftp://CANARY@x") },
			"proxy_url: is not a proxy's address"},
		"a CA with text around": {func(s *Settings) { s.CACert = "subject=CN = authority\n" + root }, ""},
		"no role":               {func(s *Settings) { s.PKIRole = "" }, "pki_role: is required for type vault_pki"},
		"no path":               {func(s *Settings) { s.PKIPath = "" }, "pki_path: is required"},
		"no cert_auth_role":     {func(s *Settings) { s.CertAuthRole = "" }, "cert_auth_role: is required"},
		"leaves its place": {func(s *Settings) { s.PKIPath = "pki/../sys" },
			`pki_path: "pki/../sys" is not a name`},
		"a query":      {func(s *Settings) { s.PKIRole = "role?x" }, `pki_role: "role?x" is not a name`},
		"a long name":  {func(s *Settings) { s.PKIRole = strings.Repeat("a", 255) }, ""},
		"a longer one": {func(s *Settings) { s.PKIRole = strings.Repeat("a", 256) }, "pki_role: "},
		"two segments": {func(s *Settings) { s.PKIRole = "a/b" }, `pki_role: "a/b" is not a name`},
		"a header's end": {func(s *Settings) { s.Namespace = "a\r\nX-Y: z" },
			`namespace: "a\r\nX-Y: z" is not a name`},
		"of another type": {func(s *Settings) { s.Label = "x" }, "label: is for type est alone"},
		"ttl below zero":  {func(s *Settings) { s.TTL = -1 }, "ttl: is negative"},
		"ttl of another type": {func(s *Settings) { *s = Settings{Type: TypeEST, Address: "https://e", TTL: 1} },
			"ttl: is for type vault_pki alone"},
		"fields of another one": {func(s *Settings) { s.Type = TypeStepCA }, "pki_path: is for type vault_pki alone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pki
			test.change(&s)
			var p problem.List
			s.Check(&p)
			err := p.Err("storing the issuer", "")
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "CANARY"):
				t.Errorf("error %v", err)
			}
			if s.CACert != "" && test.want == "" && s.CACert != root {
				t.Errorf("the CA is stored as %q", s.CACert)
			}
			if test.want == "" && s.path("v1", s.PKIPath, "sign") != "https://vault.example.com:8200/v1/pki/team/sign" {
				t.Errorf("path %s", s.path("v1", s.PKIPath, "sign"))
			}
		})
	}
}

func TestNew_RefusesAStoredTypeThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	if _, err := New(Settings{Type: "acme"}); err == nil || !strings.Contains(err.Error(), "reading type") {
		t.Errorf("error %v", err)
	}
}
