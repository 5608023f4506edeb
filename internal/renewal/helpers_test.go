package renewal

import (
	"crypto/x509"
	"encoding/pem"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
)

func pemOf(certificate *x509.Certificate) string {
	return network.EncodeCertificates([]*x509.Certificate{certificate})
}

// requested reads a request that was made here; nil for a damaged one.
func requested(text string) *x509.CertificateRequest {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	request, _ := x509.ParseCertificateRequest(block.Bytes)
	return request
}
