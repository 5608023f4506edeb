package harness

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// contractDocument has one path with what the mount's document has, too.
const contractDocument = `{"openapi": "3.0.2", "info": {"title": "t", "version": "1"}, "paths": {
  "/creds/{name}": {"get": {"responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {
    "type": "object", "required": ["access_key"], "properties": {
      "access_key": {"type": "string"}, "ttl": {"type": "integer"},
      "buckets": {"type": "array", "items": {"type": "string"}}
    }}}}}}}, "delete": {"responses": {"204": {"description": "none"}}}},
  "/creds/": {"get": {"responses": {"200": {"description": "OK"}}}},
  "/metrics": {"get": {"responses": {"200": {"description": "OK"}}}}
}}`

// TestContract_FindsWhatTheDocumentDoesNotSay is about the judge of every response of the acceptance tests.
func TestContract_FindsWhatTheDocumentDoesNotSay(t *testing.T) {
	t.Parallel()
	document, err := openapi3.NewLoader().LoadFromData([]byte(contractDocument))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		operation, path string
		status          int
		body            string // of JSON; empty for none
		says            string // empty: it fits
	}{
		"what is declared": {"GET", "/creds/orders", 200, `{"request_id": "1", "data": {"access_key": "A", "ttl": 1}}`,
			""},
		"a raw answer": {"GET", "/creds/orders", 200, `{"access_key": "A"}`, ""},
		"another field": {"GET", "/creds/orders", 200, `{"request_id": "1", "data": {"access_key": "A", "arn": "a"}}`,
			`the field "arn" is not declared`},
		"another type": {"GET", "/creds/orders", 200, `{"request_id": "1", "data": {"access_key": "A", "ttl": "1m"}}`,
			"the field ttl: "},
		"another type in a list": {"GET", "/creds/orders", 200,
			`{"request_id": "1", "data": {"access_key": "A", "buckets": [1]}}`, "the field buckets.0: "},
		"a field that is missing": {"GET", "/creds/orders", 200, `{"request_id": "1", "data": {"ttl": 1}}`,
			"the field access_key: "},
		"no data": {"GET", "/creds/orders", 200, `{"request_id": "1", "data": null}`,
			"it has no data"},
		"nothing":               {"GET", "/creds/orders", 200, "", "where JSON is declared"},
		"another status":        {"DELETE", "/creds/orders", 200, "", "no such status"},
		"nothing where none is": {"DELETE", "/creds/orders", 204, "", ""},
		"data where none is": {"GET", "/metrics", 200, `{"request_id": "1", "data": {"x": 1}}`,
			"where none are declared"},
		"a list as it is":          {"LIST", "/creds", 200, "", ""},
		"an operation not there":   {"POST", "/creds/orders", 200, "", "no such operation"},
		"a path that is not there": {"GET", "/credits/orders", 200, "", "no such operation"},
	} {
		resp := &http.Response{StatusCode: c.status, Header: http.Header{}}
		if c.body != "" {
			resp.Header.Set("Content-Type", "application/json")
		}
		_, err := judge(document, c.operation, c.path, resp, []byte(c.body))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "1m") {
			t.Errorf("%s: the error repeats a value: %v", name, err)
		}
	}
}
