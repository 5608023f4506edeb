package s3conn

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

func putEntry(t *testing.T, m *mount, key, value string) {
	t.Helper()
	if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)}); err != nil {
		t.Fatalf("storing: %v", err)
	}
}

func TestScope_GoesWithItsConnection(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	m.writeScopeOf("orders", "second", scopeFields())
	m.write("orders-eu", rolesAnywhereFields(t))
	m.writeScopeOf("orders-eu", "reports", scopeFields())
	m.must(logical.DeleteOperation, "config/orders", nil)
	if m.storedScope("orders", "reports") != "" || m.storedScope("orders", "second") != "" {
		t.Error("a deleted connection left scopes")
	}
	if m.storedScope("orders-eu", "reports") == "" {
		t.Error("another connection's scope went too")
	}
	// A scope that a broken delete has left does not come back with the next connection of that name.
	putEntry(t, m, scopeKey("orders", "reports"), m.storedScope("orders-eu", "reports"))
	m.write("orders", rolesAnywhereFields(t))
	if m.storedScope("orders", "reports") != "" {
		t.Error("a scope of an earlier connection came back")
	}
}

func TestConfigWrite_RefusesWhatAScopeWouldNotOutlive(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("keys", accessKeyFields())
	m.writeScopeOf("keys", "long", scopeFields(map[string]any{"role_arn": "arn:aws:iam::123456789012:role/x",
		"duration": "12h"}))
	before := m.stored("keys")
	text := m.refused(logical.UpdateOperation, "config/keys", rolesAnywhereFields(t))
	for _, word := range []string{`writing connection "keys"`, `scope "keys/long" would not work any more`,
		"duration: ",
		"change or delete the scope first", "the stored connection is unchanged"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
	if m.stored("keys") != before {
		t.Error("the refused write changed the connection")
	}
	m.writeScopeOf("keys", "long", map[string]any{"duration": 3600})
	m.write("keys", rolesAnywhereFields(t))
}

func TestScope_StorageFailuresAreReported(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		operation logical.Operation
		path      string
		fails     []string
		says      string
	}{
		{logical.ReadOperation, "scopes/orders/reports", []string{"get"},
			`reading scope "reports" of connection "orders" from storage`},
		{logical.ListOperation, "scopes/orders/", []string{"list"}, `listing the scopes of connection "orders"`},
		{logical.ListOperation, "scopes/orders/", []string{"get"}, "reading scope"},
		{logical.UpdateOperation, "scopes/orders/reports", []string{"put"}, `storing scope "reports"`},
		{logical.UpdateOperation, "scopes/orders/reports", []string{"get"}, "storage"},
		{logical.DeleteOperation, "scopes/orders/reports", []string{"delete"}, `deleting scope "reports"`},
		{logical.DeleteOperation, "config/orders", []string{"list"}, "listing the scopes"},
	} {
		m := mountWithScope(t)
		m.storage.breakOn(errStorage, row.fails...)
		_, err := m.do(t.Context(), row.operation, row.path, map[string]any{"access": "read"})
		if !errors.Is(err, errStorage) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s of %s with a broken %v: %v, want errStorage and %q", row.operation, row.path, row.fails, err,
				row.says)
		}
		m.storage.breakOn(nil)
		if row.operation != logical.DeleteOperation && m.storedScope("orders", "reports") == "" {
			t.Errorf("%s of %s lost the scope", row.operation, row.path)
		}
	}
}

func TestScope_CancelledRequestsEnd(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	ctx, cancel := context.WithCancel(t.Context())
	m.storage.hangOn(scopePrefix)
	cancel()
	for _, operation := range []logical.Operation{logical.ReadOperation, logical.UpdateOperation} {
		if _, err := m.do(ctx, operation, "scopes/orders/reports", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", operation, err)
		}
	}
}

func TestScope_DamagedAndNewerEntriesSayWhatToDo(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	for entry, says := range map[string]string{"{": "delete the scope and write it again",
		`{"version":9,"revision":"r"}`: "run the newer plugin"} {
		putEntry(t, m, scopeKey("orders", "reports"), entry)
		_, err := m.do(t.Context(), logical.ReadOperation, "scopes/orders/reports", nil)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want words with %q", entry, err, says)
		}
	}
	m.must(logical.DeleteOperation, "scopes/orders/reports", nil)
	m.writeScopeOf("orders", "reports", scopeFields())
}

func TestScope_ThatGoesWhileItIsReadIsNotThere(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	deleted := func(prefix string) func(string) {
		return func(key string) {
			if strings.HasPrefix(key, prefix) {
				for _, gone := range []string{configPrefix + "orders", scopeKey("orders", "reports")} {
					if err := m.storage.Storage.Delete(t.Context(), gone); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
	putBack := func() {
		m.storage.afterGet = nil
		m.write("orders", rolesAnywhereFields(t))
		m.writeScopeOf("orders", "reports", scopeFields())
	}
	m.storage.afterGet = deleted(scopePrefix) // after the scope was read, its connection is gone
	if resp := m.must(logical.ReadOperation, "scopes/orders/reports", nil); resp != nil {
		t.Errorf("a scope without its connection is shown as %v", resp.Data)
	}
	putBack()
	m.storage.afterGet = deleted(configPrefix)
	resp, err := m.do(t.Context(), logical.UpdateOperation, "scopes/orders/reports", scopeFields())
	status, text := asVaultSeesIt(t, resp, err)
	if status != 409 || !strings.Contains(text, "it was deleted meanwhile") {
		t.Errorf("a scope of a connection that goes meanwhile: %d, %s", status, text)
	}
	if m.storedScope("orders", "reports") != "" {
		t.Error("a scope without a connection is stored")
	}
}

func TestScope_NamesThatStorageRefusesAreRefusedInWords(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	for path, operation := range map[string]logical.Operation{"scopes/a..b/": logical.ListOperation,
		"scopes/orders/a..b": logical.ReadOperation, "scopes/a..b/reports": logical.DeleteOperation,
		"creds/orders/a..b": logical.ReadOperation} {
		if text := m.refused(operation, path, nil); !strings.Contains(text, `holds ".."`) {
			t.Errorf("%s of %s: %s", operation, path, text)
		}
	}
}
