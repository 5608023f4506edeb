package rolesanywhere

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseCertificates_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	want := []*x509.Certificate{selfSigned(t, leafTemplate(), key)}
	for range maxIntermediates {
		want = append(want, selfSigned(t, caTemplate(), key))
	}
	// openssl pkcs12 writes such lines before every block.
	text := "Bag Attributes\n    localKeyID: 01\n" + string(certificatePEM(want...)) + "\n\n"
	got, err := ParseCertificates([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
		t.Error("other certificates, or in another order")
	}
}

func TestParseCertificates_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	leaf, ca := selfSigned(t, leafTemplate(), key), selfSigned(t, caTemplate(), key)
	leafWith := func(change func(*x509.Certificate)) []byte {
		template := leafTemplate()
		change(template)
		return certificatePEM(selfSigned(t, template, key))
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	brokenMiddle := slices.Concat(certificatePEM(leaf),
		[]byte("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"), certificatePEM(ca))
	for name, tt := range map[string]struct {
		pem  []byte
		want error
		says string
	}{
		"nothing":  {nil, ErrInvalidCertificate, "no PEM block found; want the leaf"},
		"too long": {make([]byte, maxPEM+1), ErrInvalidCertificate, "at most"},
		"DER":      {leaf.Raw, ErrInvalidCertificate, "openssl x509 -inform der"},
		"private key": {readTestdata(t, "p256.key"), ErrInvalidCertificate,
			"found a private key in the certificate's place"},
		"request": {encodePEM("CERTIFICATE REQUEST", []byte{1}), ErrInvalidCertificate,
			"PEM block 1 is not a certificate"},
		"not X.509": {encodePEM(certificateBlock, []byte{1}), ErrInvalidCertificate,
			"PEM block 1 is not valid X.509"},
		"trailing text": {append(certificatePEM(leaf), "oops"...), ErrInvalidCertificate,
			"follows the last PEM block"},
		"damaged in between": {brokenMiddle, ErrInvalidCertificate, "is damaged"},
		"six intermediates": {certificatePEM(leaf, ca, ca, ca, ca, ca, ca), ErrTooManyIntermediates,
			"6 follow the leaf"},
		"leaf not first": {certificatePEM(ca, leaf), ErrCertificateUnusable, "the leaf: it is a CA certificate"},
		"two leaves":     {certificatePEM(leaf, leaf), ErrCertificateUnusable, "intermediate 1: it is not a CA"},
		"no digitalSignature": {leafWith(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }),
			ErrCertificateUnusable, "digitalSignature"},
		"no key usage": {leafWith(func(c *x509.Certificate) { c.KeyUsage = 0 }), ErrCertificateUnusable,
			"digitalSignature"},
		"no subject": {leafWith(func(c *x509.Certificate) { c.Subject = pkix.Name{} }), ErrCertificateUnusable,
			"subject is empty"},
		"Ed25519 leaf": {certificatePEM(issued(t, leafTemplate(), edKey.Public(), key)), ErrUnsupportedKey,
			"want RSA"},
		"Ed25519 CA": {certificatePEM(issued(t, leafTemplate(), key.Public(), edKey)), ErrCertificateUnusable,
			"signed with Ed25519"},
		"P-224": {certificatePEM(selfSigned(t, leafTemplate(), ecKey(t, elliptic.P224()))),
			ErrUnsupportedKey, "P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseCertificates(tt.pem)
			if got != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error = %v; want %v, saying %q", err, tt.want, tt.says)
			}
		})
	}
}

func TestCheckCertificates_JudgesVersionAndSignature(t *testing.T) {
	t.Parallel()
	parsed := selfSigned(t, leafTemplate(), ecKey(t, elliptic.P256()))
	for name, tt := range map[string]struct {
		change func(*x509.Certificate)
		want   error
	}{
		"as it is":  {func(*x509.Certificate) {}, nil},
		"version 1": {func(c *x509.Certificate) { c.Version = 1 }, ErrCertificateUnusable},
		"MD5":       {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.MD5WithRSA }, ErrCertificateUnusable},
		"SHA-1 RSA": {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA },
			ErrCertificateUnusable},
		"SHA-1 ECDSA": {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 },
			ErrCertificateUnusable},
		"unknown":       {func(c *x509.Certificate) { c.SignatureAlgorithm = 0 }, ErrCertificateUnusable},
		"SHA-384 ECDSA": {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA384 }, nil},
		"SHA-256 PSS":   {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS }, nil},
		"never parsed":  {func(c *x509.Certificate) { c.Raw = nil }, ErrInvalidCertificate},
	} {
		certificate := *parsed
		tt.change(&certificate)
		if err := checkCertificates([]*x509.Certificate{&certificate}); !errors.Is(err, tt.want) {
			t.Errorf("%s: error = %v, want %v", name, err, tt.want)
		}
	}
}

