package network

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPEM bounds what is parsed, in bytes.
const maxPEM = 128 << 10

// ParseCertificates reads CA certificates in PEM, at least one. The error's text goes behind a field's name.
func ParseCertificates(text string) ([]*x509.Certificate, error) {
	blocks, err := decodePEM([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("is not PEM: %w; give CA certificates, each from -----BEGIN CERTIFICATE----- to its end",
			err)
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

// decodePEM returns every PEM block of data, at least one. Text before a block is allowed, since openssl writes such
// (RFC 7468, section 2); text after the last one is not, because it may be a block cut short. A damaged block is an
// error: pem.Decode steps over it in silence. Errors never quote data.
func decodePEM(data []byte) (blocks []*pem.Block, err error) {
	if len(data) > maxPEM {
		return nil, fmt.Errorf("the text is %d bytes long; at most %d are read", len(data), maxPEM)
	}
	begin := []byte("-----BEGIN")
	// Editors on Windows write a byte order mark at the start of a file, which pem.Decode takes for a part of the line.
	rest := bytes.ReplaceAll(data, append([]byte("\ufeff"), begin...), begin)
	for {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if bytes.Count(rest[:len(rest)-len(after)], begin) != 1 {
			return nil, errors.New("a PEM block before the last one is damaged")
		}
		blocks, rest = append(blocks, block), after
	}
	switch {
	case bytes.Contains(rest, begin):
		return nil, errors.New("a PEM block is damaged or cut short")
	case len(blocks) == 0:
		return nil, errors.New("no PEM block found")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("text that is not PEM follows the last PEM block")
	}
	return blocks, nil
}

// EncodeCertificates writes certificates in PEM, without the text and headers that tools put around them.
func EncodeCertificates(certificates []*x509.Certificate) string {
	var plain bytes.Buffer
	for _, one := range certificates {
		_ = pem.Encode(&plain, &pem.Block{Type: "CERTIFICATE", Bytes: one.Raw}) // a Buffer never fails
	}
	return plain.String()
}
