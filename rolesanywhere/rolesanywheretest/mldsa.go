package rolesanywheretest

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"filippo.io/mldsa"
)

// ML-DSA is recognised by the object identifiers of RFC 9881: crypto/x509 of Go 1.26 does not know them, later
// versions do.
var (
	oidMLDSA44 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}
	oidMLDSA65 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}
	oidMLDSA87 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}
)

type subjectPublicKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	PublicKey asn1.BitString
}

func parametersOf(oid asn1.ObjectIdentifier) (mldsa.Parameters, bool) {
	switch {
	case oid.Equal(oidMLDSA44):
		return mldsa.MLDSA44(), true
	case oid.Equal(oidMLDSA65):
		return mldsa.MLDSA65(), true
	case oid.Equal(oidMLDSA87):
		return mldsa.MLDSA87(), true
	}
	return mldsa.Parameters{}, false
}

func oidOf(params mldsa.Parameters) asn1.ObjectIdentifier {
	switch params {
	case mldsa.MLDSA44():
		return oidMLDSA44
	case mldsa.MLDSA65():
		return oidMLDSA65
	}
	return oidMLDSA87
}

// certifiedKey returns the public key of a certificate; nil where it is an ML-DSA key that cannot be read.
func certifiedKey(c *x509.Certificate) crypto.PublicKey {
	var info subjectPublicKeyInfo
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return c.PublicKey
	}
	params, ok := parametersOf(info.Algorithm.Algorithm)
	if !ok {
		return c.PublicKey
	}
	key, err := mldsa.NewPublicKey(params, info.PublicKey.RightAlign())
	if err != nil {
		return nil
	}
	return key
}

// mldsaSignature returns the parameters of the ML-DSA signature on a certificate; ok is false for other signatures.
func mldsaSignature(c *x509.Certificate) (params mldsa.Parameters, ok bool) {
	var signed signedCertificate
	if _, err := asn1.Unmarshal(c.Raw, &signed); err != nil {
		return mldsa.Parameters{}, false
	}
	return parametersOf(signed.Algorithm.Algorithm)
}
