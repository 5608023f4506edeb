package rolesanywheretest

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// vectorRoots names recorded requests, see ../testdata/README.md, with the trust anchor of each.
func vectorRoots() map[string]string {
	return map[string]string{
		"rsa": "root.pem", "rsa-chain": "root.pem", "p256": "root.pem", "p384": "root.pem",
		"p521": "root-p256.pem", "rsa4096": "root-p256.pem", "ml-dsa-44": "root-p256.pem",
		"ml-dsa-65": "root-ml-dsa-87.pem", "ml-dsa-87": "root-ml-dsa-87.pem", "p256-under-ml-dsa": "root-ml-dsa-87.pem",
	}
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testdataCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(readTestdata(t, name))
	if block == nil {
		t.Fatalf("%s holds no PEM", name)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// vectorTime is the X-Amz-Date of a recorded request.
func vectorTime(t testing.TB, raw []byte) time.Time {
	t.Helper()
	r, err := readRequest(raw)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(amzDateLayout, r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func readRequest(raw []byte) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
}

func vectorService(t testing.TB, name string, raw []byte) *Service {
	t.Helper()
	at := vectorTime(t, raw)
	return NewService(Options{
		TrustAnchors: []*x509.Certificate{testdataCertificate(t, vectorRoots()[name])},
		Now:          func() time.Time { return at },
		MaxRecorded:  1,
	})
}

// serveRaw answers 400 in the place of net/http's server where the bytes are no HTTP request.
func serveRaw(s *Service, raw []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r, err := readRequest(raw)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return w
	}
	s.ServeHTTP(w, r)
	return w
}

func TestVectors_Accepted(t *testing.T) {
	t.Parallel()
	for name := range vectorRoots() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := readTestdata(t, name+".http")
			s := vectorService(t, name, raw)
			w := serveRaw(s, raw)
			if w.Code != http.StatusCreated {
				t.Fatalf("status %d, %s; reason %q", w.Code, w.Body, s.Requests()[0].Reason)
			}
			got := s.Requests()[0]
			leaf := testdataCertificate(t, name+".pem")
			if got.Subject != leaf.Subject.String() || got.SerialNumber != leaf.SerialNumber.String() ||
				got.RoleSessionName != "orders-api" || got.Duration != 900*time.Second ||
				got.RoleARN != "arn:aws:iam::123456789012:role/app" {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}

// span is a part of a raw request whose every byte is to matter.
type span struct {
	name     string
	from, to int
}

// signedSpans finds the method, the target, the signed headers' names and values, Authorization and the body.
func signedSpans(t *testing.T, raw []byte) []span {
	t.Helper()
	lineEnd := bytes.Index(raw, []byte("\r\n"))
	target := bytes.LastIndexByte(raw[:lineEnd], ' ') // before HTTP/1.1, which nothing signs
	spans := []span{{"method", 0, bytes.IndexByte(raw, ' ')}, {"target", bytes.IndexByte(raw, ' ') + 1, target}}
	r, err := readRequest(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	wanted := map[string]bool{"authorization": true}
	for name := range strings.SplitSeq(list, ";") {
		wanted[name] = true
	}
	found := 0
	for from := lineEnd + 2; ; {
		length := bytes.Index(raw[from:], []byte("\r\n"))
		if length == 0 {
			spans = append(spans, span{"body", from + 2, len(raw)})
			break
		}
		name, _, _ := strings.Cut(string(raw[from:from+length]), ":")
		if lower := strings.ToLower(name); wanted[lower] {
			found++
			spans = append(
				spans,
				span{"name " + lower, from, from + len(name)},
				span{"value " + lower, from + len(name) + 2, from + length},
			)
		}
		from += length + 2
	}
	if found != len(wanted) {
		t.Fatalf("found %d of the headers %v", found, wanted)
	}
	return spans
}

// substitutes are the bytes to try in the place of b: the neighbours, the other case, and ones that
// mean something in a header, a query or JSON. Where few is set, they take turns.
func substitutes(b byte, at int, few bool) []byte {
	candidates := []byte{b ^ 1, b ^ 0x20, b + 1, '0', 'A', ' ', '\t', ',', '%', '&', '+', 0, 0xff}
	if few {
		candidates = []byte{b ^ 1, candidates[1+at%2], candidates[3+at%10]}
	}
	var out []byte
	for _, c := range candidates {
		if c != b && !bytes.Contains(out, []byte{c}) {
			out = append(out, c)
		}
	}
	return out
}

// equivalent reports whether changing raw into changed changes nothing that SigV4 or HTTP sees.
func equivalent(in span, raw, changed []byte) bool {
	switch {
	case strings.HasPrefix(in.name, "name "):
		// RFC 9110 section 5.1: field names are case-insensitive.
		return bytes.EqualFold(raw, changed)
	case in.name == "target":
		// RFC 3986 section 6.2.2.1: %3a and %3A are the same octet.
		before, err := url.ParseRequestURI(string(raw[in.from:in.to]))
		if err != nil {
			return false
		}
		after, err := url.ParseRequestURI(string(changed[in.from:in.to]))
		if err != nil || !bytes.EqualFold(raw, changed) {
			return false
		}
		return before.EscapedPath() == after.EscapedPath() && reflect.DeepEqual(before.Query(), after.Query())
	}
	return false
}

// TestVectors_EveryChangedByteRefused changes each byte of what is signed, one at a time.
func TestVectors_EveryChangedByteRefused(t *testing.T) {
	t.Parallel()
	for name := range vectorRoots() {
		raw := readTestdata(t, name+".http")
		s := vectorService(t, name, raw)
		for _, in := range signedSpans(t, raw) {
			t.Run(name+"/"+in.name, func(t *testing.T) {
				t.Parallel()
				// Long values are base64 or hexadecimal throughout; verifying the other keys is slow.
				few := in.to-in.from > 400 || (name != "rsa" && name != "p256")
				// Of the long values of the other keys every 7th character is changed, and of the thousands of
				// characters of big keys, certificates and signatures every 31st.
				step := 1
				switch {
				case in.to-in.from > 1500 || name == "rsa4096":
					step = 31
				case in.to-in.from > 100 && name != "rsa" && name != "p256":
					step = 7
				}
				tried, same := 0, 0
				for at := in.from; at < in.to; at += step {
					for _, c := range substitutes(raw[at], at, few) {
						changed := bytes.Clone(raw)
						changed[at] = c
						accepted := serveRaw(s, changed).Code == http.StatusCreated
						if equivalent(in, raw, changed) {
							same++
							if !accepted {
								t.Errorf("byte %d as %q: refused though it means the same", at, c)
							}
							continue
						}
						tried++
						if accepted {
							t.Errorf("byte %d as %q instead of %q: accepted", at, c, raw[at])
						}
					}
				}
				if tried == 0 {
					t.Error("no byte was changed")
				}
				t.Logf("%d changes refused, %d without meaning accepted", tried, same)
			})
		}
	}
}

// TestVectors_UnsignedHeaderFree shows that the refusals above come from the signature's coverage.
func TestVectors_UnsignedHeaderFree(t *testing.T) {
	t.Parallel()
	for name := range vectorRoots() {
		raw := readTestdata(t, name+".http")
		changed := bytes.Replace(raw, []byte("User-Agent: "), []byte("User-Agent: x"), 1)
		if bytes.Equal(raw, changed) {
			t.Fatalf("%s: User-Agent not found", name)
		}
		if w := serveRaw(vectorService(t, name, raw), changed); w.Code != http.StatusCreated {
			t.Errorf("%s: status %d, want 201", name, w.Code)
		}
	}
}

// TestVectors_OtherAnchorRefused shows that a good signature alone opens nothing.
func TestVectors_OtherAnchorRefused(t *testing.T) {
	t.Parallel()
	raw := readTestdata(t, "rsa.http")
	at := vectorTime(t, raw)
	s := NewService(Options{Now: func() time.Time { return at }})
	w := serveRaw(s, raw)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), messageUntrusted) {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
}
