package network

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// ParseCertificates reads CA certificates in PEM, at least one. The error's text goes behind a field's name.
func ParseCertificates(text string) ([]*x509.Certificate, error) {
	blocks, err := rolesanywhere.DecodePEM([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("is not PEM: %w; give CA certificates, each from -----BEGIN CERTIFICATE----- to its end", err)
	}
	certificates := make([]*x509.Certificate, len(blocks))
	for i, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("holds a PEM block that is not a CERTIFICATE; give CA certificates alone")
		}
		if certificates[i], err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("parsing certificate %d: its content is not an X.509 certificate", i+1)
		}
	}
	return certificates, nil
}

// EncodeCertificates writes certificates in PEM, without the text and headers that tools put around them.
func EncodeCertificates(certificates []*x509.Certificate) string {
	var plain bytes.Buffer
	for _, one := range certificates {
		_ = pem.Encode(&plain, &pem.Block{Type: "CERTIFICATE", Bytes: one.Raw}) // a Buffer never fails
	}
	return plain.String()
}
