package connection

import (
	"encoding/base64"
	"errors"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/pkcs12"
)

// checkPKCS12 validates the certificates and the private key of a PKCS#12 file in base64, and puts both into the
// connection in the form in which they are stored.
func checkPKCS12(
	problems *problem.List, c *Connection, file, passphrase secret.Text, now time.Time,
) (warnings []string) {
	if problems.Has("private_key_passphrase") {
		return nil // the file cannot be opened
	}
	der, err := base64.StdEncoding.DecodeString(file.Reveal())
	if err != nil {
		problems.Add("pkcs12", "is not base64; give the whole file in base64 (base64 file.p12)")
		return nil
	}
	certificates, key, err := pkcs12.Parse(der, passphrase.Reveal())
	switch {
	case errors.Is(err, rolesanywhere.ErrPassphraseRequired), errors.Is(err, rolesanywhere.ErrPassphraseIncorrect):
		problems.Add("private_key_passphrase", "%v", err)
		return nil
	case err != nil:
		problems.Add("pkcs12", "%v", err)
		return nil
	}
	faults := validityFaults(certificates, now)
	if _, err := rolesanywhere.NewIdentity(certificates, key); err != nil {
		faults = append(faults, err)
	}
	for _, fault := range faults {
		problems.Add("pkcs12", "%v", fault)
	}
	text, err := rolesanywhere.MarshalPrivateKey(key)
	if err != nil {
		problems.Add("pkcs12", "encoding its private key as PKCS#8 is not possible")
		return nil
	}
	c.Certificate, c.PrivateKey = network.EncodeCertificates(certificates), secret.New(string(text))
	return earliestEnd(certificates).Warnings(now)
}
