package rolesanywheretest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// FuzzService: no request may crash the service, every refusal has AWS's form, and what is granted was
// signed: nobody can sign anew for the vectors' certificates here.
func FuzzService(f *testing.F) {
	signed := map[string]bool{}
	for name := range vectorRoots() {
		raw := readTestdata(f, name+".http")
		r, err := readRequest(raw)
		if err != nil {
			f.Fatal(err)
		}
		payload, err := io.ReadAll(r.Body)
		if err != nil {
			f.Fatal(err)
		}
		signed[r.Header.Get("X-Amz-X509")+r.Header.Get("X-Amz-Date")+string(payload)] = true
		f.Add(raw)
	}
	f.Add([]byte("POST /sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"))
	s := vectorService(f, "rsa", readTestdata(f, "rsa.http"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := readRequest(raw)
		if err != nil {
			return
		}
		x509Header, date := r.Header.Get("X-Amz-X509"), r.Header.Get("X-Amz-Date")
		body := &keptBody{from: r.Body}
		r.Body = body
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == http.StatusCreated {
			if !signed[x509Header+date+string(body.read)] {
				t.Fatalf("granted what nobody signed: %q", raw)
			}
			return
		}
		var refusal struct{ Message string }
		if err := json.Unmarshal(w.Body.Bytes(), &refusal); err != nil || refusal.Message == "" ||
			w.Header().Get("X-Amzn-ErrorType") == "" ||
			w.Code < 400 {
			t.Fatalf("status %d, header %v, body %q", w.Code, w.Header(), w.Body)
		}
	})
}

type keptBody struct {
	from io.ReadCloser
	read []byte
}

func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.read = append(b.read, p[:n]...)
	return n, err
}

func (b *keptBody) Close() error { return b.from.Close() }
