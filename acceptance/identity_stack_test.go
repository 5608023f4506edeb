package acceptance

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// identityStack is a stack whose service trusts one CA more.
type identityStack struct {
	*sessionStack
}

// newIdentityStack starts a Vault with TLS and an audit log, on disk. trust returns the CA's certificate.
func newIdentityStack(t *testing.T, trust func(s *stack) *x509.Certificate) *identityStack {
	t.Helper()
	return newIdentityStackOn(t, identityServer(), trust)
}

// identityServer is what an issuer can log in at, and what is searched for secrets.
func identityServer() harness.VaultOptions { return harness.VaultOptions{TLS: true, Audit: true} }

func newIdentityStackOn(
	t *testing.T, server harness.VaultOptions, trust func(s *stack) *x509.Certificate,
) *identityStack {
	t.Helper()
	s := newStack(t, server)
	options := rolesanywheretest.Options{TrustAnchors: []*x509.Certificate{trust(s)}}
	return &identityStack{&sessionStack{stack: s, aws: newAWS(t, s.minio, options)}}
}

// bare is a connection without an identity.
func (s *identityStack) bare() map[string]any {
	fields := s.fields(nil)
	delete(fields, "certificate")
	delete(fields, "private_key")
	return fields
}

// renew renews the certificate of orders and returns what identity/orders shows then.
func (s *identityStack) renew(data map[string]any) map[string]any {
	s.t.Helper()
	return s.write("identity/orders/renew", data).Data
}

// lives holds a connection's life with an issuer: the first certificate with a one-time secret, then two with the
// certificate before each, with a new key and with the same.
func (s *identityStack) lives(issuer, oneTime map[string]any) {
	s.t.Helper()
	s.write("config/orders", s.bare())
	s.write("identity/orders/issuer", issuer)
	first := s.renew(oneTime)
	s.mustListBuckets(credentialsOf(s.read("creds/orders")))
	second := s.renew(nil)
	issuer["key"] = "same"
	s.write("identity/orders/issuer", issuer)
	third := s.renew(nil)
	s.mustListBuckets(credentialsOf(s.read("creds/orders")))

	keys := map[string]bool{}
	for i, shown := range []map[string]any{first, second, third} {
		leaf := leafOf(s.t, shown["certificate"])
		keys[string(leaf.RawSubjectPublicKeyInfo)] = true
		if shown["key_origin"] != "vault" || shown["last_error"] != nil || leaf.Subject.CommonName != "orders" {
			s.t.Errorf("certificate %d is shown as %v", i+1, shown)
		}
	}
	if len(keys) != 2 {
		s.t.Errorf("three certificates have %d keys, want a new one and the same again", len(keys))
	}
	if n := s.aws.Calls(); n != 3 {
		s.t.Errorf("%d sessions were requested for 3 certificates", n)
	}
	s.nowhere(oneTime)
}

// nowhere searches storage, logs and responses for one-time secrets and private keys.
func (s *identityStack) nowhere(secrets map[string]any) {
	s.t.Helper()
	places := map[string]string{
		"the audit log": s.vault.AuditLog(), "the server's log": s.vault.ServerLog(), "storage": s.stored(),
		"identity/orders": harnessJSON(s.t, s.read("identity/orders").Data),
		"the issuer":      harnessJSON(s.t, s.read("identity/orders/issuer").Data),
		"config/orders":   harnessJSON(s.t, s.read("config/orders").Data),
	}
	for place, text := range places {
		for name, value := range secrets {
			if strings.Contains(text, value.(string)) {
				s.t.Errorf("%s holds the one-time %s", place, name)
			}
		}
		if strings.Contains(text, "PRIVATE KEY") {
			s.t.Errorf("%s holds a private key", place)
		}
	}
}

// stored is what the server keeps on disk, which is encrypted.
func (s *identityStack) stored() string {
	s.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(s.vault.Dir(), "raft"), func(path string, entry os.DirEntry,
		err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all.String()
}

func leafOf(t *testing.T, certificate any) *x509.Certificate {
	t.Helper()
	text, _ := certificate.(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no certificate: %v", certificate)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// stays has the issuer fail, and sees that renewing says so and changes nothing.
func (s *identityStack) stays(says ...string) {
	s.t.Helper()
	before := s.read("identity/orders").Data["certificate"]
	session := s.read("creds/orders").Data["access_key"]
	_, err := s.api.Logical().WriteWithContext(s.t.Context(), "s3conn/identity/orders/renew", nil)
	if err == nil {
		s.t.Fatal("the renewal succeeded")
	}
	assertSays(s.t, err.Error(), append(says, "the identity is unchanged")...)
	shown := s.read("identity/orders").Data
	if shown["certificate"] != before || s.read("creds/orders").Data["access_key"] != session {
		s.t.Error("the identity or the session has changed")
	}
	if shown["last_error"] == nil || shown["next_try"] == nil {
		s.t.Errorf("the failure is not shown: %v", shown)
	}
}

// renewsItself waits for so many renewals that nobody asks for, while readers read.
func (s *identityStack) renewsItself(renewals int, within time.Duration) {
	s.t.Helper()
	var reads, failed atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if _, err := s.api.Logical().ReadWithContext(s.t.Context(), "s3conn/creds/orders"); err != nil {
				failed.Add(1)
				s.t.Log(err)
			}
			reads.Add(1)
		}
	}()
	seen := map[string]bool{leafOf(s.t, s.read("identity/orders").Data["certificate"]).SerialNumber.String(): true}
	done := eventually(s.t.Context(), within, func() bool {
		seen[leafOf(s.t, s.read("identity/orders").Data["certificate"]).SerialNumber.String()] = true
		return len(seen) > renewals
	})
	close(stop)
	<-stopped
	if !done || failed.Load() > 0 {
		s.t.Errorf("%d renewals within %s, %d of %d reads failed; the identity: %v", len(seen)-1, within, failed.Load(),
			reads.Load(), s.read("identity/orders").Data)
	}
}

// eventuallyReads waits for the server to have started a plugin that was killed.
func (s *identityStack) eventuallyReads() {
	s.t.Helper()
	if !eventually(s.t.Context(), time.Minute, func() bool {
		_, err := s.api.Logical().ReadWithContext(s.t.Context(), "s3conn/creds/orders")
		return err == nil
	}) {
		s.t.Error("no read succeeds after the plugin was killed")
	}
}
