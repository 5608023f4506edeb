package rolesanywheretest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func keyTypes() []KeyType { return []KeyType{RSA2048, P256, MLDSA44, MLDSA65, MLDSA87} }

func mustIntermediate(t testing.TB, parent *Authority, o AuthorityOptions) *Authority {
	t.Helper()
	i, err := parent.Intermediate(o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// refusalOf sends a signed request of issued to a service that trusts anchors, and returns the refusal's reason, empty
// for none.
func refusalOf(t *testing.T, issued *Issued, anchors ...*x509.Certificate) string {
	t.Helper()
	s := NewService(Options{TrustAnchors: anchors, Now: testTime})
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, newUnsigned(issued).sign(t))
	got := s.Requests()[0]
	if (recorder.Code == http.StatusCreated) != (got.Reason == "") {
		t.Fatalf("status %d with reason %q", recorder.Code, got.Reason)
	}
	return got.Reason
}

func TestTrust_EveryMixOfKeys(t *testing.T) {
	t.Parallel()
	for _, rootKey := range keyTypes() {
		for _, leafKey := range keyTypes() {
			t.Run(string(rootKey)+"/"+string(leafKey), func(t *testing.T) {
				t.Parallel()
				root := mustAuthority(t, AuthorityOptions{KeyType: rootKey})
				if reason := refusalOf(t, mustIssue(t, root, IssueOptions{KeyType: leafKey}),
					root.Certificate()); reason != "" {
					t.Errorf("direct: %s", reason)
				}
				// The intermediate's key is of another kind than the root's.
				middle := mustIntermediate(t, root, AuthorityOptions{KeyType: leafKey})
				issued := mustIssue(t, middle, IssueOptions{KeyType: rootKey})
				if reason := refusalOf(t, issued, root.Certificate()); reason != "" {
					t.Errorf("chained: %s", reason)
				}
				other := mustAuthority(t, AuthorityOptions{KeyType: rootKey})
				if reason := refusalOf(t, issued, other.Certificate()); !strings.HasSuffix(
					reason,
					"a signature is not its issuer's",
				) {
					t.Errorf("another root of the same name: reason %q", reason)
				}
			})
		}
	}
}

func TestTrust_ChainInAnyOrder(t *testing.T) {
	t.Parallel()
	root := mustAuthority(t, AuthorityOptions{})
	first := mustIntermediate(t, root, AuthorityOptions{CommonName: "first"})
	second := mustIntermediate(t, first, AuthorityOptions{CommonName: "second", KeyType: MLDSA44})
	issued := mustIssue(t, second, IssueOptions{})
	issued.Chain = append([]*x509.Certificate{mustAuthority(t, AuthorityOptions{}).Certificate()}, issued.Chain...)
	slices.Reverse(issued.Chain)
	if reason := refusalOf(t, issued, root.Certificate()); reason != "" {
		t.Error(reason)
	}
	// A trust anchor need not be self-signed.
	if reason := refusalOf(t, mustIssue(t, second, IssueOptions{}), first.Certificate()); reason != "" {
		t.Error(reason)
	}
}

// authorityOf is a CA with a certificate that newAuthority would not make.
func authorityOf(t *testing.T, parent *Authority, change func(*x509.Certificate)) *Authority {
	t.Helper()
	key, err := GenerateKey(P256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: newSerialNumber(), Subject: pkix.Name{CommonName: "odd"},
		NotBefore: testTime().AddDate(0, 0, -1), NotAfter: testTime().AddDate(1, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	change(template)
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{certificate: certificate, key: key, now: testTime}
	if parent != nil {
		a.chain = []*x509.Certificate{certificate}
	}
	return a
}

func TestTrust_RefusesUnfitIssuers(t *testing.T) {
	t.Parallel()
	critical := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}
	root := mustAuthority(t, AuthorityOptions{})
	pathLen := authorityOf(t, nil, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	constrained := func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }
	for name, tt := range map[string]struct {
		anchor, issuer *Authority
		want           string
	}{
		"anchor that is a leaf": {authorityOf(t, nil, func(c *x509.Certificate) { c.IsCA = false }), nil,
			"the trust anchor is not a CA"},
		"anchor without usage": {authorityOf(t, nil, func(c *x509.Certificate) { c.KeyUsage = 0 }), nil,
			"the trust anchor's key usage lacks keyCertSign"},
		"anchor with SHA-1": {authorityOf(t, nil,
			func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), nil,
			"the trust anchor is signed with less than SHA-256"},
		"anchor expired": {authorityOf(t, nil,
			func(c *x509.Certificate) { c.NotAfter = testTime().AddDate(0, 0, -1) }), nil,
			"an issuer is not valid at this time"},
		"anchor with constraints": {authorityOf(t, nil, constrained), nil, "an issuer has name constraints"},
		"path too long": {pathLen, authorityOf(t, pathLen, func(*x509.Certificate) {}),
			"an issuer's path length is exceeded"},
		"issuer without certSign": {root, authorityOf(t, root,
			func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }),
			"an issuer's key usage lacks keyCertSign"},
		"issuer with an unknown critical extension": {root,
			authorityOf(t, root, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{critical} }),
			"a certificate has a critical extension"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := tt.issuer
			if issuer == nil {
				issuer = tt.anchor
			}
			const prefix = "no path leads from the certificate to a trust anchor: "
			if reason := refusalOf(t, mustIssue(t, issuer, IssueOptions{}),
				tt.anchor.Certificate()); !strings.HasPrefix(
				reason,
				prefix+tt.want,
			) {
				t.Errorf("reason %q, want %q", reason, tt.want)
			}
		})
	}
}

