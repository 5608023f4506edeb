package network

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func TestParseCertificates_SaysWhatIsWrongAndQuotesNothing(t *testing.T) {
	t.Parallel()
	block := func(kind, content string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
	}
	key, certificate := block("PRIVATE KEY", "CANARY"), block("CERTIFICATE", "CANARY")
	for name, test := range map[string]struct{ text, want string }{
		"nothing":           {"", "is not PEM: no PEM block found; give CA certificates"},
		"text":              {"CANARY", "is not PEM: no PEM block found"},
		"too long":          {strings.Repeat("CANARY", maxPEM), "at most 131072 are read"},
		"cut short":         {certificate[:len(certificate)-10], "a PEM block is damaged or cut short"},
		"damaged, then one": {certificate[:40] + "\n" + certificate, "a PEM block before the last one is damaged"},
		"text at the end":   {certificate + "CANARY", "text that is not PEM follows the last PEM block"},
		"a key":             {key, "holds a PEM block that is not a CERTIFICATE; give CA certificates alone"},
		"not X.509":         {certificate, "parsing certificate 1: its content is not an X.509 certificate"},
	} {
		certificates, err := ParseCertificates(test.text)
		if certificates != nil || err == nil || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %d certificates, %v, want %q", name, len(certificates), err, test.want)
		}
	}
}

func TestEncodeCertificates_WritesThemPlainly(t *testing.T) {
	t.Parallel()
	root := &x509.Certificate{Raw: []byte{1, 2, 3}}
	const want = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
	if text := EncodeCertificates([]*x509.Certificate{root, root}); text != want+want {
		t.Errorf("encoded as %q", text)
	}
}
