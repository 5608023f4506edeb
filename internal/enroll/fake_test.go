package enroll

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
)

const (
	loginToken = "hvs.CANARY-of-the-login"
	givenToken = "CANARY-one-time-token"
	givenUser  = "CANARY-user"
	givenPass  = "CANARY-password"
)

// fake is a server of every kind of authority. It checks what it is asked with and records it.
type fake struct {
	*authority
	*httptest.Server
	t *testing.T

	// issue makes the leaf for a request; the default signs its key.
	issue func(public any) *x509.Certificate
	// before answers instead of the fake where it returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mutex   sync.Mutex
	calls   []string
	bodies  []string
	headers []http.Header
	peers   [][]*x509.Certificate
}

func newFake(t *testing.T, intermediates int) *fake {
	t.Helper()
	f := &fake{authority: newAuthority(t, intermediates), t: t}
	f.issue = func(public any) *x509.Certificate { return f.leaf(t, public) }
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = nil
	f.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{*f.identity(t)}}
	// The server names a CA that nobody has: the certificate has to be offered all the same.
	f.TLS.ClientCAs = x509.NewCertPool()
	f.TLS.ClientCAs.AddCert(newAuthority(t, 0).root())
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

// settings reach the fake.
func (f *fake) settings(kind string) Settings {
	address := strings.Replace(f.URL, "127.0.0.1", "localhost", 1)
	s := Settings{Type: kind, Address: address, CACert: network.EncodeCertificates([]*x509.Certificate{f.root()})}
	switch kind {
	case TypeVaultPKI:
		s.CertAuthRole, s.PKIPath, s.PKIRole = "renewal", "pki/team", "s3conn"
	case TypeEST:
		s.Label = "devices"
	}
	return s
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mutex.Lock()
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	f.bodies = append(f.bodies, string(body))
	f.headers = append(f.headers, r.Header.Clone())
	f.peers = append(f.peers, r.TLS.PeerCertificates)
	f.mutex.Unlock()
	if f.before != nil && f.before(w, r) {
		return
	}
	switch r.URL.Path {
	case "/v1/auth/cert/login":
		writeJSON(w, map[string]any{"auth": map[string]any{"client_token": loginToken}})
	case "/v1/auth/token/revoke-self":
		w.WriteHeader(http.StatusNoContent)
	case "/v1/pki/team/sign/s3conn":
		leaf := f.issue(requestedKey(jsonField(body, "csr")))
		writeJSON(w, map[string]any{"data": map[string]any{
			"certificate": toPEM(leaf), "issuing_ca": toPEM(f.certificates[0]), "ca_chain": allPEM(f.certificates),
		}})
	case "/.well-known/est/devices/cacerts":
		writeCertsOnly(w, backwards(f.certificates)...)
	case "/.well-known/est/devices/simplereenroll", "/.well-known/est/devices/simpleenroll":
		der, _ := base64.StdEncoding.DecodeString(string(body))
		writeCertsOnly(w, f.issue(requestedKey(string(encodeCSR(der)))))
	case "/sign", "/rekey":
		f.stepAnswer(w, f.issue(requestedKey(jsonField(body, "csr"))))
	case "/renew":
		f.stepAnswer(w, f.issue(r.TLS.PeerCertificates[0].PublicKey))
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) stepAnswer(w http.ResponseWriter, leaf *x509.Certificate) {
	w.WriteHeader(http.StatusCreated)
	chain := append([]*x509.Certificate{leaf}, f.certificates[:len(f.certificates)-1]...)
	writeJSON(w, map[string]any{"crt": toPEM(leaf), "ca": toPEM(f.certificates[0]), "certChain": allPEM(chain)})
}

func requestedKey(csr string) any {
	block, _ := pem.Decode([]byte(csr))
	if block == nil {
		return nil
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.CheckSignature() != nil {
		return nil
	}
	return request.PublicKey
}

func jsonField(body []byte, name string) string {
	var fields map[string]string
	_ = json.Unmarshal(body, &fields)
	return fields[name]
}

func writeJSON(w io.Writer, value any) { _ = json.NewEncoder(w).Encode(value) }

func writeCertsOnly(w http.ResponseWriter, certificates ...*x509.Certificate) {
	w.Header().Set("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
	text := base64.StdEncoding.EncodeToString(certsOnly(false, certificates...))
	for len(text) > 76 {
		_, _ = io.WriteString(w, text[:76]+"\r\n")
		text = text[76:]
	}
	_, _ = io.WriteString(w, text)
}

func toPEM(c *x509.Certificate) string { return network.EncodeCertificates([]*x509.Certificate{c}) }

func allPEM(certificates []*x509.Certificate) (texts []string) {
	for _, one := range certificates {
		texts = append(texts, toPEM(one))
	}
	return texts
}

func backwards(certificates []*x509.Certificate) (turned []*x509.Certificate) {
	for _, one := range certificates {
		turned = append([]*x509.Certificate{one}, turned...)
	}
	return turned
}
