package rolesanywhere

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

// addTestdata seeds f with the files of testdata that match pattern.
func addTestdata(f *testing.F, pattern string, add func([]byte)) {
	f.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds match %s: %v", pattern, err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		add(data)
	}
}

// What is accepted is accepted again in the form that this package would write, in the same order.
func FuzzParseCertificates(f *testing.F) {
	addTestdata(f, "*.pem", func(data []byte) { f.Add(data) })
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		certificates, err := ParseCertificates(data)
		if err != nil {
			if certificates != nil {
				t.Error("certificates beside an error")
			}
			return
		}
		again, err := ParseCertificates(certificatePEM(certificates...))
		if err != nil || len(again) != len(certificates) || len(again) > 1+maxIntermediates {
			t.Fatalf("%d certificates, then %d: %v", len(certificates), len(again), err)
		}
		for i := range again {
			if !again[i].Equal(certificates[i]) {
				t.Errorf("certificate %d changed", i)
			}
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, pattern := range []string{"*.key", "keys/*.pem"} {
		addTestdata(f, pattern, func(data []byte) { f.Add(data, []byte(keysPassphrase)) })
	}
	f.Fuzz(func(t *testing.T, data, passphrase []byte) {
		key, err := ParsePrivateKey(data, passphrase)
		if err != nil {
			if key != nil {
				t.Error("a key beside an error")
			}
			return
		}
		if err := checkPublicKey(key.Public()); err != nil {
			t.Errorf("an unsupported key was accepted: %v", err)
		}
		written, err := MarshalPrivateKey(key)
		if err != nil {
			t.Fatalf("the key cannot be written: %v", err)
		}
		if _, err := ParsePrivateKey(written, nil); err != nil {
			t.Errorf("the key is not accepted again: %v", err)
		}
	})
}

// An answer gives whole, live credentials or an error that is fit to print.
func FuzzDecodeResponse(f *testing.F) {
	f.Add(201, "application/json", "", []byte(sessionJSON(vectorTime.Add(time.Hour))))
	f.Add(201, "application/json", "", []byte(`{"credentialSet":[]}`))
	f.Add(
		403,
		"application/json",
		"AccessDeniedException:http://x/",
		[]byte(`{"message":"Untrusted signing certificate"}`),
	)
	f.Add(400, "application/x-amz-json-1.1", "", []byte(`{"__type":"a#ValidationException","Message":"\u001b"}`))
	f.Add(502, "text/html; charset=utf-8", "", []byte(`<html>`))
	f.Add(201, "text/html", "", []byte(`<html>`))
	f.Add(595, "0", "00000000000000000000AA0", []byte("00000000000000000")) // a body that repeats the request's id
	f.Fuzz(func(t *testing.T, status int, contentType, errorType string, body []byte) {
		header := http.Header{"Content-Type": {contentType}, "X-Amzn-Errortype": {errorType},
			"X-Amzn-Requestid": {errorType}, "Date": {contentType}}
		out, err := decodeResponse(status, header, body, vectorTime)
		if err == nil {
			c := out.Credentials
			if !c.HasKeys() || c.SessionToken == "" || !c.CanExpire || !c.Expires.After(vectorTime) {
				t.Error("half a session was accepted")
			}
			return
		}
		text := err.Error()
		if out != nil || len(text) > 8<<10 || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("output beside an error: %t, error = %q", out != nil, text)
		}
		// A body that is not JSON may be anything, a page with a token in it too: nothing of it shows.
		if !json.Valid(body) {
			_, err := decodeResponse(status, header, bytes.Repeat([]byte("x"), len(body)), vectorTime)
			if err == nil || err.Error() != text {
				t.Errorf("the error depends on a body that is not JSON: %q, and %v", text, err)
			}
		}
	})
}