func TestNewIdentity_RefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	key, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, ca := selfSigned(t, leafTemplate(), key), selfSigned(t, caTemplate(), key)
	rsaKey, err := ParsePrivateKey(readTestdata(t, "rsa.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	chain := func(c ...*x509.Certificate) []*x509.Certificate { return c }
	_, none := NewIdentity(nil, key)
	_, null := NewIdentity(chain(nil), key)
	_, many := NewIdentity(chain(leaf, ca, ca, ca, ca, ca, ca), key)
	_, isCA := NewIdentity(chain(ca), key)
	_, noKey := NewIdentity(chain(leaf), nil)
	_, ed := NewIdentity(chain(leaf), edKey)
	_, mismatch := NewIdentity(chain(leaf), other)
	_, otherKind := NewIdentity(chain(leaf), rsaKey)
	for i, tt := range []struct{ got, want error }{
		{none, ErrInvalidCertificate}, {null, ErrInvalidCertificate}, {many, ErrTooManyIntermediates},
		{isCA, ErrCertificateUnusable}, {noKey, ErrUnsupportedKey}, {ed, ErrUnsupportedKey},
		{mismatch, ErrKeyMismatch}, {otherKind, ErrKeyMismatch},
	} {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("case %d: error = %v, want %v", i, tt.got, tt.want)
		}
	}
}

func TestIdentity_ChainIsACopy(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "rsa-chain")
	chain := id.Chain()
	if len(chain) != 1 || chain[0].Subject.CommonName != "Lab Intermediate" {
		t.Fatalf("chain = %v", chain)
	}
	chain[0] = nil
	if id.Chain()[0] == nil {
		t.Error("changing the returned chain changed the identity")
	}
}

func TestCheckValidity_BothDatesBelongToThePeriod(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	leaf := selfSigned(t, leafTemplate(), key)
	ca := caTemplate()
	ca.NotAfter = leaf.NotAfter.Add(-time.Hour)
	id, err := NewIdentity([]*x509.Certificate{leaf}, key)
	if err != nil {
		t.Fatal(err)
	}
	chained, err := NewIdentity([]*x509.Certificate{leaf, selfSigned(t, ca, key)}, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		id   *Identity
		now  time.Time
		want error
		says string
	}{
		"before": {id, leaf.NotBefore.Add(-time.Second), ErrCertificateNotYetValid,
			"2026-11-22T21:33:06Z"},
		"first second":         {id, leaf.NotBefore, nil, ""},
		"last second":          {id, leaf.NotAfter, nil, ""},
		"after":                {id, leaf.NotAfter.Add(time.Second), ErrCertificateExpired, "2026-11-23T21:33:06Z"},
		"intermediate expired": {chained, leaf.NotAfter, ErrCertificateExpired, "intermediate 1"},
	} {
		err := tt.id.CheckValidity(tt.now)
		if !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: error = %v; want %v, saying %q", name, err, tt.want, tt.says)
		}
	}
}

func TestIdentity_PrintsAsRedaction(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "p256")
	secret := id.key.(*ecdsa.PrivateKey)
	scalar, err := secret.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	out := &CreateSessionOutput{AssumedRoleID: "CANARY"}
	var printed []string
	for _, v := range []any{id, *id, out, *out} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			printed = append(printed, fmt.Sprintf(verb, v))
		}
		asJSON, err := json.Marshal(map[string]any{"value": v})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "value", v)
		printed = append(printed, string(asJSON), log.String())
	}
	printed = append(printed, id.String(), id.GoString(), out.String(), out.GoString())
	for _, text := range printed {
		if !strings.Contains(text, "redacted") || strings.Contains(text, "CANARY") ||
			strings.Contains(text, fmt.Sprintf("%x", scalar)) {
			t.Errorf("printed %q", text)
		}
	}
}
