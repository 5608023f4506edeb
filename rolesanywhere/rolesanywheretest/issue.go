package rolesanywheretest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
)

// IssueOptions describes an end-entity certificate. The zero value is one that the service accepts;
// the last group makes certificates that it refuses.
type IssueOptions struct {
	// CommonName is the subject's; empty means "workload".
	CommonName string
	// SerialNumber is the certificate's; nil means a random one.
	SerialNumber *big.Int
	// NotBefore and NotAfter bound its validity; zero means an hour before the authority's Now, and a day after.
	NotBefore, NotAfter time.Time

	// KeyType is the kind of key to generate; empty means P256.
	KeyType KeyType
	// Key is certified in the place of a new one, as when a certificate is renewed.
	Key crypto.Signer
	// PublicKey is certified where the private key is elsewhere, as with a signing request.
	PublicKey crypto.PublicKey

	IsCA               bool // a CA's certificate
	NoDigitalSignature bool // key usage keyEncipherment alone
	NoSubject          bool // an empty subject
	SHA1               bool // signed by the authority with SHA-1
	Version1           bool // X.509 v1, which has no extensions
}

// Issued is a certificate and, where it was made or given here, its private key.
type Issued struct {
	Certificate *x509.Certificate
	// Chain is the intermediates, from the issuer up to the one below the root.
	Chain []*x509.Certificate
	// Key is nil where IssueOptions.PublicKey was certified.
	Key crypto.Signer

	// CertificatePEM is the leaf and then Chain.
	CertificatePEM []byte
	// PrivateKeyPEM is PKCS#8, not encrypted, of ML-DSA the seed; nil where Key is, or where Key keeps it to itself.
	PrivateKeyPEM []byte
}

// ErrKeyForm is returned where a kind of key cannot be written in the form that was asked for.
var ErrKeyForm = errors.New("the key does not have this form")

// Issue signs a certificate.
func (a *Authority) Issue(o IssueOptions) (*Issued, error) {
	key, public := o.Key, o.PublicKey
	if key == nil && public == nil {
		generated, err := GenerateKey(o.KeyType)
		if err != nil {
			return nil, err
		}
		key = generated
	}
	if public == nil {
		public = key.Public()
	}
	der, err := createCertificate(a.leafTemplate(o), a.certificate, public, a.key)
	if err == nil && o.Version1 {
		der, err = a.toVersion1(der)
	}
	if err != nil {
		return nil, fmt.Errorf("creating certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing certificate: %w", err)
	}
	issued := &Issued{Certificate: certificate, Chain: a.chain, Key: key}
	var chainPEM bytes.Buffer
	chainPEM.Write(encodePEM("CERTIFICATE", der))
	for _, intermediate := range a.chain {
		chainPEM.Write(encodePEM("CERTIFICATE", intermediate.Raw))
	}
	issued.CertificatePEM = chainPEM.Bytes()
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey, *mldsa.PrivateKey:
		pkcs8, err := mldsax509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("encoding private key: %w", err)
		}
		issued.PrivateKeyPEM = encodePEM("PRIVATE KEY", pkcs8)
	}
	return issued, nil
}

func (a *Authority) leafTemplate(o IssueOptions) *x509.Certificate {
	now := a.now()
	template := &x509.Certificate{
		SerialNumber:          o.SerialNumber,
		NotBefore:             orTime(o.NotBefore, now.Add(-time.Hour)),
		NotAfter:              orTime(o.NotAfter, now.Add(24*time.Hour)),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  o.IsCA,
	}
	if template.SerialNumber == nil {
		template.SerialNumber = newSerialNumber()
	}
	if !o.NoSubject {
		template.Subject = pkix.Name{CommonName: "workload"}
		if o.CommonName != "" {
			template.Subject.CommonName = o.CommonName
		}
	}
	if o.IsCA {
		template.KeyUsage |= x509.KeyUsageCertSign
	}
	if o.NoDigitalSignature {
		template.KeyUsage = x509.KeyUsageKeyEncipherment
	}
	if o.SHA1 {
		template.SignatureAlgorithm = x509.ECDSAWithSHA1
		if _, ok := a.key.(*rsa.PrivateKey); ok {
			template.SignatureAlgorithm = x509.SHA1WithRSA
		}
	}
	return template
}

// toVersion1 takes a certificate's version and extensions away and signs it anew: crypto/x509 only
// makes version 3.
func (a *Authority) toVersion1(der []byte) ([]byte, error) {
	return rewrite(der, a.key, func(tbs *tbsCertificate) any {
		return struct {
			SerialNumber                                  *big.Int
			Algorithm                                     pkix.AlgorithmIdentifier
			Issuer, Validity, Subject, PublicKeyInfoValue asn1.RawValue
		}{tbs.SerialNumber, tbs.Algorithm, tbs.Issuer, tbs.Validity, tbs.Subject, tbs.PublicKey}
	})
}

// PKCS1PEM returns an RSA key as PKCS#1 ("RSA PRIVATE KEY"), or ErrKeyForm for another kind.
func (i *Issued) PKCS1PEM() ([]byte, error) {
	key, ok := i.Key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("encoding private key as PKCS#1: %w", ErrKeyForm)
	}
	return encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), nil
}

// SEC1PEM returns an ECDSA key as SEC 1 ("EC PRIVATE KEY"), or ErrKeyForm for another kind.
func (i *Issued) SEC1PEM() ([]byte, error) {
	key, ok := i.Key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("encoding private key as SEC 1: %w", ErrKeyForm)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding private key as SEC 1: %w", err)
	}
	return encodePEM("EC PRIVATE KEY", der), nil
}
