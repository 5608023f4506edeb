package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// authority signs what tests need.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	a.certificate = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{
			CommonName: "authority",
		}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key.Public())
	return a
}

func (a *authority) sign(t testing.TB, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	}
	parent := a.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// answer signs the request of a PEM text, changed by the functions.
func (a *authority) answer(t testing.TB, csr string, changes ...func(*x509.Certificate)) string {
	t.Helper()
	request := readRequest(t, csr)
	template := &x509.Certificate{RawSubject: request.RawSubject, KeyUsage: x509.KeyUsageDigitalSignature}
	for _, change := range changes {
		change(template)
	}
	return toPEM(a.sign(t, template, request.PublicKey))
}

func toPEM(c *x509.Certificate) string { return network.EncodeCertificates([]*x509.Certificate{c}) }

func readRequest(t testing.TB, text string) *x509.CertificateRequest {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 || block.Type != "CERTIFICATE REQUEST" {
		t.Fatalf("not a request: %q", text)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// with returns a state with a current identity of the authority's.
func with(t testing.TB, a *authority) State {
	t.Helper()
	state, err := State{ID: "1"}.NewWaiting(DefaultKeyType, false, Names{CommonName: "orders"}, time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := state.Join(a.answer(t, state.Waiting.CSR), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if state, err = state.Swap(pair, time.Now()); err != nil {
		t.Fatal(err)
	}
	return state
}

func TestLifeOfAnIdentity_EveryKeyType(t *testing.T) {
	t.Parallel()
	for _, name := range KeyTypes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			names := Names{
				CommonName: "orders", Organization: []string{"Example"}, OrganizationalUnit: []string{"Data"},
				Country:  []string{"DE"},
				Province: []string{"Hessen"}, Locality: []string{"Mainz"}, DNSSANs: []string{"orders.example.com"},
				URISANs: []string{"spiffe://example.com/orders"},
			}
			state, err := State{ID: "1"}.NewWaiting(name, false, names, time.Now(), NewKey)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := state.Require("orders"); !errors.Is(err, ErrNoCertificate) ||
				!strings.Contains(err.Error(), "identity/orders/csr") {
				t.Errorf("required: %v", err)
			}
			checkRequest(t, state.Waiting.CSR, name)
			pair, err := state.Join(a.answerAny(t, state.Waiting.CSR), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if state, err = state.Swap(pair, time.Now()); err != nil {
				t.Fatal(err)
			}
			if _, err := state.Current.Identity(); err != nil || state.Waiting != nil ||
				state.Current.Origin != OriginVault {
				t.Errorf("state %+v, %v", state, err)
			}
			if key, _ := state.Current.key(); KeyTypeOf(key.Public()) != name {
				t.Errorf("the key is of type %q", KeyTypeOf(key.Public()))
			}
		})
	}
}

// answerAny answers requests of ML-DSA too, of which crypto/x509 of Go 1.26 makes nothing.
func (a *authority) answerAny(t testing.TB, csr string) string {
	t.Helper()
	request := readRequest(t, csr)
	public, err := mldsax509.ParsePKIXPublicKey(request.RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	key, isMLDSA := public.(*mldsa.PublicKey)
	if !isMLDSA {
		return a.answer(t, csr)
	}
	if err := mldsa.Verify(key, request.RawTBSCertificateRequest, request.Signature, nil); err != nil {
		t.Errorf("the request's signature: %v", err)
	}
	other, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{KeyType: rolesanywheretest.MLDSA65})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := other.Issue(
		rolesanywheretest.IssueOptions{CommonName: request.Subject.CommonName, PublicKey: public},
	)
	if err != nil {
		t.Fatal(err)
	}
	return string(issued.CertificatePEM)
}

func checkRequest(t *testing.T, text, name string) {
	t.Helper()
	request := readRequest(t, text)
	if err := request.CheckSignature(); err != nil && !IsMLDSA(name) {
		t.Error(err)
	}
	if subject := request.Subject.String(); subject != "CN=orders,OU=Data,O=Example,L=Mainz,ST=Hessen,C=DE" {
		t.Errorf("subject %s", subject)
	}
	if fmt.Sprint(request.DNSNames, request.URIs) != "[orders.example.com] [spiffe://example.com/orders]" {
		t.Errorf("names %v %v", request.DNSNames, request.URIs)
	}
	public, _ := mldsax509.ParsePKIXPublicKey(request.RawSubjectPublicKeyInfo)
	if KeyTypeOf(public) != name {
		t.Errorf("key of type %q", KeyTypeOf(public))
	}
}
