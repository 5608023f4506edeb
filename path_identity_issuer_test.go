package s3conn

import (
	"crypto/x509"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
)

func TestIdentityRenew_Refusals(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.bare())
	if text := l.refused(logical.UpdateOperation, "identity/orders/renew", nil); !strings.Contains(
		text,
		"identity/NAME/issuer first",
	) {
		t.Errorf("without an issuer: %s", text)
	}
	l.must(
		logical.UpdateOperation,
		"identity/orders/issuer",
		map[string]any{"type": "est", "address": "https://localhost:1"},
	)
	for data, says := range map[*map[string]any]string{
		{}:                     "username: is required for the first certificate",
		{"token": "CANARY"}:    "token: is not for type est",
		{"username": "CANARY"}: "password: and username belong together",
		{"token": map[string]any{"CANARY": "CANARY"}}: "token: ",
		{"tokn": "CANARY"}:                            "did you mean token?",
	} {
		text := l.refused(logical.UpdateOperation, "identity/orders/renew", *data)
		if !strings.Contains(text, says) || strings.Contains(text, "CANARY") {
			t.Errorf("%v: %q, want %q", *data, text, says)
		}
	}
	resp, err := l.do(
		t.Context(),
		logical.UpdateOperation,
		"identity/orders/renew",
		map[string]any{"username": "CANARY", "password": "CANARY"},
	)
	text := saidBy(resp, err)
	if !strings.Contains(text, "refused the connection") ||
		!strings.Contains(text, "the connection has no certificate yet") ||
		strings.Contains(text, "CANARY") {
		t.Errorf("an issuer that is down: %s", text)
	}
	if all := l.storedIdentity("orders") + l.log.String(); strings.Contains(all, "CANARY") {
		t.Error("a one-time secret is stored or logged")
	}
}

func TestIdentityIssuer_WriteReadDelete(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.sessionFields())
	if resp := l.read("identity/orders/issuer"); resp != nil {
		t.Errorf("without one: %v", resp)
	}
	l.must(logical.UpdateOperation, "identity/orders/issuer", map[string]any{
		"type": "vault_pki", "address": "https://vault:8200", "proxy_url": "http://user:CANARY@proxy:1",
		"cert_auth_role": "renewal",
		"pki_path":       "pki", "pki_role": "s3conn", "ttl": "24h", "renew_before": "8h", "dns_sans": "a.example.com",
	})
	shown := l.read("identity/orders/issuer").Data
	if shown["type"] != "vault_pki" || shown["ttl"] != int64(86400) || shown["renew_before"] != int64(28800) ||
		shown["key"] != "new" ||
		strings.Contains(fmt.Sprint(shown), "CANARY") {
		t.Errorf("shown as %v", shown)
	}
	if shown := l.read("identity/orders").Data; shown["issuer_type"] != "vault_pki" || shown["renew_at"] == nil {
		t.Errorf("the identity is shown as %v", shown)
	}
	before := l.storedIdentity("orders")
	for data, says := range map[*map[string]any]string{
		{"type": "acme"}:                                                     `type: "acme" is unknown`,
		{"type": "est", "address": "http://e"}:                               "address: ",
		{"type": "est", "address": "https://e", "pki_path": "x"}:             "pki_path: is for type vault_pki alone",
		{"type": "step_ca", "address": "https://e", "key_type": "ml-dsa-65"}: "no issuer signs ML-DSA yet",
		{"type": "step_ca", "address": "https://e", "renew_before": "9000h"}: "renew_before: ",
	} {
		if text := l.refused(logical.UpdateOperation, "identity/orders/issuer", *data); !strings.Contains(text, says) {
			t.Errorf("%v: %q, want %q", *data, text, says)
		}
	}
	if l.storedIdentity("orders") != before {
		t.Error("the issuer has changed")
	}
	l.must(logical.DeleteOperation, "identity/orders/issuer", nil)
	if resp := l.read("identity/orders/issuer"); resp != nil {
		t.Errorf("after its deletion: %v", resp)
	}
}

func TestIdentityCertificate_NeedsItsOneField(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.sessionFields())
	before := l.storedIdentity("orders")
	for data, says := range map[*map[string]any]string{
		{}:                             "certificate: is required; give the PEM, leaf first",
		{"certificate": "x", "key": 1}: `"key": there is no such field`,
		{"certificate": 5}:             "certificate: ",
	} {
		text := l.refused(logical.UpdateOperation, "identity/orders/certificate", *data)
		if !strings.Contains(text, says) || !strings.Contains(text, "the identity is unchanged") {
			t.Errorf("%v: %q, want %q", *data, text, says)
		}
	}
	if l.storedIdentity("orders") != before {
		t.Error("the identity has changed")
	}
}

func TestIdentityRenew_StepCATakesATokenAlone(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.sessionFields())
	l.must(logical.UpdateOperation, "identity/orders/issuer",
		map[string]any{"type": "step_ca", "address": "https://localhost:1"})
	text := l.refused(logical.UpdateOperation, "identity/orders/renew",
		map[string]any{"username": "CANARY", "password": "CANARY"})
	if !strings.Contains(text, "username: is for type est; the issuer's type is step_ca, which takes a token") ||
		strings.Contains(text, "CANARY") {
		t.Errorf("refused with %q", text)
	}
}

func TestIdentityRenew_FailuresOfTheIssuerAreInSafeWords(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		says   string
		logged string
	}{
		"refused": {&enroll.RefusalError{Operation: "rekey", Status: 403, Message: "not today"}, "rekey: not today",
			"[WARN]"},
		"useless": {enroll.ErrUnusableAnswer, "requesting a certificate: ", "[WARN]"},
		"later": {&enroll.PendingError{RetryAfter: time.Minute}, "wants the same request again in 1m0s",
			"the issuer has not decided yet"},
	} {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, _ *service) {
				issuer := renewed(t, m)
				before := m.read("identity/orders").Data["certificate"]
				issuer.fail(test.err)
				text := saidBy(m.do(t.Context(), logical.UpdateOperation, "identity/orders/renew", nil))
				if !strings.Contains(text, test.says) || !strings.Contains(text, "the identity is unchanged") {
					t.Errorf("answered with %q, want %q", text, test.says)
				}
				shown := m.read("identity/orders").Data
				if counted := shown["failures"] != 0; shown["certificate"] != before || shown["next_try"] == nil ||
					counted == strings.Contains(name, "later") {
					t.Errorf("the identity is %v", shown)
				}
				if !strings.Contains(m.log.String(), test.logged) {
					t.Errorf("the log has no %q: %s", test.logged, m.log)
				}
			})
		})
	}
}

func TestIdentityCSR_OneOfTwoAtOnceIsAConflict(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.bare())
	var second atomic.Bool
	l.mount.storage.beforePut = nil
	l.mount.storage.afterGet = func(key string) {
		if key == identityPrefix+"orders" && second.CompareAndSwap(false, true) {
			l.request("orders", with("common_name", "second"))
		}
	}
	resp, err := l.do(t.Context(), logical.UpdateOperation, "identity/orders/csr", nil)
	status, text := asVaultSeesIt(t, resp, err)
	if status != 409 || !strings.Contains(text, "another request for its certificate was made meanwhile") {
		t.Errorf("answered with %d: %s", status, text)
	}
	csr, _ := l.read("identity/orders").Data["waiting_csr"].(string)
	request, err := x509.ParseCertificateRequest(parsePEM(t, csr))
	if err != nil || request.Subject.CommonName != "second" {
		t.Errorf("what waits is %v, %v", request, err)
	}
}
