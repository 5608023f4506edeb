package enroll

import (
	"crypto/x509"
	"encoding/base64"
	"os"
	"slices"
	"testing"
)

func TestParseCertsOnly_Forms(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, 2)
	der := certsOnly(false, a.certificates...)
	text := base64.StdEncoding.EncodeToString(der)
	for name, body := range map[string][]byte{
		"DER":                         der,
		"base64":                      []byte(text),
		"base64 with lines":           []byte(text[:64] + "\r\n" + text[64:] + "\n"),
		"BER with indefinite lengths": certsOnly(true, a.certificates...),
		"BER in base64":               []byte(base64.StdEncoding.EncodeToString(certsOnly(true, a.certificates...))),
	} {
		certificates, err := parseCertsOnly(body)
		if err != nil || len(certificates) != 3 {
			t.Errorf("%s: %d certificates, %v", name, len(certificates), err)
		}
	}
}

// testdata/openssl.p7b was written by "openssl crl2pkcs7 -nocrl -certfile"; its two certificates are throw-away ones.
func TestParseCertsOnly_ReadsWhatOpenSSLWrites(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("testdata/openssl.p7b")
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := parseCertsOnly(body)
	if err != nil || len(certificates) != 2 || certificates[1].Subject.CommonName != "two" {
		t.Errorf("%d certificates, %v", len(certificates), err)
	}
}

func inBase64(der ...byte) []byte { return []byte(base64.StdEncoding.EncodeToString(der)) }

// signedData is a certs-only message whose set of certificates holds the bytes.
func signedData(set ...byte) []byte {
	n := byte(len(set))
	return inBase64(append([]byte{0x30, 24 + n, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 11 + n,
		0x30, 9 + n, 2, 1, 1, 0x31, 0, 0x30, 0, 0xa0, n}, set...)...)
}

func TestParseCertsOnly_LooksAtABoundedNumberOfCertificates(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, 0).root()
	for n, want := range map[int]string{
		maxCertificates:     "",
		maxCertificates + 1: "it holds more certificates than are looked at",
	} {
		certificates, err := parseCertsOnly(certsOnly(false, slices.Repeat([]*x509.Certificate{root}, n)...))
		if want == "" && (err != nil || len(certificates) != n) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%d certificates: %d, %v", n, len(certificates), err)
		}
	}
}

func TestParseCertsOnly_Refuses(t *testing.T) {
	t.Parallel()
	good := certsOnly(false, newAuthority(t, 0).root())
	changed := func(at int, to byte) []byte {
		other := append([]byte(nil), good...)
		other[at] = to
		return other
	}
	for name, test := range map[string]struct {
		body []byte
		want error
	}{
		"nothing":          {nil, errNotBase64},
		"text":             {[]byte("sorry!"), errNotBase64},
		"another OID":      {changed(14, 3), errNotCertsOnly},
		"cut short":        {good[:len(good)-1], errNotCertsOnly},
		"something behind": {append(append([]byte(nil), good...), 0), errNotCertsOnly},
		"a certificate":    {newAuthority(t, 0).root().Raw, errNotCertsOnly},
		"no certificate":   {[]byte(base64.StdEncoding.EncodeToString(certsOnly(false))), errNoneInside},
		"data":             {inBase64(0x30, 14, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 1, 0), errNotCertsOnly},
		"no version": {inBase64(0x30, 15, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 2, 0x30, 0),
			errNotCertsOnly},
		"no set of certificates": {inBase64(0x30, 22, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 9, 0x30, 7, 2,
			1, 1, 0x31, 0, 0x30, 0), errNoneInside},
		"a certificate cut short":           {signedData(0x30, 9, 1), errNotCertsOnly},
		"a sequence that is no certificate": {signedData(0x30, 0), errNotX509},
		"too many elements": {inBase64(0x30, 18, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0),
			errNotCertsOnly},
		"a set of integers": {[]byte{0x30, 0x80, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 0x80, 0x30, 0x80, 2, 1,
			1, 0x31, 0, 0x30, 0, 0xa0, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0}, errNotX509},
	} {
		if _, err := parseCertsOnly(test.body); err != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
