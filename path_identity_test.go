package s3conn

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestIdentity_FromNothingToCredentials(t *testing.T) {
	t.Parallel()
	for _, keyType := range identity.KeyTypes() {
		t.Run(keyType, func(t *testing.T) {
			t.Parallel()
			l := newIdentityLab(t)
			if warnings := l.write("orders", l.bare()).Warnings; !strings.Contains(
				strings.Join(warnings, " "),
				"identity/NAME/csr",
			) {
				t.Errorf("warnings %q", warnings)
			}
			for _, path := range []string{"creds/orders", "sdk/orders"} {
				resp, err := l.do(t.Context(), logical.ReadOperation, path, nil)
				if text := saidBy(resp, err); !strings.Contains(text, "no certificate yet") ||
					!strings.Contains(text, "identity/orders/csr") {
					t.Errorf("%s without an identity: %s", path, text)
				}
			}
			if text := l.refused(logical.UpdateOperation, "test/orders", nil); !strings.Contains(
				text,
				"no certificate yet",
			) {
				t.Errorf("a test without an identity: %s", text)
			}
			csr := l.request("orders", map[string]any{"key_type": keyType, "organization": "Example"})
			l.must(logical.UpdateOperation, "identity/orders/certificate",
				with("certificate", signed(t, l.ca, csr, rolesanywheretest.IssueOptions{})))
			shown := l.read("identity/orders").Data
			if shown["key_origin"] != "vault" || shown["key_type"] != keyType || shown["waiting_csr"] != nil ||
				!strings.Contains(shown["certificate_subject"].(string), "orders") {
				t.Errorf("shown as %v", shown)
			}
			if arn := l.read("creds/orders").Data["arn"]; arn == "" {
				t.Error("no credentials")
			}
			if n := l.aws.Calls(); n != 1 {
				t.Errorf("%d sessions were requested, want the one that proved the certificate", n)
			}
			l.start() // after a restart everything is as it was
			l.read("creds/orders")
			if n := l.aws.Calls(); n != 1 {
				t.Errorf("%d sessions were requested after a restart", n)
			}
		})
	}
}

// saidBy is what a failed request says, in its response or its error.
func saidBy(resp *logical.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	if raw, _ := resp.Data[logical.HTTPRawBody].([]byte); raw != nil {
		return string(raw)
	}
	if resp.IsError() {
		return resp.Error().Error()
	}
	return ""
}

func TestIdentityCertificate_WhatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	type attempt struct {
		csr    any
		other  *rolesanywheretest.Authority
		origin *identityLab
	}
	for name, test := range map[string]struct {
		certificate func(t *testing.T, a attempt) string
		fault       *rolesanywheretest.Fault
		says        string
	}{
		"another key": {func(t *testing.T, a attempt) string {
			return string(issue(t, a.origin.ca, rolesanywheretest.IssueOptions{}).CertificatePEM)
		}, nil, "certificate: is of neither the key that waits nor the current one"},
		"a CA": {func(t *testing.T, a attempt) string {
			return signed(t, a.origin.ca, a.csr, rolesanywheretest.IssueOptions{IsCA: true})
		}, nil, "certificate: "},
		"another usage": {func(t *testing.T, a attempt) string {
			return signed(t, a.origin.ca, a.csr, rolesanywheretest.IssueOptions{NoDigitalSignature: true})
		}, nil, "digitalSignature"},
		"ended": {func(t *testing.T, a attempt) string {
			return signed(t, a.origin.ca, a.csr, rolesanywheretest.IssueOptions{NotAfter: testTime.Add(-time.Minute)})
		}, nil, "expired"},
		"not a certificate": {func(*testing.T, attempt) string { return "CANARY" }, nil, "certificate: "},
		"an authority that is not trusted": {func(t *testing.T, a attempt) string {
			return signed(t, a.other, a.csr, rolesanywheretest.IssueOptions{})
		}, nil, "Untrusted signing certificate"},
		"a service that is down": {func(t *testing.T, a attempt) string {
			return signed(t, a.origin.ca, a.csr, rolesanywheretest.IssueOptions{})
		}, &rolesanywheretest.Fault{Status: 503, Code: "ServiceUnavailableException", Message: "later"},
			"ServiceUnavailableException: later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newIdentityLab(t)
			l.write("orders", l.sessionFields())
			key := l.read("creds/orders").Data["access_key"]
			csr := l.request("orders", nil)
			before := l.storedIdentity("orders")
			certificate := test.certificate(t, attempt{csr, newAuthority(t), l})
			if test.fault != nil {
				for range 5 {
					l.aws.Inject(*test.fault)
				}
			}
			text := saidBy(
				l.do(
					t.Context(),
					logical.UpdateOperation,
					"identity/orders/certificate",
					with("certificate", certificate),
				),
			)
			if !strings.Contains(text, test.says) || strings.Contains(text, "CANARY") ||
				!strings.Contains(text, "the key goes on waiting") {
				t.Errorf("refused with %q, want %q and what is still true", text, test.says)
			}
			if l.storedIdentity("orders") != before || l.read("creds/orders").Data["access_key"] != key {
				t.Error("the identity or the session has changed")
			}
		})
	}
}

