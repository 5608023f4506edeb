package rolesanywhere

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/fips140"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// Limits on key derivation. Its cost is chosen by whoever wrote the file, so without them a key of a few hundred bytes
// could take minutes of CPU or gigabytes of memory. OpenSSL writes 2048 iterations, or with scrypt N = 16384, r = 8,
// p = 1, which is half of the limit. At the limits a key takes about 0.5 s and 32 MiB on one processor of today.
const (
	maxPBKDF2Iterations = 1_000_000
	maxScryptCost       = 1 << 18 // N*r*p; the memory is 128 bytes times N*r
)

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA224 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidDESEDE3CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidAES128CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// The structures of RFC 8018, appendix A, and of RFC 7914, section 7.
type encryptedPrivateKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

// deriveFunc turns a passphrase into the cipher's key. Its cost has been judged before it exists.
type deriveFunc func(passphrase []byte) ([]byte, error)

func unsupportedEncryption(what string) error {
	return fmt.Errorf("parsing private key: %w: %s; %s", ErrUnsupportedKey, what, convertKey)
}

// errNotInFIPS is of what Go refuses where FIPS 140-3 is enforced: scrypt, PBKDF2 with SHA-1 or with a short salt, as
// OpenSSL before 3.2 writes it, and 3DES.
var errNotInFIPS = fmt.Errorf("parsing private key: %w: this program enforces FIPS 140-3, which allows no encryption "+
	"but AES with PBKDF2, a SHA-2 hash and a salt of at least 16 bytes; give the key without encryption (openssl "+
	"pkcs8 -in old.pem -out new.pem)", ErrUnsupportedKey)

var errDamagedKDF = fmt.Errorf("%w: the key derivation parameters are damaged", ErrInvalidPrivateKey)

// decryptPKCS8 opens PKCS#8 that is encrypted with PBES2 (RFC 8018, section 6.2). Everything that the file chooses is
// checked before anything is computed.
func decryptPKCS8(der, passphrase []byte) (any, error) {
	var info encryptedPrivateKeyInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: the %s block is damaged", ErrInvalidPrivateKey, encryptedBlock)
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, unsupportedEncryption("it is encrypted with something older than PBES2")
	}
	var params pbes2Params
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, fmt.Errorf("%w: the encryption parameters are damaged", ErrInvalidPrivateKey)
	}
	scheme, err := parseCipher(params.Cipher, len(info.Data))
	if err != nil {
		return nil, err
	}
	derive, err := parseKDF(params.KDF, scheme.keySize)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("parsing private key: %w", ErrPassphraseRequired)
	}
	plain, err := scheme.decrypt(info.Data, passphrase, derive)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	// CBC carries no integrity check: a wrong passphrase shows as text that is no key.
	key, err := parsePKCS8(plain)
	if errors.Is(err, ErrUnsupportedKey) {
		return nil, err
	}
	if err != nil {
		return nil, incorrectPassphrase()
	}
	return key, nil
}

func incorrectPassphrase() error {
	return fmt.Errorf("parsing private key: %w, or the key in it is damaged", ErrPassphraseIncorrect)
}

// cbcScheme is a block cipher in CBC mode with PKCS #7 padding.
type cbcScheme struct {
	keySize  int
	iv       []byte
	newBlock func(key []byte) (cipher.Block, error)
}

func parseCipher(algorithm pkix.AlgorithmIdentifier, dataLen int) (cbcScheme, error) {
	scheme, blockSize := cbcScheme{newBlock: aes.NewCipher}, aes.BlockSize
	switch {
	case algorithm.Algorithm.Equal(oidAES128CBC):
		scheme.keySize = 16
	case algorithm.Algorithm.Equal(oidAES192CBC):
		scheme.keySize = 24
	case algorithm.Algorithm.Equal(oidAES256CBC):
		scheme.keySize = 32
	case algorithm.Algorithm.Equal(oidDESEDE3CBC):
		scheme, blockSize = cbcScheme{newBlock: des.NewTripleDESCipher, keySize: 24}, des.BlockSize
	default:
		return cbcScheme{}, unsupportedEncryption("its cipher is not AES-CBC or 3DES-CBC")
	}
	if _, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, &scheme.iv); err != nil || len(scheme.iv) != blockSize {
		return cbcScheme{}, fmt.Errorf("%w: the cipher's IV is damaged", ErrInvalidPrivateKey)
	}
	if dataLen == 0 || dataLen%blockSize != 0 {
		return cbcScheme{}, fmt.Errorf("%w: the encrypted text is not whole cipher blocks", ErrInvalidPrivateKey)
	}
	return scheme, nil
}

