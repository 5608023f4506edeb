package acceptance

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func (s *stack) presign(path string, fields map[string]any) *api.Secret {
	s.t.Helper()
	fields["bucket"] = bucketName
	return s.write("presign/"+path, fields)
}

// use makes the request that was presigned.
func (c urlClient) use(t *testing.T, signed *api.Secret, body []byte) (int, []byte) {
	t.Helper()
	return c.do(
		t,
		signed.Data["method"].(string),
		signed.Data["url"].(string),
		signed.Data["headers"].(map[string]any),
		body,
	)
}

func TestPresign_PlainHTTPClientsReadWriteAndDeleteOddKeys(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	s.write("config/reports", s.rootFields())
	s.write("config/orders", s.fields(nil))
	keys := []string{
		"plain.txt",
		"a/b/c",
		"a b+c",
		"100%25 off?.txt",
		"quote'\"()*&=;:@$,!~#[]{}|^`<>.bin",
		"ü€😀",
		"...",
		".hidden",
		"a/.../b",
		"%2e%2e/a",
		" a ",
	}
	for _, connection := range []string{"reports", "orders"} {
		for _, client := range urlClients(t) {
			t.Run(connection+"/"+client.name, func(t *testing.T) {
				t.Parallel()
				for _, key := range keys {
					key = client.name + "-" + connection + "/" + key
					content := []byte("content of " + key)
					use := func(method string, content []byte) (int, []byte) {
						fields := map[string]any{"method": method, "key": key}
						return client.use(t, s.presign(connection, fields), content)
					}
					get := func() (int, []byte) { // the method left out
						return client.use(t, s.presign(connection, map[string]any{"key": key}), nil)
					}
					if status, body := use("PUT", content); status != http.StatusOK {
						t.Fatalf("PUT of %q is answered with %d: %s", key, status, body)
					}
					if status, body := get(); status != http.StatusOK || !bytes.Equal(body, content) {
						t.Errorf("GET of %q is answered with %d: %s", key, status, body)
					}
					if status, _ := use("HEAD", nil); status != http.StatusOK {
						t.Errorf("HEAD of %q is answered with %d", key, status)
					}
					if status, body := use("DELETE", nil); status != http.StatusNoContent {
						t.Errorf("DELETE of %q is answered with %d: %s", key, status, body)
					}
					if status, _ := get(); status != http.StatusNotFound {
						t.Errorf("GET of %q after its deletion is answered with %d", key, status)
					}
				}
			})
		}
	}
}

