package rolesanywheretest

import (
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRefusal_Certificate(t *testing.T) {
	t.Parallel()
	insufficient := func(reason string) want { return want{403, "AccessDeniedException", messageInsufficient, reason} }
	untrusted := func(reason string) want { return want{403, "AccessDeniedException", messageUntrusted, reason} }
	for name, c := range map[string]struct {
		options IssueOptions
		want    want
	}{
		"CA":        {IssueOptions{IsCA: true}, insufficient("the certificate is a CA's")},
		"version 1": {IssueOptions{Version1: true}, insufficient("the certificate is not X.509 v3")},
		"no digitalSignature": {IssueOptions{NoDigitalSignature: true},
			insufficient("the certificate's key usage lacks digitalSignature")},
		"no subject": {IssueOptions{NoSubject: true}, insufficient("the certificate's subject is empty")},
		"SHA-1": {IssueOptions{SHA1: true},
			insufficient("the certificate's signature algorithm is weaker")},
		"RSA 1024": {IssueOptions{KeyType: RSA1024}, insufficient("the RSA key has 1024 bits")},
		"P-224":    {IssueOptions{KeyType: P224}, insufficient("the curve is not")},
		"Ed25519":  {IssueOptions{KeyType: Ed25519}, insufficient("the key is not RSA, ECDSA or ML-DSA")},
		"expired": {IssueOptions{NotAfter: testTime().Add(-time.Second)},
			untrusted("the certificate has expired")},
		"not yet valid": {IssueOptions{NotBefore: testTime().Add(time.Second)},
			untrusted("the certificate is not yet valid")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.issued = mustIssue(t, w.authority, c.options)
			checkRefusal(t, w, w.call(t, nil), c.want)
		})
	}
}

func TestRefusal_Chain(t *testing.T) {
	t.Parallel()
	noPath := want{403, "AccessDeniedException", messageUntrusted, "no path leads"}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, w *world)
		edit    func(*unsigned)
		want    want
	}{
		"other authority": {func(t *testing.T, w *world) {
			w.issued = mustIssue(t, mustAuthority(t, AuthorityOptions{}), IssueOptions{})
		}, nil, noPath},
		"own root in the chain": {func(t *testing.T, w *world) {
			other := mustAuthority(t, AuthorityOptions{})
			w.issued = mustIssue(t, other, IssueOptions{})
			w.issued.Chain = []*x509.Certificate{other.Certificate()}
		}, nil, noPath},
		"chain missing": {issueThroughIntermediate, func(u *unsigned) { delete(u.headers, "x-amz-x509-chain") },
			noPath},
		"chain garbage": {issueThroughIntermediate, func(u *unsigned) { u.headers["x-amz-x509-chain"] = "AAAA" },
			want{403, "AccessDeniedException", messageInsufficient, "X-Amz-X509-Chain is not a DER"}},
		"chain with a space": {issueThroughIntermediate,
			func(u *unsigned) { u.headers["x-amz-x509-chain"] += ", " + u.headers["x-amz-x509-chain"] },
			want{403, "AccessDeniedException", messageInsufficient, "X-Amz-X509-Chain is not padded base64"}},
		"chain of six": {issueThroughIntermediate, func(u *unsigned) {
			one := u.headers["x-amz-x509-chain"]
			u.headers["x-amz-x509-chain"] = one + strings.Repeat(","+one, 5)
		}, want{403, "AccessDeniedException", messageUntrusted, "X-Amz-X509-Chain has 6 certificates"}},
		"issued by a leaf": {func(t *testing.T, w *world) {
			leaf := mustIssue(t, w.authority, IssueOptions{CommonName: "not a CA"})
			forger := &Authority{certificate: leaf.Certificate, key: leaf.Key,
				chain: []*x509.Certificate{leaf.Certificate}, now: testTime}
			w.issued = mustIssue(t, forger, IssueOptions{})
		}, nil, noPath},
		"intermediate signed with SHA-1": {func(t *testing.T, w *world) {
			weak := mustIssue(t, w.authority, IssueOptions{IsCA: true, SHA1: true})
			issuer := &Authority{certificate: weak.Certificate, key: weak.Key,
				chain: []*x509.Certificate{weak.Certificate}, now: testTime}
			w.issued = mustIssue(t, issuer, IssueOptions{})
		}, nil, want{403, "AccessDeniedException", messageUntrusted, "a certificate of the chain is signed with less"}},
		"intermediate expired": {func(t *testing.T, w *world) {
			i, err := w.authority.Intermediate(AuthorityOptions{NotAfter: testTime().Add(-time.Second)})
			if err != nil {
				t.Fatal(err)
			}
			w.issued = mustIssue(t, i, IssueOptions{})
		}, nil, noPath},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			c.prepare(t, w)
			checkRefusal(t, w, w.call(t, c.edit), c.want)
		})
	}
}

// TestRefusal_ChainSentTwice: to the signature two headers are the same as one with a comma.
func TestRefusal_ChainSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	issueThroughIntermediate(t, w)
	u := newUnsigned(w.issued)
	one := u.headers["x-amz-x509-chain"]
	u.headers["x-amz-x509-chain"] = one + "," + one
	r := u.sign(t)
	r.Header["X-Amz-X509-Chain"] = []string{one, one}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	checkRefusal(
		t,
		w,
		recorder,
		want{403, "AccessDeniedException", messageUntrusted, "X-Amz-X509-Chain is sent more than once"},
	)
}

func issueThroughIntermediate(t *testing.T, w *world) {
	t.Helper()
	i, err := w.authority.Intermediate(AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.issued = mustIssue(t, i, IssueOptions{})
}
