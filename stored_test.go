package s3conn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// golden compares what was stored with testdata, byte for byte: a tag that changes would lose what is stored.
func golden(t *testing.T, file string, storage logical.Storage, key string) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := storage.Get(t.Context(), key)
	if err != nil || entry == nil {
		t.Fatalf("reading %s: %v", key, err)
	}
	if got := strings.TrimSpace(string(entry.Value)); got != strings.TrimSpace(string(want)) {
		t.Errorf("stored as\n%s\nwant, as in testdata/%s,\n%s", got, file, want)
	}
}

// put stores a file of testdata.
func put(t *testing.T, storage logical.Storage, key, file string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: content}); err != nil {
		t.Fatal(err)
	}
}

// An older plugin must not take a newer entry for one of its own, and then write back what it understood of it.
func TestStoredConnection_NewerVersionIsRefusedInWords(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]string{
		"same types":          `{"version":3,"revision":"CANARY","auth_type":"access_key"}`,
		"duration in words":   `{"version":3,"revision":"CANARY","duration":"1h"}`,
		"nested":              `{"version":7,"revision":{"id":"CANARY"},"region":["a"],"secret_key":{"ref":"CANARY"}}`,
		"everything is other": `{"version":3,"auth_type":1}`,
	} {
		m := newMount(t)
		if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: "config/x", Value: []byte(entry)}); err != nil {
			t.Fatal(err)
		}
		for op, path := range map[logical.Operation]string{
			logical.ReadOperation: "config/x", logical.UpdateOperation: "config/x", logical.PatchOperation: "config/x",
		} {
			_, err := m.do(t.Context(), op, path, accessKeyFields())
			if err == nil || !strings.Contains(err.Error(), "by a newer plugin") ||
				!strings.Contains(err.Error(), "run the newer plugin") ||
				strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%s: %s is answered with %v", name, op, err)
			}
		}
		if m.stored("x") != entry {
			t.Errorf("%s: the newer entry was changed to %s", name, m.stored("x"))
		}
		m.must(logical.DeleteOperation, "config/x", nil)
	}
}

func TestStoredConnection_DamagedOneIsReportedAndCanBeDeleted(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]string{
		"not JSON": "CANARY{", "empty": "", "null": "null", "no version": `{"revision":"CANARY"}`,
		"no revision":   `{"version":1}`,
		"version below": `{"version":-1,"revision":"CANARY"}`,
		"another type":  `{"version":1,"revision":"CANARY","duration":"CANARY"}`,
	} {
		m := newMount(t)
		if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: "config/x", Value: []byte(entry)}); err != nil {
			t.Fatal(err)
		}
		if status, body := m.readSDK("x"); status != 500 || !strings.Contains(body["message"].(string), "damaged") ||
			strings.Contains(body["message"].(string), "CANARY") {
			t.Errorf("%s: sdk/x is answered with %d, %v", name, status, body)
		}
		for _, path := range []string{"config/x", "creds/x"} {
			_, err := m.do(t.Context(), logical.ReadOperation, path, nil)
			if err == nil || !strings.Contains(err.Error(), "damaged; delete the connection and write it again") ||
				strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%s: %s is answered with %v", name, path, err)
			}
		}
		m.must(logical.DeleteOperation, "config/x", nil)
		m.write("x", accessKeyFields())
	}
}

func fullSession() session.Session {
	return session.Session{Issued: testTime,
		AccessKey: "ASIA", SecretKey: secret.New("secret"), SessionToken: secret.New("token"), ARN: "arn",
		Expiration: testTime.Add(time.Hour),
	}
}

// sessionsOf is a store of sessions, and the connection that they are of.
func sessionsOf(t *testing.T) (*sessionStore, *inUse) {
	t.Helper()
	c := connection.Connection{Revision: "REVISION"}
	return &sessionStore{locks: newNameLocks(), log: hclog.NewNullLogger}, &inUse{conn: &c}
}

func TestStoredSession_Version1IsWrittenAsEver(t *testing.T) {
	t.Parallel()
	storage := &logical.InmemStorage{}
	sessions, used := sessionsOf(t)
	sessions.Save(t.Context(), storage, session.Key{Name: "x"}, used, fullSession(), func() bool { return true })
	golden(t, "session-v1.json", storage, "session/x")
}

func TestStoredSession_Version1IsReadWhole(t *testing.T) {
	t.Parallel()
	storage := &logical.InmemStorage{}
	put(t, storage, "session/x", "session-v1.json")
	sessions, used := sessionsOf(t)
	got, found := sessions.Load(t.Context(), storage, session.Key{Name: "x"}, used)
	want := fullSession()
	if !found || got.AccessKey != want.AccessKey || got.SecretKey.Reveal() != "secret" ||
		got.SessionToken.Reveal() != "token" ||
		got.ARN != want.ARN || !got.Expiration.Equal(want.Expiration) || !got.Issued.Equal(want.Issued) {
		t.Errorf("read %v, %+v", found, got)
	}
}
