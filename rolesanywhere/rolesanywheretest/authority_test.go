package rolesanywheretest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"
)

func parsePEM(t *testing.T, data []byte, blockType string) []byte {
	t.Helper()
	block, rest := pem.Decode(data)
	if block == nil || block.Type != blockType || len(rest) != 0 {
		t.Fatalf("want one %s block", blockType)
	}
	return block.Bytes
}

func TestAuthority_DefaultLeaf(t *testing.T) {
	t.Parallel()
	a := mustAuthority(t, AuthorityOptions{})
	issued := mustIssue(t, a, IssueOptions{})
	leaf, err := x509.ParseCertificate(parsePEM(t, issued.CertificatePEM, "CERTIFICATE"))
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Version != 3 || leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature ||
		leaf.Subject.CommonName != "workload" ||
		!leaf.NotBefore.Equal(testTime().Add(-time.Hour)) ||
		!leaf.NotAfter.Equal(testTime().Add(24*time.Hour)) {
		t.Errorf(
			"leaf of version %d, CA %t, usage %d, subject %s, %s to %s",
			leaf.Version,
			leaf.IsCA,
			leaf.KeyUsage,
			leaf.Subject,
			leaf.NotBefore,
			leaf.NotAfter,
		)
	}
	key, err := x509.ParsePKCS8PrivateKey(parsePEM(t, issued.PrivateKeyPEM, "PRIVATE KEY"))
	if err != nil {
		t.Fatal(err)
	}
	if public, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() ||
		!public.Equal(key.(crypto.Signer).Public()) {
		t.Error("the certificate is not the P-256 key's")
	}
	root, err := x509.ParseCertificate(parsePEM(t, a.CertificatePEM(), "CERTIFICATE"))
	if err != nil || !root.Equal(a.Certificate()) || leaf.CheckSignatureFrom(root) != nil {
		t.Errorf("the root's PEM is not the issuer's certificate: %v", err)
	}
}

func TestAuthority_ChosenFields(t *testing.T) {
	t.Parallel()
	a := mustAuthority(
		t,
		AuthorityOptions{
			CommonName: "Corp",
			KeyType:    RSA2048,
			NotBefore:  testTime().AddDate(-1, 0, 0),
			NotAfter:   testTime().AddDate(1, 0, 0),
		},
	)
	if c := a.Certificate(); c.Subject.CommonName != "Corp" || c.PublicKeyAlgorithm != x509.RSA ||
		!c.NotAfter.Equal(testTime().AddDate(1, 0, 0)) ||
		!c.NotBefore.Equal(testTime().AddDate(-1, 0, 0)) {
		t.Errorf("root %s, %s, until %s", c.Subject, c.PublicKeyAlgorithm, c.NotAfter)
	}
	first := mustIssue(
		t,
		a,
		IssueOptions{
			CommonName:   "orders",
			SerialNumber: big.NewInt(7),
			NotBefore:    testTime(),
			NotAfter:     testTime().Add(time.Hour),
		},
	)
	if c := first.Certificate; c.Subject.CommonName != "orders" || c.SerialNumber.Int64() != 7 ||
		!c.NotBefore.Equal(testTime()) ||
		!c.NotAfter.Equal(testTime().Add(time.Hour)) {
		t.Errorf("leaf %s, serial %s, %s to %s", c.Subject, c.SerialNumber, c.NotBefore, c.NotAfter)
	}
	renewed := mustIssue(t, a, IssueOptions{Key: first.Key})
	if !bytes.Equal(renewed.PrivateKeyPEM, first.PrivateKeyPEM) || renewed.Certificate.Equal(first.Certificate) {
		t.Error("a renewed certificate must be another one for the same key")
	}
	elsewhere := mustIssue(t, a, IssueOptions{PublicKey: first.Key.Public()})
	if elsewhere.Key != nil || elsewhere.PrivateKeyPEM != nil ||
		!first.Key.Public().(*ecdsa.PublicKey).Equal(elsewhere.Certificate.PublicKey) {
		t.Error("a certified public key must come without a private key")
	}
	if weak := mustIssue(t, a, IssueOptions{SHA1: true}); weak.Certificate.SignatureAlgorithm != x509.SHA1WithRSA {
		t.Errorf("signature algorithm %s, want SHA1-RSA", weak.Certificate.SignatureAlgorithm)
	}
}

