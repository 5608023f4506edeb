package s3conn

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// FuzzListBuckets has a store answer a test with anything: the result is no larger than the answer, and an error is short,
// on one line, fit to print, and neither quotes what is not S3's nor the credentials.
func FuzzListBuckets(f *testing.F) {
	const xml = "application/xml"
	deep := strings.Repeat("<Code>", 500) // small seeds: go test spends most of its time on shortening others
	f.Add(200, xml, []byte(twoBuckets))
	f.Add(200, xml, []byte(`<ListAllMyBucketsResult/>`))
	f.Add(200, "text/html", []byte(`<html><body>Welcome</body></html>`))
	f.Add(200, xml, []byte(twoBuckets[:len(twoBuckets)/2]))
	f.Add(200, xml, []byte(`<ListAllMyBucketsResult>`+deep))
	f.Add(204, "", []byte{})
	f.Add(200, xml, []byte{})
	f.Add(403, xml, []byte(`<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message><RequestId>1</RequestId><StringToSign>x</StringToSign></Error>`))
	f.Add(503, xml, []byte(`<Error><Code>SlowDown</Code><Message>`+strings.Repeat("ü", 500)+`</Message></Error>`))
	f.Add(400, strings.Repeat("x", 2<<10), []byte("<Error><Code>a&#10;b\x7f</Code><Message>\u2028\u202e&#9;</Message></Error>"))
	f.Add(404, xml, []byte(twoBuckets))
	f.Add(404, "text/html; charset=utf-8", []byte("not found"))
	f.Add(500, xml, []byte(`<Error><Code>`+deep))
	f.Add(301, "", []byte{})

	type canned struct {
		status int
		header string
		body   []byte
	}
	var answer atomic.Pointer[canned]
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := answer.Load()
		w.Header().Set("Content-Type", now.header)
		w.Header().Set("X-Amz-Request-Id", now.header)
		w.WriteHeader(now.status)
		_, _ = w.Write(now.body)
	}))
	f.Cleanup(store.Close)
	conn := connection.New()
	conn.S3Endpoint = store.URL
	creds := &credentials{accessKey: "AKIAEXAMPLE", secretKey: secret.New("CANARY-KEY"), sessionToken: secret.New("CANARY-TOKEN")}

	fixed := regexp.MustCompile("^ListBuckets: (HTTP [0-9]+ without an error of the service in it; .*|" + regexp.QuoteMeta(errNotS3.Error()) +
		"|the connection to [0-9.:]+ broke before it answered)$")
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 999 {
			t.Skip("net/http serves no such answer")
		}
		answer.Store(&canned{status, contentType, body})
		start := time.Now()
		names, err := listBuckets(t.Context(), &conn, creds, testTime)
		if took := time.Since(start); took > upstream.Timeout {
			t.Errorf("it took %s", took)
		}
		if err == nil {
			size := len(strings.Join(names, ""))
			if status > 299 || len(names) > bytes.Count(body, []byte("Name")) || size > len(body) {
				t.Errorf("HTTP %d with %d bytes became %d names of %d bytes", status, len(body), len(names), size)
			}
			return
		}
		err = upstream.Describe(opListBuckets, err)
		text := err.Error()
		if answered, known := statusOf(err); !known || answered < 400 || len(names) > 0 {
			t.Errorf("names beside the error: %q; it is answered with %d: %s", names, answered, text)
		}
		if len(text) > 2<<10 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the error is %d bytes long: %q", len(text), text)
		}
		if strings.Contains(text, planted) && !strings.Contains(contentType+string(body), planted) {
			t.Errorf("a secret is in the error: %s", text)
		}
		// What is no S3 error may be anything, a page with a token in it too: nothing of it shows.
		if !bytes.Contains(body, []byte("Error")) && !fixed.MatchString(text) {
			t.Errorf("%q became %q", body, text)
		}
	})
}
