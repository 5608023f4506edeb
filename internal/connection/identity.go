package connection

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// checkIdentity validates certificate and key and replaces both by their plain form: certificates without the text
// that tools put around them, the key as unencrypted PKCS#8, which Vault's storage then encrypts.
//
// A connection without both has no identity yet.
func checkIdentity(problems *problem.List, c *Connection, now time.Time) (warnings []string) {
	passphrase, file := c.Passphrase, c.PKCS12
	c.Passphrase, c.PKCS12 = secret.Text{}, secret.Text{}
	switch {
	case problems.Has("pkcs12"):
		return nil // which certificate and key are meant is not known
	case !file.Empty():
		return checkPKCS12(problems, c, file, passphrase, now)
	case c.Certificate == "" && c.PrivateKey.Empty():
		return []string{"certificate: there is none yet, so no session can be obtained; make a key and its request " +
			"with identity/NAME/csr, and write its certificate to identity/NAME/certificate"}
	}
	certificates := checkCertificate(problems, c)
	for _, fault := range validityFaults(certificates, now) {
		problems.Add("certificate", "%v", fault)
	}
	key := checkPrivateKey(problems, c, passphrase)
	if certificates == nil || key == nil {
		return nil
	}
	switch _, err := rolesanywhere.NewIdentity(certificates, key); {
	case errors.Is(err, rolesanywhere.ErrKeyMismatch):
		problems.Add("private_key", "is not the key of the certificate; give the two that belong together")
		return nil
	case err != nil:
		problems.Add("certificate", "%v", err)
		return nil
	}
	if problems.Has("certificate") {
		return nil
	}
	return earliestEnd(certificates).Warnings(now)
}

// DecryptsKey reports whether [Connection.Validate] derives a key from the passphrase, which may take a second of a
// processor and 32 MiB of memory. A private key whose derivation would cost more is refused without one. For a PKCS#12
// file it is always true: a file without a passphrase derives keys from the empty one.
func (c *Connection) DecryptsKey() bool {
	if !c.PKCS12.Empty() || c.Passphrase.Empty() {
		return !c.PKCS12.Empty()
	}
	_, err := rolesanywhere.ParsePrivateKey([]byte(c.PrivateKey.Reveal()), nil)
	return errors.Is(err, rolesanywhere.ErrPassphraseRequired)
}

func checkCertificate(problems *problem.List, c *Connection) []*x509.Certificate {
	if problems.Has("certificate") {
		return nil
	}
	if c.Certificate == "" {
		problems.Add("certificate", "is required where there is a private_key; give the PEM, leaf first, or leave "+
			"out both and make the key in Vault")
		return nil
	}
	certificates, err := rolesanywhere.ParseCertificates([]byte(c.Certificate))
	if err != nil {
		problems.Add("certificate", "%v", err)
		return nil
	}
	c.Certificate = network.EncodeCertificates(certificates)
	return certificates
}

func checkPrivateKey(problems *problem.List, c *Connection, passphrase secret.Text) crypto.Signer {
	if problems.Has("private_key") || problems.Has("private_key_passphrase") {
		return nil
	}
	if c.PrivateKey.Empty() {
		problems.Add("private_key", "is required where there is a certificate; give the PEM of the certificate's key")
		return nil
	}
	key, err := rolesanywhere.ParsePrivateKey([]byte(c.PrivateKey.Reveal()), []byte(passphrase.Reveal()))
	switch {
	case errors.Is(err, rolesanywhere.ErrPassphraseRequired), errors.Is(err, rolesanywhere.ErrPassphraseIncorrect):
		problems.Add("private_key_passphrase", "%v", err)
		return nil
	case err != nil:
		problems.Add("private_key", "%v", err)
		return nil
	}
	text, err := rolesanywhere.MarshalPrivateKey(key)
	if err != nil {
		problems.Add("private_key", "encoding it as PKCS#8 is not possible")
		return nil
	}
	c.PrivateKey = secret.New(string(text))
	return key
}
