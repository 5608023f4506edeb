package identity

import (
	"context"
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
	"net/url"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
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
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
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

func makeKey(name string) (crypto.Signer, error) {
	return NewKeyMaker(1).Make(context.Background(), name)
}

// with returns a state with a current identity of the authority's.
func with(t testing.TB, a *authority) State {
	t.Helper()
	state, err := State{ID: "1"}.NewWaiting(DefaultKeyType, false, Names{CommonName: "orders"}, time.Now(), makeKey)
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
				CommonName: "orders", Organization: []string{"Example"}, OrganizationalUnit: []string{"Data"}, Country: []string{"DE"},
				Province: []string{"Hessen"}, Locality: []string{"Mainz"}, DNSSANs: []string{"orders.example.com"},
				URISANs: []string{"spiffe://example.com/orders"},
			}
			state, err := State{ID: "1"}.NewWaiting(name, false, names, time.Now(), makeKey)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := state.Require("orders"); !errors.Is(err, ErrNoCertificate) || !strings.Contains(err.Error(), "identity/orders/csr") {
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
			if _, err := state.Current.Identity(); err != nil || state.Waiting != nil || state.Current.Origin != OriginVault {
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
	issued, err := other.Issue(rolesanywheretest.IssueOptions{CommonName: request.Subject.CommonName, PublicKey: public})
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

func TestNewWaiting_KeepsTheKeyThatWaits(t *testing.T) {
	t.Parallel()
	first, err := State{}.NewWaiting("ec-p256", false, Names{CommonName: "a"}, time.Now(), makeKey)
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) (crypto.Signer, error) { t.Error("a key was made"); return nil, errors.New("no") }
	second, err := first.NewWaiting("ec-p256", false, Names{CommonName: "b"}, time.Now().Add(time.Hour), never)
	if err != nil || !sameKey(first.Waiting.PrivateKey, second.Waiting.PrivateKey) || second.Waiting.CSR == first.Waiting.CSR ||
		!second.Waiting.Since.Equal(first.Waiting.Since) {
		t.Errorf("another request: %v", err)
	}
	_, err = first.NewWaiting("rsa-2048", false, Names{}, time.Now(), never)
	var refused *problem.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "key_type: a key of type ec-p256") || !strings.Contains(err.Error(), "new_key=true") {
		t.Errorf("another key_type: %v", err)
	}
	third, err := first.NewWaiting("ec-p384", true, Names{CommonName: "a"}, time.Now(), makeKey)
	if err != nil || third.Waiting.KeyType != "ec-p384" || sameKey(first.Waiting.PrivateKey, third.Waiting.PrivateKey) {
		t.Errorf("new_key: %v", err)
	}
}

func TestJoin_RefusesWithWordsAndChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	current := with(t, a)
	both, err := current.NewWaiting(DefaultKeyType, false, Names{CommonName: "next"}, time.Now(), makeKey)
	if err != nil {
		t.Fatal(err)
	}
	other := with(t, a).Current.Certificate
	ended := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	unrelated := toPEM(newAuthority(t).certificate)
	for name, test := range map[string]struct {
		state       State
		certificate string
		want        string
	}{
		"not PEM":                 {both, "CANARY", "certificate: parsing certificate"},
		"another key":             {both, other, "is of neither the key that waits nor the current one"},
		"no key waits":            {current, other, "is not of the current key, and no key waits"},
		"no key at all":           {State{}, other, "no key waits for it; make one with csr first"},
		"only the key that waits": {State{Waiting: both.Waiting}, other, "is not of the key that waits"},
		"ended":                   {both, a.answer(t, both.Waiting.CSR, ended), "certificate expired"},
		"a CA":                    {both, a.answer(t, both.Waiting.CSR, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), "is a CA certificate"},
		"another usage":           {both, a.answer(t, both.Waiting.CSR, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), "digitalSignature"},
		"another chain":           {both, a.answer(t, both.Waiting.CSR) + unrelated, "did not sign the one before it"},
	} {
		pair, err := test.state.Join(test.certificate, time.Now())
		var refused *problem.Error
		if pair != nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if pair, err := both.Join(a.answer(t, both.Waiting.CSR)+toPEM(a.certificate), time.Now()); err != nil || pair == nil {
		t.Errorf("its own chain: %v", err)
	}
}

func TestJoin_RenewalWithTheSameKeyLeavesTheOneThatWaits(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state, err := with(t, a).NewWaiting(DefaultKeyType, false, Names{CommonName: "next"}, time.Now(), makeKey)
	if err != nil {
		t.Fatal(err)
	}
	renewed := toPEM(a.sign(t, &x509.Certificate{Subject: state.Leaf().Subject, KeyUsage: x509.KeyUsageDigitalSignature}, state.Leaf().PublicKey))
	pair, err := state.Join(renewed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	next, err := state.Swap(pair, time.Now())
	if err != nil || next.Waiting != state.Waiting || next.Current.Certificate != renewed {
		t.Errorf("state %+v, %v", next, err)
	}
	if _, err := (State{}).Swap(pair, time.Now()); !errors.Is(err, ErrChanged) {
		t.Errorf("a pair of no key: %v", err)
	}
}

func TestNewRequest_KeepsSubjectAndNamesOfTheCurrentCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	uri, _ := url.Parse("spiffe://example.com/orders")
	key, _ := makeKey(DefaultKeyType)
	current := a.sign(t, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "orders", Organization: []string{"Example"}, ExtraNames: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 97}, Value: "x"}}},
		DNSNames: []string{"a.example.com"}, URIs: []*url.URL{uri}, EmailAddresses: []string{"a@example.com"},
	}, key.Public())
	for name, test := range map[string]struct {
		names           Names
		subject, names2 string
	}{
		"nothing given": {Names{}, current.Subject.String(), "[a.example.com] [spiffe://example.com/orders] [a@example.com]"},
		"subject given": {Names{Country: []string{"DE"}}, "CN=orders,O=Example,C=DE", "[a.example.com] [spiffe://example.com/orders] [a@example.com]"},
		"names given":   {Names{DNSSANs: []string{"b.example.com"}}, current.Subject.String(), "[b.example.com] [] []"},
	} {
		text, err := NewRequest(key, test.names, current)
		if err != nil {
			t.Fatal(err)
		}
		request := readRequest(t, text)
		if got := request.Subject.String(); got != test.subject {
			t.Errorf("%s: subject %s, want %s", name, got, test.subject)
		}
		if got := fmt.Sprint(request.DNSNames, request.URIs, request.EmailAddresses); got != test.names2 {
			t.Errorf("%s: names %s, want %s", name, got, test.names2)
		}
	}
}

func TestNamesCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		names Names
		want  string
	}{
		"fine":             {Names{CommonName: "Möbel & Söhne", Country: []string{"DE"}, DNSSANs: []string{"*.a.example"}, URISANs: []string{"urn:uuid:1"}}, ""},
		"long name":        {Names{CommonName: strings.Repeat("a", 65)}, "common_name: "},
		"control":          {Names{Organization: []string{"a\nb"}}, `organization: "a\nb" holds a control character`},
		"country":          {Names{Country: []string{"Germany"}}, `country: "Germany" is not a country code`},
		"DNS name":         {Names{DNSSANs: []string{"a..b"}}, `dns_sans: "a..b" is not a DNS name`},
		"URI":              {Names{URISANs: []string{"orders"}}, `uri_sans: "orders" is not a URI`},
		"URI in Unicode":   {Names{URISANs: []string{"spiffe://ä/b"}}, "uri_sans: "},
		"too many":         {Names{DNSSANs: make([]string, 17)}, "dns_sans: holds 17 values"},
		"long province":    {Names{Province: []string{strings.Repeat("a", 129)}}, "province: "},
		"not UTF-8 at all": {Names{Locality: []string{"\xff"}}, "locality: "},
	} {
		var p problem.List
		test.names.Check(&p)
		err := p.Err("making a request", "")
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestRenewAt(t *testing.T) {
	t.Parallel()
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	certificate := func(lifetime time.Duration) *x509.Certificate {
		return &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(lifetime)}
	}
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	for name, test := range map[string]struct {
		chain  []*x509.Certificate
		before time.Duration
		want   time.Duration // after its begin
	}{
		"a third of a day":                {[]*x509.Certificate{certificate(day)}, 0, 16 * time.Hour},
		"a third of a year":               {[]*x509.Certificate{certificate(year)}, 0, year / 3 * 2},
		"a third of three minutes":        {[]*x509.Certificate{certificate(3 * time.Minute)}, 0, 2 * time.Minute},
		"as asked":                        {[]*x509.Certificate{certificate(day)}, time.Hour, 23 * time.Hour},
		"as asked, early":                 {[]*x509.Certificate{certificate(day)}, 19 * time.Hour, 5 * time.Hour},
		"not below the lifetime":          {[]*x509.Certificate{certificate(day)}, day, 16 * time.Hour},
		"far above it":                    {[]*x509.Certificate{certificate(day)}, year, 16 * time.Hour},
		"never in its first sixth":        {[]*x509.Certificate{certificate(day)}, day - time.Minute, 4 * time.Hour},
		"an intermediate ends first":      {[]*x509.Certificate{certificate(day), certificate(20 * time.Hour)}, 0, 12 * time.Hour},
		"an intermediate ends long ago":   {[]*x509.Certificate{certificate(day), certificate(-year)}, 0, 4 * time.Hour},
		"an intermediate ends afterwards": {[]*x509.Certificate{certificate(day), certificate(year)}, 0, 16 * time.Hour},
		"seconds":                         {[]*x509.Certificate{certificate(6 * time.Second)}, 0, 5 * time.Second},
	} {
		if got := RenewAt(test.chain, test.before).Sub(begin); got != test.want {
			t.Errorf("%s: after %s, want %s", name, got, test.want)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	state := with(t, newAuthority(t))
	now := time.Now()
	issuer := &Issuer{Key: KeyNew}
	if due := state.Due(); !due.IsZero() {
		t.Errorf("nobody renews: %s", due)
	}
	state = state.WithIssuer(issuer)
	if due := state.Due(); !due.Equal(state.RenewAt()) || due.Before(now) {
		t.Errorf("an issuer: %s", due)
	}
	if due := state.Failed("no", now, now.Add(time.Minute)).Due(); !due.Equal(now.Add(time.Minute)) {
		t.Errorf("after a failure: %s", due)
	}
	if due := (State{Issuer: issuer}).Failed("no", now, now.Add(time.Minute)).Due(); !due.IsZero() {
		t.Errorf("without a certificate: %s", due)
	}
	proof := State{Issuer: issuer, Renewal: &Renewal{Certificate: "x", Since: now}}
	if due := proof.Due(); !due.Equal(now) {
		t.Errorf("a first certificate that waits for its proof: %s", due)
	}
	// An authority whose certificates are due for renewal as soon as they are issued is not asked all the time.
	state.Record.LastRenewal = state.Current.End().Add(-10 * time.Minute)
	if due, want := state.Due(), state.Record.LastRenewal.Add(100*time.Second); !due.Equal(want) {
		t.Errorf("due at once: %s, want %s", due, want)
	}
}
