package s3conn

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// Storage of version 0.1.0 is used as it is, and split at the next write.
func TestIdentity_OfVersion0_1_0(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	conn := l.connection(l.sessionFields())
	conn.IdentityID = "" // which makes it the form of version 0.1.0
	if err := saveConnection(t.Context(), l.mount.storage, "orders", conn); err != nil {
		t.Fatal(err)
	}
	old := l.stored("orders")
	if !strings.Contains(old, `"version":1`) || !strings.Contains(old, "PRIVATE KEY") {
		t.Fatalf("not the form of version 0.1.0: %s", old)
	}
	if shown := l.read("identity/orders").Data; shown["key_origin"] != "imported" {
		t.Errorf("shown as %v", shown)
	}
	l.read("creds/orders")
	l.swap("orders")
	if l.stored("orders") != old {
		t.Error("the swap has changed the configuration")
	}
	if shown := l.read("identity/orders").Data; shown["key_origin"] != "vault" {
		t.Errorf("after the swap: %v", shown)
	}
	waiting := l.request("orders", with("common_name", "next"))
	l.write("orders", with("duration", 1800))
	shown := l.read("identity/orders").Data
	if strings.Contains(l.stored("orders"), "PRIVATE KEY") || shown["key_origin"] != "vault" ||
		shown["waiting_csr"] != waiting {
		t.Errorf("after a write: %s, %v", l.stored("orders"), shown)
	}
	l.start()
	l.read("creds/orders")
}

func TestConfigWrite_ImportsAnIdentityAndLeavesTheKeyThatWaits(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.bare())
	l.swap("orders")
	waiting := l.request("orders", with("common_name", "next"))
	session := l.read("creds/orders").Data["access_key"]
	l.write(
		"orders",
		map[string]any{
			"certificate": string(l.lab.identity.CertificatePEM),
			"private_key": string(l.lab.identity.PrivateKeyPEM),
		},
	)
	shown := l.read("identity/orders").Data
	if shown["key_origin"] != "imported" || shown["waiting_csr"] != waiting {
		t.Errorf("shown as %v", shown)
	}
	if l.read("creds/orders").Data["access_key"] == session {
		t.Error("the session of the identity before is still handed out")
	}
}

func TestConfigWrite_CrashBetweenTwoWritesLeavesTheIdentity(t *testing.T) {
	t.Parallel()
	imported := func(l *identityLab) map[string]any {
		return map[string]any{
			"certificate": string(l.lab.identity.CertificatePEM),
			"private_key": string(l.lab.identity.PrivateKeyPEM),
		}
	}
	for name, fails := range map[string]string{"the identity's": identityPrefix, "the configuration's": configPrefix} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newIdentityLab(t)
			l.write("orders", l.bare())
			l.swap("orders")
			before := l.read("identity/orders").Data["certificate"]
			l.storage.mu.Lock()
			l.storage.failPut = func(key string) error {
				if strings.HasPrefix(key, fails) {
					return errStorage
				}
				return nil
			}
			l.storage.mu.Unlock()
			if _, err := l.do(t.Context(), logical.UpdateOperation, "config/orders", imported(l)); !errors.Is(
				err,
				errStorage,
			) {
				t.Fatalf("the write: %v", err)
			}
			l.storage.mu.Lock()
			l.storage.failPut = nil
			l.storage.mu.Unlock()
			l.start()
			if got := l.read("identity/orders").Data["certificate"]; got != before {
				t.Error("the identity has changed")
			}
			l.read("creds/orders")
			l.write("orders", imported(l))
			if got := l.read("identity/orders").Data["key_origin"]; got != "imported" {
				t.Errorf("written again, the key's origin is %v", got)
			}
			l.read("creds/orders")
		})
	}
}

func TestConfigDelete_TakesTheIdentityAlong(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.bare())
	l.swap("orders")
	l.must(logical.DeleteOperation, "config/orders", nil)
	if got := l.storedIdentity("orders"); got != "" {
		t.Errorf("the identity is still stored: %s", got)
	}
	l.write("other", l.bare())
	l.swap("other")
	l.write("other", changed(l.keyFields(), []map[string]any{with("auth_type", "access_key")}))
	if got := l.storedIdentity("other"); got != "" {
		t.Error("the identity of a connection with access keys is still stored")
	}
	// What a crash has left behind is no identity of a new connection of the name.
	l.write("left", l.bare())
	l.swap("left")
	if err := l.mount.storage.Delete(t.Context(), configPrefix+"left"); err != nil {
		t.Fatal(err)
	}
	l.write("left", l.bare())
	if shown := l.read("identity/left").Data; shown["certificate"] != nil {
		t.Error("a new connection has the identity of the one before it")
	}
}
