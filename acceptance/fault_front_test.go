package acceptance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// front serves the stand-in for IAM Roles Anywhere over TLS and can fail below HTTP: show a certificate of another
// CA, or close its port. Its clock can be set wrong.
type front struct {
	*rolesanywheretest.Service
	authority *rolesanywheretest.Authority
	address   string
	caPEM     string

	canaries canaries // what it vends, and the keys of its connections
	vends    atomic.Int64

	ahead        atomic.Int64 // of the service's clock, nanoseconds
	foreign      atomic.Bool  // a certificate of an unknown CA
	known, alien tls.Certificate
	server       *http.Server
}

func newFront(t *testing.T, authority *rolesanywheretest.Authority, options rolesanywheretest.Options) *front {
	t.Helper()
	f := &front{authority: authority, known: loopbackCertificate(t), alien: loopbackCertificate(t)}
	options.TrustAnchors = []*x509.Certificate{authority.Certificate()}
	options.Now = func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }
	secret, token := f.canaries.plant("a session's secret key"), f.canaries.plant("a session's token")
	options.Vend = func(context.Context, rolesanywheretest.SessionRequest) (rolesanywheretest.Credentials, error) {
		id := fmt.Sprintf("ASIAEXAMPLE%09d", f.vends.Add(1))
		return rolesanywheretest.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
	}
	f.Service = rolesanywheretest.NewService(options)
	f.caPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.known.Leaf.Raw}))
	f.address = "127.0.0.1:0"
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Service.Close(); f.close() })
	return f
}

// open listens, after close at the same address as before.
func (f *front) open() error {
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		return fmt.Errorf("opening the service's port: %w", err)
	}
	f.address = listener.Addr().String()
	f.server = &http.Server{
		Handler:     f.Service,
		ReadTimeout: 30 * time.Second,
		ErrorLog:    log.New(io.Discard, "", 0), // refused handshakes are what some tests are about
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if f.foreign.Load() {
					return &f.alien, nil
				}
				return &f.known, nil
			}},
	}
	server := f.server
	go func() {
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return nil
}

func (f *front) close() { _ = f.server.Close() }

// connection is a roles_anywhere connection to the front with a certificate of its own. Each session name is an account
// of its own, because AWS's quota, and so the plugin's budget, is per account.
func (f *front) connection(t *testing.T, number int, sessionName string, changes map[string]any) map[string]any {
	t.Helper()
	issued, err := f.authority.Issue(rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	f.canaries.add("the private key of "+sessionName, strings.Split(string(issued.PrivateKeyPEM), "\n")[1])
	const service = "arn:aws:rolesanywhere:us-east-1:"
	fields := map[string]any{
		"auth_type":              "roles_anywhere",
		"profile_arn":            fmt.Sprintf("%s%012d%s", service, number, profileARN[len(service)+12:]),
		"trust_anchor_arn":       fmt.Sprintf("%s%012d%s", service, number, trustAnchorARN[len(service)+12:]),
		"role_arn":               fmt.Sprintf("arn:aws:iam::%012d:role/orders", number),
		"session_name":           sessionName,
		"certificate":            string(issued.CertificatePEM),
		"private_key":            string(issued.PrivateKeyPEM),
		"rolesanywhere_endpoint": "https://" + f.address,
		"ca_cert":                f.caPEM,
		"s3_endpoint":            "http://127.0.0.1:1", // nothing may go to AWS
	}
	maps.Copy(fields, changes)
	return fields
}

// assertNoLeak searches a text for what the front has vended and for its connections' keys.
func (f *front) assertNoLeak(t *testing.T, where, text string) {
	t.Helper()
	for _, found := range f.canaries.found(text) {
		t.Errorf("%s holds %s", where, found)
	}
}

// loopbackCertificate signs itself: it is its own CA.
func loopbackCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loopback"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
