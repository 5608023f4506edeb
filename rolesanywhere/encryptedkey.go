package rolesanywhere

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"github.com/youmark/pkcs8"
)

// Limits on key derivation. Its cost is chosen by whoever wrote the file, so without them a key of a
// few hundred bytes could take minutes of CPU or gigabytes of memory. They lie far above what openssl
// writes (2048 iterations; N 16384, r 8, p 1) and what OWASP recommends (600 000; N 131072, r 8, p 1):
// https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
const (
	maxPBKDF2Iterations = 2_000_000
	maxScryptCost       = 1 << 20 // N*r*p; memory is 128 bytes times N*r
)

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
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
	Salt    []byte
	N, R, P int
}

func unsupportedEncryption(what string) error {
	return fmt.Errorf("parsing private key: %w: %s; %s", ErrUnsupportedKey, what, convertKey)
}

// decryptPKCS8 checks everything that the decrypting package takes on trust before it runs: it panics
// on an IV or a text of the wrong length, and computes any key derivation it is asked for.
func decryptPKCS8(der, passphrase []byte) (any, error) {
	var info encryptedPrivateKeyInfo
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("%w: the %s block is damaged", ErrInvalidPrivateKey, encryptedBlock)
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, unsupportedEncryption("it is encrypted with something older than PBES2")
	}
	var params pbes2Params
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, fmt.Errorf("%w: the encryption parameters are damaged", ErrInvalidPrivateKey)
	}
	keySize, err := checkCipher(params.Cipher, len(info.Data))
	if err != nil {
		return nil, err
	}
	if params.KDF, err = checkKDF(params.KDF, keySize); err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("parsing private key: %w", ErrPassphraseRequired)
	}
	if info.Algorithm.Parameters.FullBytes, err = asn1.Marshal(params); err != nil {
		return nil, fmt.Errorf("%w: the encryption parameters are damaged", ErrInvalidPrivateKey)
	}
	if der, err = asn1.Marshal(info); err != nil {
		return nil, fmt.Errorf("%w: the %s block is damaged", ErrInvalidPrivateKey, encryptedBlock)
	}
	// CBC carries no integrity check: a wrong passphrase shows as text that is no key.
	key, err := pkcs8.ParsePKCS8PrivateKey(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("parsing private key: %w, or the key in it is damaged or of an unknown kind",
			ErrPassphraseIncorrect)
	}
	return key, nil
}

func checkCipher(cipher pkix.AlgorithmIdentifier, dataLen int) (keySize int, err error) {
	blockSize := 16
	switch {
	case cipher.Algorithm.Equal(oidAES128CBC):
		keySize = 16
	case cipher.Algorithm.Equal(oidAES192CBC):
		keySize = 24
	case cipher.Algorithm.Equal(oidAES256CBC):
		keySize = 32
	case cipher.Algorithm.Equal(oidDESEDE3CBC):
		keySize, blockSize = 24, 8
	default:
		return 0, unsupportedEncryption("its cipher is not AES-CBC or 3DES-CBC")
	}
	var iv []byte
	if _, err := asn1.Unmarshal(cipher.Parameters.FullBytes, &iv); err != nil || len(iv) != blockSize {
		return 0, fmt.Errorf("%w: the cipher's IV is damaged", ErrInvalidPrivateKey)
	}
	if dataLen == 0 || dataLen%blockSize != 0 {
		return 0, fmt.Errorf("%w: the encrypted text is not whole cipher blocks", ErrInvalidPrivateKey)
	}
	return keySize, nil
}

// checkKDF returns kdf in the form the decrypting package reads. That package overlooks PBKDF2's
// optional key length and then takes the wrong hash, which would look like a wrong passphrase.
func checkKDF(kdf pkix.AlgorithmIdentifier, keySize int) (pkix.AlgorithmIdentifier, error) {
	damaged := fmt.Errorf("%w: the key derivation parameters are damaged", ErrInvalidPrivateKey)
	switch {
	case kdf.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &p); err != nil ||
			p.Iterations < 1 || (p.KeyLength != 0 && p.KeyLength != keySize) {
			return pkix.AlgorithmIdentifier{}, damaged
		}
		if p.Iterations > maxPBKDF2Iterations {
			return pkix.AlgorithmIdentifier{}, unsupportedEncryption(fmt.Sprintf(
				"it asks for %d PBKDF2 iterations, at most %d are computed", p.Iterations, maxPBKDF2Iterations))
		}
		prf := p.PRF.Algorithm
		if len(prf) != 0 && !prf.Equal(oidHMACSHA1) && !prf.Equal(oidHMACSHA256) {
			return pkix.AlgorithmIdentifier{}, unsupportedEncryption("its PBKDF2 hash is not SHA-1 or SHA-256")
		}
		p.KeyLength = 0
		der, err := asn1.Marshal(p)
		if err != nil {
			return pkix.AlgorithmIdentifier{}, damaged
		}
		kdf.Parameters = asn1.RawValue{FullBytes: der}
		return kdf, nil
	case kdf.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &p); err != nil || p.N < 2 || p.R < 1 || p.P < 1 {
			return pkix.AlgorithmIdentifier{}, damaged
		}
		// Each factor is bounded first, so that the product cannot overflow.
		if p.N > maxScryptCost || p.R > 1024 || p.P > 1024 || p.N*p.R*p.P > maxScryptCost {
			return pkix.AlgorithmIdentifier{}, unsupportedEncryption(fmt.Sprintf(
				"it asks for more scrypt work than N*r*p = %d", maxScryptCost))
		}
		return kdf, nil
	}
	return pkix.AlgorithmIdentifier{}, unsupportedEncryption("its key derivation is not PBKDF2 or scrypt")
}