// decrypt returns the text without its padding. Go refuses what FIPS 140-3 does not allow where only that is allowed.
func (s cbcScheme) decrypt(data, passphrase []byte, derive deriveFunc) ([]byte, error) {
	key, err := derive(passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := s.newBlock(key)
	if err != nil {
		return nil, errNotInFIPS
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, s.iv).CryptBlocks(plain, data)
	padding := plain[len(plain)-1]
	end := len(plain) - int(padding)
	if padding == 0 || int(padding) > block.BlockSize() ||
		!bytes.Equal(plain[end:], bytes.Repeat([]byte{padding}, int(padding))) {
		return nil, incorrectPassphrase()
	}
	return plain[:end], nil
}

func parseKDF(kdf pkix.AlgorithmIdentifier, keySize int) (deriveFunc, error) {
	switch {
	case kdf.Algorithm.Equal(oidPBKDF2):
		return parsePBKDF2(kdf.Parameters.FullBytes, keySize)
	case kdf.Algorithm.Equal(oidScrypt):
		return parseScrypt(kdf.Parameters.FullBytes, keySize)
	}
	return nil, unsupportedEncryption("its key derivation is not PBKDF2 or scrypt")
}

func parsePBKDF2(der []byte, keySize int) (deriveFunc, error) {
	var p pbkdf2Params
	if _, err := asn1.Unmarshal(der, &p); err != nil || p.Iterations < 1 ||
		(p.KeyLength != 0 && p.KeyLength != keySize) {
		return nil, errDamagedKDF
	}
	if p.Iterations > maxPBKDF2Iterations {
		return nil, unsupportedEncryption(fmt.Sprintf(
			"it asks for %d PBKDF2 iterations, at most %d are computed", p.Iterations, maxPBKDF2Iterations))
	}
	newHash := pbkdf2Hash(p.PRF.Algorithm)
	if newHash == nil {
		return nil, unsupportedEncryption("its PBKDF2 hash is not SHA-1, SHA-224, SHA-256, SHA-384 or SHA-512")
	}
	return func(passphrase []byte) ([]byte, error) {
		key, err := pbkdf2.Key(newHash, string(passphrase), p.Salt, p.Iterations, keySize)
		if err != nil {
			return nil, errNotInFIPS
		}
		return key, nil
	}, nil
}

// pbkdf2Hash returns the hash of a pseudorandom function, which is HMAC-SHA-1 where none is named (RFC 8018, A.2); nil
// for an unknown one.
func pbkdf2Hash(prf asn1.ObjectIdentifier) func() hash.Hash {
	switch {
	case len(prf) == 0, prf.Equal(oidHMACSHA1):
		return sha1.New
	case prf.Equal(oidHMACSHA224):
		return sha256.New224
	case prf.Equal(oidHMACSHA256):
		return sha256.New
	case prf.Equal(oidHMACSHA384):
		return sha512.New384
	case prf.Equal(oidHMACSHA512):
		return sha512.New
	}
	return nil
}

func parseScrypt(der []byte, keySize int) (deriveFunc, error) {
	var p scryptParams
	if _, err := asn1.Unmarshal(der, &p); err != nil || p.N < 2 || p.N&(p.N-1) != 0 || p.R < 1 || p.P < 1 ||
		(p.KeyLength != 0 && p.KeyLength != keySize) {
		return nil, errDamagedKDF
	}
	// Each factor is bounded first, so that the product cannot overflow.
	if p.N > maxScryptCost || p.R > 1024 || p.P > 1024 || p.N*p.R*p.P > maxScryptCost {
		return nil, unsupportedEncryption(fmt.Sprintf(
			"it asks for more scrypt work than N*r*p = %d (%d MiB)", maxScryptCost, 128*maxScryptCost>>20))
	}
	return func(passphrase []byte) ([]byte, error) {
		if fips140.Enforced() {
			return nil, errNotInFIPS // where x/crypto would panic
		}
		key, err := scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, keySize)
		if err != nil {
			return nil, errDamagedKDF
		}
		return key, nil
	}, nil
}
