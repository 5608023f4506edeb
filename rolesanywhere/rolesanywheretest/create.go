package rolesanywheretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
)

type signedCertificate struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type tbsCertificate struct {
	Version      int `asn1:"explicit,tag:0"`
	SerialNumber *big.Int
	Algorithm    pkix.AlgorithmIdentifier
	Issuer       asn1.RawValue
	Validity     asn1.RawValue
	Subject      asn1.RawValue
	PublicKey    asn1.RawValue
	Extensions   asn1.RawValue
}

// createCertificate is x509.CreateCertificate for ML-DSA too, which Go 1.26 cannot write: such a certificate is made
// with keys of P-256 in the place of those that are not known, and then gets the right ones and a signature.
func createCertificate(
	template, issuer *x509.Certificate,
	public crypto.PublicKey,
	signer crypto.Signer,
) ([]byte, error) {
	mldsaKey, keyIsMLDSA := public.(*mldsa.PublicKey)
	mldsaSigner, signerIsMLDSA := signer.(*mldsa.PrivateKey)
	if !keyIsMLDSA && !signerIsMLDSA {
		return x509.CreateCertificate(rand.Reader, template, issuer, public, signer)
	}
	stand, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	named := *issuer
	named.PublicKey = nil
	withStand, withSigner := *template, crypto.Signer(stand)
	withStand.SignatureAlgorithm = x509.ECDSAWithSHA256
	if !signerIsMLDSA {
		withSigner, withStand.SignatureAlgorithm = signer, signatureAlgorithm(signer)
	}
	certified := public
	if keyIsMLDSA {
		certified = stand.Public()
		digest := sha256.Sum256(mldsaKey.Bytes())
		withStand.SubjectKeyId = digest[:20]
	}
	der, err := x509.CreateCertificate(rand.Reader, &withStand, &named, certified, withSigner)
	if err != nil {
		return nil, err
	}
	return rewrite(der, signer, func(tbs *tbsCertificate) any {
		if keyIsMLDSA {
			if tbs.PublicKey.FullBytes, err = mldsax509.MarshalPKIXPublicKey(mldsaKey); err != nil {
				return nil
			}
		}
		if signerIsMLDSA {
			tbs.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidOf(mldsaSigner.PublicKey().Parameters())}
		}
		return *tbs
	})
}

// rewrite changes a certificate and signs it anew. change returns what is to stand in the place of the TBSCertificate,
// with the same signature algorithm as tbs afterwards.
func rewrite(der []byte, signer crypto.Signer, change func(tbs *tbsCertificate) any) ([]byte, error) {
	var signed signedCertificate
	if _, err := asn1.Unmarshal(der, &signed); err != nil {
		return nil, err
	}
	var from tbsCertificate
	if _, err := asn1.Unmarshal(signed.TBS.FullBytes, &from); err != nil {
		return nil, err
	}
	to, err := asn1.Marshal(change(&from))
	if err != nil {
		return nil, err
	}
	signature, err := signMessage(signer, to)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(signedCertificate{
		TBS:       asn1.RawValue{FullBytes: to},
		Algorithm: from.Algorithm,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
}

// signatureAlgorithm is the one with SHA-256, where the key leaves a choice.
func signatureAlgorithm(signer crypto.Signer) x509.SignatureAlgorithm {
	switch signer.Public().(type) {
	case *rsa.PublicKey:
		return x509.SHA256WithRSA
	case ed25519.PublicKey:
		return x509.PureEd25519
	}
	return x509.ECDSAWithSHA256
}

// signMessage signs with SHA-256, and Ed25519 and ML-DSA the message itself.
func signMessage(signer crypto.Signer, message []byte) ([]byte, error) {
	switch signer.Public().(type) {
	case ed25519.PublicKey, *mldsa.PublicKey:
		return signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}
