package acceptance

import (
	"encoding/pem"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

// TestOpenAPI_EveryOperationAnswersAsItSays has each operation of the document answer once, with as many fields as it
// can have: the harness fails the test for a response with a field that is not declared, of another type or missing.
func TestOpenAPI_EveryOperationAnswersAsItSays(t *testing.T) {
	t.Parallel()
	s := newIdentityStack(t, pkiRoot)
	s.operateConnections()
	s.operateIdentities()
	s.operateScopes()
	s.operateRotations()
	for _, path := range []string{"status", "status/orders", "status/rotating", "status/store"} {
		s.read(path)
	}
	s.list("status")
	if _, err := s.api.Logical().ReadRawWithContext(t.Context(), "s3conn/metrics"); err != nil {
		t.Errorf("reading the metrics: %v", err)
	}
	for _, path := range []string{"scopes/store/reports", "identity/orders/issuer", "config/store"} {
		if _, err := s.api.Logical().DeleteWithContext(t.Context(), "s3conn/"+path); err != nil {
			t.Errorf("deleting %s: %v", path, err)
		}
	}
	for _, operation := range s.vault.Unjudged() {
		t.Errorf("no response of %s was validated", operation)
	}
}

func (s *stack) list(path string) {
	s.t.Helper()
	if found, err := s.api.Logical().ListWithContext(s.t.Context(), "s3conn/"+path); err != nil || found == nil {
		s.t.Errorf("listing %s: %v, %v", path, found, err)
	}
}

func (s *stack) patch(path string, data map[string]any) {
	s.t.Helper()
	if _, err := s.api.Logical().JSONMergePatch(s.t.Context(), "s3conn/"+path, data); err != nil {
		s.t.Errorf("patching %s: %v", path, err)
	}
}

// operateConnections leaves "leased", of Roles Anywhere, and "store", of an access key.
func (s *identityStack) operateConnections() {
	s.t.Helper()
	s.write("config/store", s.rootFields())
	s.write("config/leased", s.fields(map[string]any{"verify_connection": true}))
	s.patch("config/store", map[string]any{"s3_region": "us-east-1"})
	s.list("config")
	s.write("test", s.fields(nil))
	for _, name := range []string{"store", "leased"} {
		for _, path := range []string{"config/", "creds/", "sdk/"} {
			s.read(path + name)
		}
		s.write("test/"+name, nil)
		s.write("presign/"+name, map[string]any{"bucket": bucketName, "key": "reports/x"})
	}
}

// operateIdentities leaves "orders", whose certificate Vault's PKI renews.
func (s *identityStack) operateIdentities() {
	s.t.Helper()
	s.write("config/orders", s.bare())
	s.read("config/orders")
	s.read("identity/orders")
	issuer, token := s.vaultIssuer()
	s.write("identity/orders/issuer", issuer)
	s.read("identity/orders/issuer")
	s.renew(map[string]any{"token": token})
	csr, _ := s.write("identity/leased/csr", map[string]any{"common_name": "orders"}).Data["csr"].(string)
	s.read("identity/leased")
	if block, _ := pem.Decode([]byte(csr)); block == nil {
		s.t.Fatalf("identity/leased/csr returns %q", csr)
	}
	signed, err := s.api.Logical().WriteWithContext(s.t.Context(), "pki/sign/s3conn",
		map[string]any{"csr": csr, "common_name": "orders"})
	if err != nil {
		s.t.Fatalf("signing a request: %v", err)
	}
	s.write("identity/leased/certificate", map[string]any{"certificate": signed.Data["certificate"]})
	s.read("creds/orders")
}

// operateScopes leaves the scope "reports" of "store".
func (s *identityStack) operateScopes() {
	s.t.Helper()
	s.write("scopes/store/reports", map[string]any{"buckets": bucketName, "prefixes": "reports/"})
	s.patch("scopes/store/reports", map[string]any{"access": "list,read,write"})
	s.list("scopes/store")
	for _, path := range []string{"scopes/", "creds/", "sdk/"} {
		s.read(path + "store/reports")
	}
	s.write("test/store/reports", nil)
	s.write("presign/store/reports", map[string]any{"bucket": bucketName, "key": "reports/x", "method": "PUT",
		"content_type": "text/csv"})
}

// operateRotations leaves "rotating", in the grace of a rotation.
func (s *identityStack) operateRotations() {
	s.t.Helper()
	_, fields := newKeyUser(s.t, awstest.Options{})
	s.write("config/rotating", fields)
	s.write("rotate/rotating", nil)
	s.read("creds/rotating")
}