// The library refuses this certificate for the same reason.
func TestTrust_RefusesALeafUnderAnEd25519CA(t *testing.T) {
	t.Parallel()
	root := mustAuthority(t, AuthorityOptions{KeyType: Ed25519})
	if reason := refusalOf(t, mustIssue(t, root, IssueOptions{}), root.Certificate()); !strings.Contains(
		reason,
		"or Ed25519",
	) {
		t.Errorf("reason %q", reason)
	}
}

// A hostile chain of one name costs a bounded number of signature checks.
func TestTrust_BoundsTheSearch(t *testing.T) {
	t.Parallel()
	root := mustAuthority(t, AuthorityOptions{CommonName: "same"})
	issuer, chain := root, []*x509.Certificate{}
	for range maxChainCertificates {
		issuer = mustIntermediate(t, issuer, AuthorityOptions{CommonName: "same"})
		chain = append(chain, issuer.Certificate())
	}
	s := &pathSearch{
		anchors: []*x509.Certificate{mustAuthority(t, AuthorityOptions{CommonName: "same"}).Certificate()},
		now:     testTime(),
	}
	if s.leads(mustIssue(t, issuer, IssueOptions{}).Certificate, chain, 0) || s.checks > maxSignatureChecks {
		t.Errorf("a path was found, or %d signatures were checked", s.checks)
	}
}

func TestMLDSA_RefusesOtherAlgorithmsAndSignatures(t *testing.T) {
	t.Parallel()
	denied := func(reason string) want { return want{403, "AccessDeniedException", messageSignature, reason} }
	for name, c := range map[string]struct {
		issue IssueOptions
		edit  func(*unsigned)
		want  want
	}{
		"ECDSA's algorithm": {IssueOptions{KeyType: MLDSA65}, func(u *unsigned) { u.algorithm = algorithmECDSA },
			denied("the algorithm is AWS4-X509-ECDSA-SHA256 and the key is ML-DSA")},
		"with an ECDSA key": {IssueOptions{}, func(u *unsigned) { u.algorithm = algorithmMLDSA },
			denied("the algorithm is AWS4-X509-MLDSA and the key is ECDSA")},
		"another's key": {IssueOptions{KeyType: MLDSA65}, func(u *unsigned) {
			u.key, _ = GenerateKey(MLDSA65)
		}, denied("the signature is not the key's")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.issued = mustIssue(t, w.authority, c.issue)
			checkRefusal(t, w, w.call(t, c.edit), c.want)
		})
	}
}

func TestSession_AcceptsBothSpellingsAndOptionalMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	properties := manyProperties(50)
	u := newUnsigned(w.issued)
	u.body = with("instanceProperties", properties)
	digest := sha256.Sum256([]byte(u.body))
	u.headers["x-amz-content-sha256"] = hex.EncodeToString(digest[:])
	for _, separator := range []string{", ", ","} {
		r := u.sign(t)
		r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), ", ", separator))
		recorder := httptest.NewRecorder()
		w.ServeHTTP(recorder, r)
		if recorder.Code != http.StatusCreated || !maps.Equal(w.Requests()[0].InstanceProperties, properties) {
			t.Errorf("separator %q: status %d, reason %q", separator, recorder.Code, w.lastReason())
		}
	}
}