func TestAuthority_IntermediateChain(t *testing.T) {
	t.Parallel()
	root := mustAuthority(t, AuthorityOptions{})
	upper, err := root.Intermediate(AuthorityOptions{CommonName: "upper"})
	if err != nil {
		t.Fatal(err)
	}
	lower, err := upper.Intermediate(AuthorityOptions{CommonName: "lower"})
	if err != nil {
		t.Fatal(err)
	}
	issued := mustIssue(t, lower, IssueOptions{CommonName: "leaf"})
	var names []string
	for rest := issued.CertificatePEM; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.Subject.CommonName)
	}
	if len(names) != 3 || names[0] != "leaf" || names[1] != "lower" || names[2] != "upper" {
		t.Errorf("PEM has %v, want leaf, lower, upper", names)
	}
	if len(issued.Chain) != 2 || !issued.Chain[0].Equal(lower.Certificate()) ||
		!issued.Chain[1].Equal(upper.Certificate()) {
		t.Error("Chain is not lower, upper")
	}
}

func TestAuthority_KeyForms(t *testing.T) {
	t.Parallel()
	a := mustAuthority(t, AuthorityOptions{})
	for keyType, form := range map[KeyType]string{RSA1024: "PKCS1", RSA2048: "PKCS1", RSA3072: "PKCS1", P224: "SEC1",
		P256: "SEC1", P384: "SEC1", P521: "SEC1", Ed25519: ""} {
		t.Run(string(keyType), func(t *testing.T) {
			t.Parallel()
			issued := mustIssue(t, a, IssueOptions{KeyType: keyType})
			key, err := x509.ParsePKCS8PrivateKey(parsePEM(t, issued.PrivateKeyPEM, "PRIVATE KEY"))
			if err != nil {
				t.Fatal(err)
			}
			pkcs1, pkcs1Err := issued.PKCS1PEM()
			sec1, sec1Err := issued.SEC1PEM()
			if form != "PKCS1" && (!errors.Is(pkcs1Err, ErrKeyForm) || pkcs1 != nil) {
				t.Errorf("PKCS1PEM: %v, want ErrKeyForm", pkcs1Err)
			}
			if form != "SEC1" && (!errors.Is(sec1Err, ErrKeyForm) || sec1 != nil) {
				t.Errorf("SEC1PEM: %v, want ErrKeyForm", sec1Err)
			}
			switch form {
			case "PKCS1":
				got, err := x509.ParsePKCS1PrivateKey(parsePEM(t, pkcs1, "RSA PRIVATE KEY"))
				if err != nil || !got.Equal(key) {
					t.Errorf("PKCS#1 is not the same key: %v", err)
				}
				bits := map[KeyType]int{RSA1024: 1024, RSA2048: 2048, RSA3072: 3072}[keyType]
				if n := key.(*rsa.PrivateKey).N.BitLen(); n != bits {
					t.Errorf("%d bits, want %d", n, bits)
				}
			case "SEC1":
				got, err := x509.ParseECPrivateKey(parsePEM(t, sec1, "EC PRIVATE KEY"))
				if err != nil || !got.Equal(key) {
					t.Errorf("SEC 1 is not the same key: %v", err)
				}
				curve := map[KeyType]elliptic.Curve{P224: elliptic.P224(), P256: elliptic.P256(), P384: elliptic.P384(),
					P521: elliptic.P521()}[keyType]
				if key.(*ecdsa.PrivateKey).Curve != curve {
					t.Errorf("the curve is not %s", keyType)
				}
			default:
				if _, ok := key.(ed25519.PrivateKey); !ok {
					t.Errorf("key is a %T, want Ed25519", key)
				}
			}
		})
	}
}

func TestAuthority_UnknownKeyType(t *testing.T) {
	t.Parallel()
	if a, err := NewAuthority(AuthorityOptions{KeyType: "dsa"}); !errors.Is(err, ErrKeyType) || a != nil {
		t.Errorf("NewAuthority: %v, want ErrKeyType", err)
	}
	a := mustAuthority(t, AuthorityOptions{})
	if issued, err := a.Issue(IssueOptions{KeyType: "dsa"}); !errors.Is(err, ErrKeyType) || issued != nil {
		t.Errorf("Issue: %v, want ErrKeyType", err)
	}
}
