package s3conn

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// Writes of the connection come whenever the name's lock is free while a certificate is taken without a proof.
func TestIdentityCertificate_WithoutProofUndoesNoWriteOfTheConnection(t *testing.T) {
	t.Parallel()
	l := newIdentityLab(t)
	l.write("orders", l.sessionFields())
	l.read("creds/orders")
	certificate := signed(t, l.ca, l.request("orders", nil), rolesanywheretest.IssueOptions{})
	var writing atomic.Bool
	writes := 0
	swapped := func() bool {
		entry, err := l.storage.Storage.Get(t.Context(), identityPrefix+"orders")
		return err == nil && entry != nil && !strings.Contains(string(entry.Value), `"waiting"`)
	}
	l.storage.afterGet = func(key string) {
		if key != configPrefix+"orders" || !swapped() || !writing.CompareAndSwap(false, true) {
			return
		}
		defer writing.Store(false)
		select {
		case l.locks.of("orders") <- struct{}{}:
			<-l.locks.of("orders")
		default:
			return
		}
		writes++
		l.write("orders", with("session_name", fmt.Sprintf("changed-%d", writes)))
		l.read("creds/orders")
	}
	l.must("update", "identity/orders/certificate", map[string]any{"certificate": certificate, "verify": false})
	l.storage.afterGet = nil
	used, err := l.sessions.Subject(t.Context(), l.storage, session.Key{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	stored := l.must("read", "config/orders", nil).Data["session_name"]
	if writes == 0 || used.conn.SessionName != stored {
		t.Errorf("after %d writes %q is in use, and %v is stored", writes, used.conn.SessionName, stored)
	}
}