func TestIdentityCertificate_WithoutProofTheSessionGoesOn(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.sessionFields())
	key := l.read("creds/orders").Data["access_key"]
	certificate := signed(t, l.ca, l.request("orders", nil), rolesanywheretest.IssueOptions{})
	l.must(
		logical.UpdateOperation,
		"identity/orders/certificate",
		map[string]any{"certificate": certificate, "verify": false},
	)
	if got := l.read("creds/orders").Data["access_key"]; got != key || l.aws.Calls() != 1 {
		t.Errorf("the session is %v, was %v; %d calls", got, key, l.aws.Calls())
	}
	l.clock.Advance(2 * time.Hour)
	l.read("creds/orders")
	if n := l.aws.Calls(); n != 2 {
		t.Fatalf("%d calls", n)
	}
	leaf, err := x509.ParseCertificate(parsePEM(t, certificate))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.aws.Requests()[1].SerialNumber; got != leaf.SerialNumber.String() {
		t.Error("the next session was not requested with the new certificate")
	}
}

func parsePEM(t testing.TB, text string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("not PEM")
	}
	return block.Bytes
}

func TestIdentityCSR_RefusesAndKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.bare())
	l.write("keys", accessKeyFields())
	first := l.request("orders", nil)
	for data, says := range map[*map[string]any]string{
		{"key_type": "rsa-2048"}:   "key_type: a key of type ec-p256",
		{"key_type": "dsa"}:        `key_type: "dsa" is unknown`,
		{"country": "Germany"}:     `country: "Germany" is not a country code`,
		{"comon_name": "x"}:        "did you mean common_name?",
		{"dns_sans": []any{"a b"}}: `dns_sans: "a b" is not a DNS name`,
		{"new_key": "perhaps"}:     "new_key: has to be true or false",
	} {
		if text := l.refused(logical.UpdateOperation, "identity/orders/csr", *data); !strings.Contains(text, says) {
			t.Errorf("%v: %q, want %q", *data, text, says)
		}
	}
	if got := l.read("identity/orders").Data["waiting_csr"]; got != first {
		t.Error("what waits has changed")
	}
	if second := l.request("orders", with("common_name", "other")); second == first {
		t.Error("another name made no other request")
	}
	replaced := l.must(
		logical.UpdateOperation,
		"identity/orders/csr",
		map[string]any{"key_type": "ec-p384", "new_key": true},
	)
	if replaced.Data["key_type"] != "ec-p384" {
		t.Errorf("replaced by %v", replaced.Data)
	}
	for path, says := range map[string]string{"nothing": "there is no connection",
		"keys": "only roles_anywhere has an identity"} {
		if text := l.refused(logical.UpdateOperation, "identity/"+path+"/csr", nil); !strings.Contains(text, says) {
			t.Errorf("%s: %q", path, text)
		}
		if text := l.refused(logical.ReadOperation, "identity/"+path, nil); !strings.Contains(text, says) {
			t.Errorf("%s: %q", path, text)
		}
	}
}

func TestIdentity_PrivateKeysLeaveOnNoPath(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.bare())
	l.swap("orders")
	l.request("orders", with("common_name", "next"))
	entry, err := identity.Decode([]byte(l.storedIdentity("orders")))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"config/orders", "identity/orders", "creds/orders", "sdk/orders"} {
		resp := l.read(path)
		text := saidBy(resp, nil)
		for _, value := range resp.Data {
			if one, ok := value.(string); ok {
				text += one
			}
		}
		for _, key := range []string{entry.State.Current.PrivateKey.Reveal(), entry.State.Waiting.PrivateKey.Reveal()} {
			if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, strings.Split(key, "\n")[1]) {
				t.Errorf("%s holds a private key", path)
			}
		}
	}
	if strings.Contains(l.log.String(), "PRIVATE KEY") {
		t.Error("the log holds a private key")
	}
	if strings.Contains(l.stored("orders"), "PRIVATE KEY") {
		t.Error("the key is stored twice")
	}
}

func TestIdentity_StorageThatFailsIsA500AndChangesNothing(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.sessionFields())
	l.read("creds/orders")
	certificate := signed(t, l.ca, l.request("orders", nil), rolesanywheretest.IssueOptions{})
	before := l.storedIdentity("orders")
	for _, operation := range []string{"get", "put"} {
		for path, data := range map[string]map[string]any{
			"csr": nil, "certificate": with("certificate", certificate),
			"issuer": {"type": "step_ca", "address": "https://ca"},
		} {
			l.storage.breakOn(errStorage, operation)
			_, err := l.do(t.Context(), logical.UpdateOperation, "identity/orders/"+path, data)
			l.storage.breakOn(nil)
			if !errors.Is(err, errStorage) {
				t.Errorf("%s with a storage that cannot %s: %v", path, operation, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if resp, err := l.do(ctx, logical.UpdateOperation, "identity/orders/certificate", with("certificate",
		certificate)); saidBy(
		resp,
		err,
	) == "" {
		t.Error("a caller who has gone changed the identity")
	}
	if l.storedIdentity("orders") != before {
		t.Error("the identity has changed")
	}
}
