package rolesanywhere

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	mldsax509 "filippo.io/mldsa/x509"
)

const privateKeyWant = "want one PEM block that begins with -----BEGIN PRIVATE KEY-----, " +
	"ENCRYPTED PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY (from DER: openssl pkey -inform der)"

// maxPrivateKey bounds a key in DER, in bytes: RSA of 8192 bits, encrypted, has under 5 KiB, ML-DSA-87 7.5 KiB.
// Without it the numbers of a forged RSA key, which are compared with each other before its size is known, would cost
// a second.
const maxPrivateKey = 16 << 10

const convertKey = "convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem"

// ParsePrivateKey parses the PEM text of one private key: PKCS#8, PKCS#8 encrypted with PBES2, PKCS#1,
// or SEC 1 (an EC PARAMETERS block may stand before it). The key must be RSA of 2048 to 8192 bits, ECDSA
// on P-256, P-384 or P-521, or ML-DSA-44, -65 or -87 with its seed. The passphrase is used for an
// encrypted key and ignored for any other; neither it nor the key is kept or quoted.
//
// PBES2 is read with PBKDF2 (HMAC with SHA-1, -224, -256, -384 or -512) or scrypt, and AES-CBC or 3DES-CBC. A key
// whose derivation would take more than 1,000,000 iterations or, with scrypt, N*r*p = 262144 (32 MiB) is refused
// before anything is computed, so that a hostile file costs little.
//
// Errors wrap [ErrInvalidPrivateKey], [ErrUnsupportedKey], [ErrPassphraseRequired] or
// [ErrPassphraseIncorrect].
func ParsePrivateKey(pemData, passphrase []byte) (crypto.Signer, error) {
	blocks, err := decodePEM(pemData)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; %s", ErrInvalidPrivateKey, err, privateKeyWant)
	}
	for len(blocks) > 1 && blocks[0].Type == ecParametersBlock {
		blocks = blocks[1:]
	}
	for _, block := range blocks {
		if block.Type == certificateBlock {
			return nil, fmt.Errorf("%w: found a certificate in the private key's place; %s",
				ErrInvalidPrivateKey, privateKeyWant)
		}
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("%w: found %d PEM blocks; %s", ErrInvalidPrivateKey, len(blocks), privateKeyWant)
	}
	key, err := decodeKeyBlock(blocks[0], passphrase)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, checkPublicKey(nil)
	}
	if err := checkPublicKey(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// decodeKeyBlock never wraps what crypto/x509 says: its words are made from the key's own bytes.
func decodeKeyBlock(block *pem.Block, passphrase []byte) (any, error) {
	if _, legacy := block.Headers["DEK-Info"]; legacy || block.Headers["Proc-Type"] != "" {
		// This format derives its key with one round of MD5 and checks nothing (RFC 1421).
		return nil, fmt.Errorf("parsing private key: %w: it is encrypted in OpenSSL's old PEM format; %s",
			ErrUnsupportedKey, convertKey)
	}
	if size := len(block.Bytes); size > maxPrivateKey {
		return nil, fmt.Errorf("parsing private key: %w: the key is %d bytes long; at most %d are read",
			ErrUnsupportedKey, size, maxPrivateKey)
	}
	var key any
	var err error
	switch block.Type {
	case encryptedBlock:
		return decryptPKCS8(block.Bytes, passphrase)
	case pkcs8Block:
		return parsePKCS8(block.Bytes)
	case pkcs1Block:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case sec1Block:
		key, err = parseSEC1(block.Bytes)
	case opensshBlock:
		return nil, fmt.Errorf("parsing private key: %w: it is in OpenSSH's format; "+
			"convert a copy of it with: ssh-keygen -p -m PKCS8 -f copy", ErrUnsupportedKey)
	default:
		return nil, fmt.Errorf("%w: the PEM block is not a private key; %s", ErrInvalidPrivateKey, privateKeyWant)
	}
	if errors.Is(err, ErrUnsupportedKey) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the %s block does not hold a valid key", ErrInvalidPrivateKey, block.Type)
	}
	return key, nil
}

type privateKeyInfo struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier
	PrivateKey []byte
}

type ecPrivateKey struct {
	Version    int
	PrivateKey []byte
	NamedCurve asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
}

var (
	oidRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidP256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384 = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidP521 = asn1.ObjectIdentifier{1, 3, 132, 0, 35}
)

func isAcceptedCurve(oid asn1.ObjectIdentifier) bool {
	return oid.Equal(oidP256) || oid.Equal(oidP384) || oid.Equal(oidP521)
}

// parsePKCS8 distinguishes a kind of key that crypto/x509 cannot read (secp256k1, DSA) from a damaged one, so
// that its owner makes a new key instead of looking for a copying mistake.
func parsePKCS8(der []byte) (any, error) {
	var info privateKeyInfo
	_, err := asn1.Unmarshal(der, &info)
	readable := err == nil
	if _, _, isMLDSA := mldsaParameters(info.Algorithm.Algorithm); isMLDSA && readable {
		return parseMLDSA(info.Algorithm.Algorithm, info.PrivateKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if readable {
		var curve asn1.ObjectIdentifier
		_, _ = asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &curve)
		isEC := info.Algorithm.Algorithm.Equal(oidEC) && isAcceptedCurve(curve)
		if !isEC && !info.Algorithm.Algorithm.Equal(oidRSA) {
			return nil, checkPublicKey(nil)
		}
	}
	return nil, fmt.Errorf("%w: the %s block does not hold a valid key", ErrInvalidPrivateKey, pkcs8Block)
}

func parseSEC1(der []byte) (any, error) {
	key, err := x509.ParseECPrivateKey(der)
	if err == nil {
		return key, nil
	}
	var info ecPrivateKey
	if _, parseErr := asn1.Unmarshal(der, &info); parseErr == nil && len(info.NamedCurve) > 0 &&
		!isAcceptedCurve(info.NamedCurve) {
		return nil, checkPublicKey(nil)
	}
	return nil, err
}

// MarshalPrivateKey returns a private key as PEM text: PKCS#8 without encryption, ML-DSA as its seed. Whoever holds it
// is the identity. A key that keeps itself to itself, such as an HSM's, is an error that wraps [ErrUnsupportedKey].
func MarshalPrivateKey(key crypto.Signer) ([]byte, error) {
	der, err := mldsax509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding private key: %w: a %T cannot be written as PKCS#8", ErrUnsupportedKey, key)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pkcs8Block, Bytes: der}), nil
}
