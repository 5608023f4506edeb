package s3conn

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// planted stands where secrets do; short enough that a message cut in the middle would still show it.
const planted = "CANARY"

// fuzzMount is a mount that calls nothing and logs into the returned buffer.
func fuzzMount(t *testing.T) (b *backend, storage logical.Storage, log *lockedBuffer) {
	t.Helper()
	storage, log = &logical.InmemStorage{}, &lockedBuffer{}
	b = newBackend(func() time.Time { return testTime }, nil, nil)
	err := b.Setup(t.Context(), &logical.BackendConfig{System: logical.TestSystemView(), StorageView: storage,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: log})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Cleanup(t.Context()) })
	return b, storage, log
}

// FuzzConfigWrite sends any JSON object to config/x as it comes from Vault, the existence check first: the answer is
// never a Go error, which would be a 500, and quotes no secret.
func FuzzConfigWrite(f *testing.F) {
	for _, body := range []string{
		`{}`,
		`{"access_key":"AKIA","secret_key":"CANARY"}`,
		`{"access_key":"AKIA","secret_key":{"a":"CANARY"},"region":["x"]}`,
		`{"auth_type":"roles_anywhere","private_key":["CANARY"],"private_key_passphrase":"CANARY","duration":-1.5}`,
		`{"auth_type":"roles_anywhere","pkcs12":"CANARYAA","private_key_passphrase":"x","session_name":"y"}`,
		`{"access_key":"AKIA","secret_key":"x","proxy_url":"http://u:CANARY@proxy",` +
			`"s3_endpoint":"https://s3.example","s3_path_style":"T"}`,
		`{"auth_type":"roles_anywhere","role_arn":"arn:aws:iam::123456789012:role/x",` +
			`"certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----","duration":"1h"}`,
		`{"ca_cert":"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----","custom_region":"x-1",` +
			`"verify_connection":{},"regoin":1e400}`,
		`{"access_key":null,"secret_key":"","duration":9223372036854775808,"name":"other"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.UseNumber() // as Vault does
		var fields map[string]any
		if decoder.Decode(&fields) != nil {
			t.Skip("Vault itself refuses it")
		}
		delete(fields, "verify_connection") // it would call out
		delete(fields, "name")              // Vault takes it from the path
		b, storage, log := fuzzMount(t)
		for _, op := range []logical.Operation{logical.CreateOperation, logical.UpdateOperation, logical.PatchOperation,
			logical.ReadOperation} {
			req := &logical.Request{Operation: op, Path: "config/x", Data: fields, Storage: storage}
			if op == logical.CreateOperation || op == logical.UpdateOperation {
				check, stored := *req, len(storedKeys(t, storage)) > 0
				if found, exists, err := b.HandleExistenceCheck(t.Context(), &check); err != nil || !found ||
					exists != stored {
					t.Fatalf("before the %s: found %t, exists %t with %t stored, %v", op, found, exists, stored, err)
				}
				if shown := shownSecret(nil, log, fields); shown != "" {
					t.Errorf("the check before the %s shows a secret: %s", op, shown)
				}
			}
			resp, err := b.HandleRequest(t.Context(), req)
			if err != nil && (op != logical.UpdateOperation || len(storedKeys(t, storage)) > 0 ||
				!strings.Contains(err.Error(), "may only update")) {
				t.Fatalf("%s is a 500: %v", op, err)
			}
			if shown := shownSecret(resp, log, fields); shown != "" {
				t.Errorf("%s shows a secret: %s", op, shown)
			}
		}
	})
}

// shownSecret returns where a secret field's planted text is repeated. In other fields the text is no secret.
func shownSecret(resp *logical.Response, log *lockedBuffer, fields map[string]any) string {
	for _, name := range []string{"secret_key", "private_key", "private_key_passphrase", "pkcs12", "proxy_url",
		"token", "username", "password"} {
		value, err := json.Marshal(fields[name])
		if err != nil || !bytes.Contains(value, []byte(planted)) {
			continue
		}
		others, err := json.Marshal(without(fields, name))
		if err != nil || bytes.Contains(others, []byte(planted)) {
			continue
		}
		if name == "proxy_url" && (bytes.Count(value, []byte(planted)) > 1 ||
			!bytes.Contains(value, []byte(":"+planted+"@"))) {
			continue // only a proxy's password is a secret
		}
		text := log.String()
		if resp != nil {
			answer, err := json.Marshal(resp)
			if err != nil {
				return err.Error()
			}
			text += string(answer)
		}
		if strings.Contains(text, planted) {
			return text
		}
	}
	return ""
}

func without(fields map[string]any, name string) map[string]any {
	others := map[string]any{}
	for other, value := range fields {
		if other != name {
			others[other] = value
		}
	}
	return others
}

// FuzzStoredConnection reads any stored entry: it is a connection, or an error that does not quote it.
func FuzzStoredConnection(f *testing.F) {
	for _, entry := range []string{
		`{"version":1,"revision":"r","auth_type":"access_key","access_key":"AKIA","secret_key":"CANARY"}`,
		`{"version":1,"revision":"r","auth_type":"roles_anywhere","certificate":"CANARY","private_key":"CANARY"}`,
		`{"version":3,"revision":{"CANARY":1}}`, `{"version":1,"duration":"CANARY"}`, `null`, `CANARY{`, ``,
	} {
		f.Add([]byte(entry))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		b, storage, _ := fuzzMount(t)
		if err := storage.Put(t.Context(), &logical.StorageEntry{Key: "config/x", Value: entry}); err != nil {
			t.Fatal(err)
		}
		conn, err := loadConnection(t.Context(), storage, "x")
		if err != nil {
			if conn != nil || strings.Contains(err.Error(), planted) || len(err.Error()) > 300 {
				t.Fatalf("the error %v comes with %v", err, conn)
			}
			return
		}
		if conn == nil || conn.Revision == "" {
			t.Fatalf("read %+v", conn)
		}
		if err := saveConnection(t.Context(), storage, "x", conn); err != nil {
			t.Fatalf("storing it again: %v", err)
		}
		again, err := loadConnection(t.Context(), storage, "x")
		if err != nil || again.Settings != conn.Settings || again.SecretKey.Reveal() != conn.SecretKey.Reveal() ||
			again.PrivateKey.Reveal() != conn.PrivateKey.Reveal() || again.ProxyURL.Reveal() != conn.ProxyURL.Reveal() {
			t.Fatalf("it came back as %+v (%v)", again, err)
		}
		for op, path := range map[logical.Operation]string{logical.ReadOperation: "config/x",
			logical.ListOperation: "config/"} {
			req := &logical.Request{Operation: op, Path: path, Storage: storage}
			if _, err := b.HandleRequest(t.Context(), req); err != nil &&
				strings.Contains(err.Error(), "a defect of this plugin") {
				t.Fatalf("%s of %s panicked", op, path)
			}
		}
	})
}

// FuzzStoredSession reads any stored session: what is handed out is whole, alive and of this configuration.
func FuzzStoredSession(f *testing.F) {
	good := `{"version":1,"revision":"REVISION","access_key":"ASIA","secret_key":"s","session_token":"t","arn":"a",` +
		`"issued":"2026-11-23T12:00:00Z","expiration":"2026-11-23T13:00:00Z"}`
	for _, entry := range []string{good, strings.Replace(good, "REVISION", "x", 1),
		strings.Replace(good, "2026-11-23T13", "9999-11-23T13", 1),
		strings.Replace(good, `"version":1`, `"version":3`, 1), `null`, `{`, ``} {
		f.Add([]byte(entry))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		storage := &logical.InmemStorage{}
		if err := storage.Put(t.Context(), &logical.StorageEntry{Key: "session/x", Value: entry}); err != nil {
			t.Fatal(err)
		}
		sessions, used := sessionsOf(t)
		s, found := sessions.Load(t.Context(), storage, session.Key{Name: "x"}, used)
		if !found {
			if s != (session.Session{}) {
				t.Fatalf("a miss comes with %+v", s)
			}
			return
		}
		lifetime := s.Expiration.Sub(s.Issued)
		if s.AccessKey == "" || s.SecretKey.Empty() || s.SessionToken.Empty() || lifetime <= 0 ||
			lifetime > 24*time.Hour {
			t.Fatalf("a session of %s was taken: %+v", lifetime, s)
		}
		if !bytes.Contains(entry, []byte(used.conn.Revision)) {
			t.Fatalf("a session of another configuration was taken: %s", entry)
		}
	})
}
