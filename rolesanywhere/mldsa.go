package rolesanywhere

import (
	"bytes"
	"crypto"
	"crypto/sha3"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"filippo.io/mldsa"
)

// ML-DSA in X.509 and PKCS#8 is recognised by its object identifiers (RFC 9881), never by what crypto/x509 makes of it:
// Go 1.26 parses such certificates with a nil public key, later versions know them.

// Object identifiers of keys and of signatures alike.
var (
	oidMLDSA44 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 17}
	oidMLDSA65 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}
	oidMLDSA87 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 19}
)

// mldsaParameters returns the parameter set, and the size in bytes of an expanded private key.
func mldsaParameters(oid asn1.ObjectIdentifier) (params mldsa.Parameters, expandedSize int, ok bool) {
	switch {
	case oid.Equal(oidMLDSA44):
		return mldsa.MLDSA44(), 2560, true
	case oid.Equal(oidMLDSA65):
		return mldsa.MLDSA65(), 4032, true
	case oid.Equal(oidMLDSA87):
		return mldsa.MLDSA87(), 4896, true
	}
	return mldsa.Parameters{}, 0, false
}

// publicKey returns a certificate's public key, ML-DSA included. A key that cannot be read is nil.
func publicKey(c *x509.Certificate) crypto.PublicKey {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return c.PublicKey
	}
	params, _, ok := mldsaParameters(info.Algorithm.Algorithm)
	if !ok {
		return c.PublicKey
	}
	key, err := mldsa.NewPublicKey(params, info.PublicKey.RightAlign())
	if err != nil || len(info.Algorithm.Parameters.FullBytes) > 0 {
		return nil
	}
	return key
}

// signedWithMLDSA reads the algorithm that a certificate is signed with.
func signedWithMLDSA(c *x509.Certificate) bool {
	var outer struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &outer); err != nil {
		return false
	}
	_, _, ok := mldsaParameters(outer.Algorithm.Algorithm)
	return ok
}

// parseMLDSA reads a private key as RFC 9881, section 6, has it: the seed, or the seed and the expanded key, which must
// then belong together. The expanded key alone is refused: a key made from its seed is checked by its making.
func parseMLDSA(oid asn1.ObjectIdentifier, der []byte) (*mldsa.PrivateKey, error) {
	params, expandedSize, _ := mldsaParameters(oid)
	damaged := fmt.Errorf("%w: the ML-DSA key is damaged", ErrInvalidPrivateKey)
	var choice asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &choice); err != nil || len(rest) > 0 {
		return nil, damaged
	}
	var both struct{ Seed, Expanded []byte }
	switch {
	case choice.Class == asn1.ClassContextSpecific && choice.Tag == 0 && !choice.IsCompound:
		both.Seed = choice.Bytes
	case choice.Class == asn1.ClassUniversal && choice.Tag == asn1.TagSequence:
		if _, err := asn1.Unmarshal(der, &both); err != nil || len(both.Expanded) != expandedSize {
			return nil, damaged
		}
	case choice.Class == asn1.ClassUniversal && choice.Tag == asn1.TagOctetString:
		return nil, fmt.Errorf("parsing private key: %w: it is an ML-DSA key in expanded form without its seed; "+
			"write it out anew where it was made, with the seed (OpenSSL does by default)", ErrUnsupportedKey)
	default:
		return nil, damaged
	}
	key, err := mldsa.NewPrivateKey(params, both.Seed)
	if err != nil || (both.Expanded != nil && !expandsTo(key.PublicKey(), both.Expanded)) {
		return nil, damaged
	}
	return key, nil
}

// expandsTo reports whether an expanded private key names public: it begins with rho, 32 bytes that the public key
// begins with too, and holds the SHAKE256 hash of the public key after another 32 bytes (FIPS 204, algorithm 24).
func expandsTo(public *mldsa.PublicKey, expanded []byte) bool {
	encoded := public.Bytes()
	return bytes.Equal(expanded[:32], encoded[:32]) && bytes.Equal(expanded[64:128], sha3.SumSHAKE256(encoded, 64))
}
