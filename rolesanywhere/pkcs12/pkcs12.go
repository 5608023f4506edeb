// Package pkcs12 reads an identity from a PKCS#12 file (.p12, .pfx), which is how many CAs and Windows hand out a
// certificate with its key. It is a package of its own so that only programs that need it get the library that decodes
// the format.
//
// The format: https://www.rfc-editor.org/rfc/rfc7292
package pkcs12

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"fmt"

	gopkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// ErrInvalid means that the data is not a PKCS#12 file, is damaged, or lacks the certificate or the key.
var ErrInvalid = errors.New("parsing PKCS#12")

// Limits on what is read. Key derivation costs what the file asks for, so that its iterations are counted first:
// OpenSSL writes 2048 and Java 10,000 for each of a file's two or three derivations.
const (
	maxSize       = 256 << 10 // bytes
	maxIterations = 1_000_000 // in the whole file
	maxPrivateKey = 16 << 10  // bytes; those of a forged RSA key are compared with each other at a cost that grows fast
)

// Parse returns the certificates of a PKCS#12 file in DER, the leaf first and then its issuers as far as the file has
// them, without a self-signed root and without certificates that are not of the chain, and the leaf's private key. The
// passphrase may be empty for a file that is made with an empty one or is not encrypted; nothing of it or of the key
// is kept or quoted. The certificates and the key are judged by [rolesanywhere.NewIdentity];
// [rolesanywhere.MarshalPrivateKey] writes the key as PEM.
//
// It reads PBES2 with PBKDF2 and AES-CBC, and the older schemes with 3DES and RC2. A file that asks for more than
// 1,000,000 iterations in all is refused before anything is computed.
//
// Errors wrap [ErrInvalid], [rolesanywhere.ErrUnsupportedKey] for a key, encryption or arrangement that is not read,
// [rolesanywhere.ErrPassphraseRequired] or [rolesanywhere.ErrPassphraseIncorrect].
func Parse(der []byte, passphrase string) ([]*x509.Certificate, crypto.Signer, error) {
	if fips140.Enforced() {
		return nil, nil, fmt.Errorf(
			"parsing PKCS#12: %w: this program enforces FIPS 140-3, which its older schemes are not of; %s",
			rolesanywhere.ErrUnsupportedKey,
			advice,
		)
	}
	if len(der) > maxSize {
		return nil, nil, fmt.Errorf("%w: the file is %d bytes long; at most %d are read", ErrInvalid, len(der), maxSize)
	}
	file, err := inspect(der)
	if err != nil {
		return nil, nil, err
	}
	if err := checkPassphrase(der, file, passphrase); err != nil {
		return nil, nil, err
	}
	rewritten, err := file.rewrite(passphrase)
	if err != nil {
		return nil, nil, err
	}
	key, first, others, err := gopkcs12.DecodeChain(rewritten, passphrase)
	if err != nil {
		// The library's words may be made of what was decrypted.
		return nil, nil, decodeError(err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("parsing PKCS#12: %w: its key cannot sign", rolesanywhere.ErrUnsupportedKey)
	}
	chain, err := order(append([]*x509.Certificate{first}, others...), signer.Public())
	if err != nil {
		return nil, nil, err
	}
	return chain, signer, nil
}

// ParseIdentity is [Parse] and [rolesanywhere.NewIdentity] in one, with the errors of both.
func ParseIdentity(der []byte, passphrase string) (*rolesanywhere.Identity, error) {
	certificates, key, err := Parse(der, passphrase)
	if err != nil {
		return nil, err
	}
	return rolesanywhere.NewIdentity(certificates, key)
}

// checkPassphrase verifies the file's MAC. The library has no function for that alone: DecodeTrustStore verifies the
// MAC before it looks at anything else, and never opens a key.
func checkPassphrase(der []byte, file *file, passphrase string) error {
	if !file.hasMAC {
		if passphrase != "" {
			return fmt.Errorf(
				"%w: the file has no MAC, by which its passphrase is known to be right; write it with one",
				ErrInvalid,
			)
		}
		return nil
	}
	_, err := gopkcs12.DecodeTrustStore(der, passphrase)
	if !errors.Is(err, gopkcs12.ErrIncorrectPassword) {
		return nil
	}
	if passphrase == "" {
		return fmt.Errorf("parsing PKCS#12: %w", rolesanywhere.ErrPassphraseRequired)
	}
	return fmt.Errorf("parsing PKCS#12: %w", rolesanywhere.ErrPassphraseIncorrect)
}

func decodeError(err error) error {
	if _, ok := errors.AsType[gopkcs12.NotImplementedError](err); ok {
		return fmt.Errorf(
			"parsing PKCS#12: %w: its encryption or its arrangement is not read; %s",
			rolesanywhere.ErrUnsupportedKey,
			advice,
		)
	}
	return fmt.Errorf(
		"%w: the certificate or the key in it is missing, damaged or of a kind that is not read from PKCS#12, such "+
			"as ML-DSA; %s",
		ErrInvalid,
		advice,
	)
}

const advice = "give certificate and key as PEM (openssl pkcs12 -in file.p12)"

// order finds the leaf by its key and then one issuer after the other by name.
func order(certificates []*x509.Certificate, public crypto.PublicKey) ([]*x509.Certificate, error) {
	key, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, fmt.Errorf("parsing PKCS#12: %w: its key is of an unknown kind", rolesanywhere.ErrUnsupportedKey)
	}
	var chain []*x509.Certificate
	for _, c := range certificates {
		if c.PublicKey != nil && key.Equal(c.PublicKey) && !c.IsCA {
			chain = append(chain, c)
			break
		}
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf(
			"parsing PKCS#12: %w: none of the %d certificates is of the file's key",
			rolesanywhere.ErrKeyMismatch,
			len(certificates),
		)
	}
	for len(chain) <= len(certificates) {
		issuer := issuerOf(chain[len(chain)-1], certificates)
		if issuer == nil || bytes.Equal(issuer.RawSubject, issuer.RawIssuer) {
			break
		}
		chain = append(chain, issuer)
	}
	return chain, nil
}

// issuerOf prefers a certificate whose key identifier is the one that child names.
func issuerOf(child *x509.Certificate, certificates []*x509.Certificate) (found *x509.Certificate) {
	for _, c := range certificates {
		if !c.IsCA || !bytes.Equal(c.RawSubject, child.RawIssuer) {
			continue
		}
		if len(child.AuthorityKeyId) > 0 && bytes.Equal(c.SubjectKeyId, child.AuthorityKeyId) {
			return c
		}
		if found == nil {
			found = c
		}
	}
	return found
}