// A scope's URLs make every kind of request inside of it, and none is signed for what lies outside.
func TestPresign_ScopesSignEveryMethodInsideAlone(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	s.write("scopes/store/all", map[string]any{"buckets": bucketName, "prefixes": "team/a/",
		"access": "list,read,write,delete"})
	s.write("scopes/store/readers", map[string]any{"buckets": bucketName, "prefixes": "team/a/"})
	for _, client := range urlClients(t) {
		key := "team/a/" + client.name
		for _, step := range []struct {
			method string
			body   []byte
			status int
		}{{"PUT", []byte("x"), http.StatusOK}, {"GET", nil, http.StatusOK}, {"HEAD", nil, http.StatusOK},
			{"DELETE", nil, http.StatusNoContent}, {"GET", nil, http.StatusNotFound}} {
			signed := s.presign("store/all", map[string]any{"method": step.method, "key": key})
			if status, body := client.use(t, signed, step.body); status != step.status {
				t.Errorf("%s: %s inside of the scope is answered with %d: %s", client.name, step.method, status, body)
			}
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		for scope, refused := range map[string]map[string]any{
			"store/all":     {"method": method, "bucket": bucketName, "key": "team/ab/x"},
			"store/readers": {"method": method, "bucket": otherBucket, "key": "team/a/x"},
		} {
			assertSays(t, s.refused("presign/"+scope, refused), "is outside the scope", "nothing was signed")
		}
		if method == "PUT" || method == "DELETE" {
			assertSays(t, s.refused("presign/store/readers", map[string]any{"method": method, "bucket": bucketName,
				"key": "team/a/x"}), "needs the access level", "nothing was signed")
		}
	}
}

func TestPresign_StoreRefusesWhatWasNotSigned(t *testing.T) {
	t.Parallel()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	s.write("config/reports", s.rootFields())
	content := []byte("twelve bytes")
	digest := sha256.Sum256(content)
	checksum := base64.StdEncoding.EncodeToString(digest[:])
	upload := s.presign(
		"reports",
		map[string]any{
			"method":          "PUT",
			"key":             "upload",
			"content_type":    "text/csv",
			"content_length":  len(content),
			"checksum_sha256": checksum,
		},
	)
	address, headers := upload.Data["url"].(string), upload.Data["headers"].(map[string]any)
	with := func(name, value string) map[string]any {
		changed := map[string]any{}
		for header, was := range headers {
			changed[header] = was
		}
		changed[name] = value
		return changed
	}
	for name, tt := range map[string]struct {
		method  string
		headers map[string]any
		body    string
		status  int
	}{
		"another method": {http.MethodGet, headers, "", http.StatusForbidden},
		"another length": {http.MethodPut, headers, "twelve bytes and more", http.StatusForbidden},
		"other content":  {http.MethodPut, headers, "TWELVE BYTES", http.StatusBadRequest},
		"another type":   {http.MethodPut, with("Content-Type", "text/html"), string(content), http.StatusForbidden},
		"another digest": {http.MethodPut,
			with("X-Amz-Checksum-Sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
			string(content), http.StatusForbidden},
		"what was signed": {http.MethodPut, headers, string(content), http.StatusOK},
	} {
		if status, body := doWithGo(t, tt.method, address, tt.headers, []byte(tt.body)); status != tt.status {
			t.Errorf("%s is answered with %d, want %d: %s", name, status, tt.status, body)
		}
	}
	empty := s.presign("reports", map[string]any{"method": "PUT", "key": "empty", "content_length": 0})
	emptyURL, emptyHeaders := empty.Data["url"].(string), empty.Data["headers"].(map[string]any)
	status, body := doWithGo(t, http.MethodPut, emptyURL, emptyHeaders, []byte("x"))
	if status != http.StatusBadRequest {
		t.Errorf("content where nothing was signed is answered with %d: %s", status, body)
	}
	if status, body := doWithGo(t, http.MethodPut, emptyURL, emptyHeaders, nil); status != http.StatusOK {
		t.Errorf("an empty object is answered with %d: %s", status, body)
	}
	other := strings.Replace(address, "/upload?", "/other?", 1)
	if status, body := doWithGo(t, http.MethodPut, other, headers, content); status != http.StatusForbidden {
		t.Errorf("another key is answered with %d: %s", status, body)
	}
}

func TestPresign_ResponseHasTheHeadersThatWereAskedFor(t *testing.T) {
	t.Parallel()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	s.write("config/reports", s.rootFields())
	urlClients(t)[0].use(t, s.presign("reports", map[string]any{"method": "PUT", "key": "report"}), []byte("a,b"))
	signed := s.presign(
		"reports",
		map[string]any{
			"key":                 "report",
			"content_type":        "text/csv; charset=utf-8",
			"content_disposition": `attachment; filename="a b.csv"`,
		},
	)
	response, err := http.Get(signed.Data["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Header.Get("Content-Type") != "text/csv; charset=utf-8" ||
		response.Header.Get("Content-Disposition") != `attachment; filename="a b.csv"` {
		t.Errorf("the headers are %v", response.Header)
	}
}

func TestPresign_URLEndsWithItsTime(t *testing.T) {
	t.Parallel()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	s.write("config/reports", s.rootFields())
	urlClients(t)[0].use(t, s.presign("reports", map[string]any{"method": "PUT", "key": "report"}), []byte("a"))
	signed := s.presign("reports", map[string]any{"key": "report", "expires": "2s"})
	end, err := time.Parse(time.RFC3339, signed.Data["expiration"].(string))
	if err != nil {
		t.Fatal(err)
	}
	until := time.NewTimer(time.Until(end.Add(time.Second)))
	defer until.Stop()
	select {
	case <-until.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	if status, body := urlClients(t)[0].use(t, signed, nil); status != http.StatusForbidden ||
		!bytes.Contains(body, []byte("expired")) {
		t.Errorf("after its end the URL is answered with %d: %s", status, body)
	}
}

func TestPresign_URLIsNotInTheAuditLogInTheClear(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true, Audit: true}, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	signed := s.presign("orders", map[string]any{"key": "CANARY-key"})
	u, err := url.Parse(signed.Data["url"].(string))
	if err != nil {
		t.Fatal(errors.New("the url is none"))
	}
	audit, log := s.vault.AuditLog(), s.vault.ServerLog()
	if !strings.Contains(audit, "s3conn/presign/orders") || !strings.Contains(audit, `"url":"hmac-sha256:`) {
		t.Fatal("the audit log does not show the request: the test shows nothing")
	}
	for what, text := range map[string]string{
		"signature":     u.Query().Get("X-Amz-Signature"),
		"session token": u.Query().Get("X-Amz-Security-Token"),
		"key":           "CANARY-key",
	} {
		if text == "" || strings.Contains(audit, text) || strings.Contains(log, text) {
			t.Errorf("the audit log or the server's log holds the %s", what)
		}
	}
}

func jsonText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
