package enroll

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"unicode"
)

// maxDepth bounds how deep an element of indefinite length may nest. Certs-only messages nest four deep.
const maxDepth = 8

const oidSignedData = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" // 1.2.840.113549.1.7.2

// The identifier octets that a certs-only message is made of.
const (
	tagOID         = 0x06
	tagInteger     = 0x02
	tagSequence    = 0x30
	tagSet         = 0x31
	tagContext0    = 0xa0
	constructedBit = 0x20
)

var (
	errNotBase64    = errors.New("it is neither base64 nor DER")
	errNotCertsOnly = errors.New("it is not a PKCS#7 message of certificates alone (certs-only)")
	errNoneInside   = errors.New("it holds no certificate")
	errNotX509      = errors.New("one of its certificates is not valid X.509")
)

// parseCertsOnly reads the certificates of a certs-only SignedData, in base64 or as it is, in the order they are in.
// The signatures and digests that the form has room for must be absent or are not looked at: the message is trusted for
// the TLS connection that it came over, and each certificate has a signature of its own. The outer layers may have
// BER's indefinite lengths, in which some servers write them; certificates are DER.
//
// https://www.rfc-editor.org/rfc/rfc5652#section-5.1
func parseCertsOnly(body []byte) ([]*x509.Certificate, error) {
	der, err := binary(body)
	if err != nil {
		return nil, err
	}
	set, err := certificatesOf(der)
	if err != nil {
		return nil, errNotCertsOnly
	}
	var certificates []*x509.Certificate
	for len(set) > 0 {
		one, rest, err := next(set, maxDepth)
		if err != nil {
			return nil, errNotCertsOnly
		}
		if one.tag != tagSequence { // the other choices of CertificateChoices are obsolete or are not X.509
			return nil, errNotX509
		}
		certificate, err := x509.ParseCertificate(one.whole)
		if err != nil {
			return nil, errNotX509
		}
		if certificates = append(certificates, certificate); len(certificates) > maxCertificates {
			return nil, errors.New("it holds more certificates than are looked at")
		}
		set = rest
	}
	if len(certificates) == 0 {
		return nil, errNoneInside
	}
	return certificates, nil
}

// binary decodes base64 with any line breaks. An answer that begins as a SEQUENCE and is not text is taken as it is.
func binary(body []byte) ([]byte, error) {
	if len(body) > 1 && body[0] == tagSequence && body[1]&0x80 != 0 { // '0' and a byte that base64 does not have
		return body, nil
	}
	packed := bytes.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, body)
	der := make([]byte, base64.StdEncoding.DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Decode(der, packed)
	if err != nil || n == 0 {
		return nil, errNotBase64
	}
	return der[:n], nil
}

// certificatesOf walks ContentInfo and SignedData to the content of certificates [0], nil when there is none.
func certificatesOf(der []byte) ([]byte, error) {
	content, err := inside(der, tagSequence, tagOID)
	if err != nil {
		return nil, err
	}
	if string(content[0].content) != oidSignedData || len(content) != 2 || content[1].tag != tagContext0 {
		return nil, errNotCertsOnly
	}
	signed, err := inside(content[1].content, tagSequence, tagInteger, tagSet, tagSequence)
	if err != nil {
		return nil, err
	}
	for _, field := range signed[3:] {
		if field.tag == tagContext0 {
			return field.content, nil
		}
	}
	return nil, nil
}

// element is one value in BER: its identifier octet, its contents, and both with the length between them.
type element struct {
	tag            byte
	content, whole []byte
}

// inside returns the elements of the one element that ber consists of, which has to have the tag and to begin with
// elements of the given ones.
func inside(ber []byte, tag byte, first ...byte) ([]element, error) {
	outer, rest, err := next(ber, maxDepth)
	if err != nil || outer.tag != tag || len(rest) > 0 {
		return nil, errNotCertsOnly
	}
	var elements []element
	for content := outer.content; len(content) > 0; {
		one, after, err := next(content, maxDepth)
		if err != nil || len(elements) == maxDepth {
			return nil, errNotCertsOnly
		}
		elements, content = append(elements, one), after
	}
	if len(elements) < len(first) {
		return nil, errNotCertsOnly
	}
	for i, want := range first {
		if elements[i].tag != want {
			return nil, errNotCertsOnly
		}
	}
	return elements, nil
}

// next cuts the first element off. depth bounds the nesting of indefinite lengths, whose end has to be looked for.
func next(ber []byte, depth int) (one element, rest []byte, err error) {
	if len(ber) >= 2 && ber[1] == 0x80 && ber[0]&constructedBit != 0 {
		return nextIndefinite(ber, depth)
	}
	var raw asn1.RawValue
	rest, err = asn1.Unmarshal(ber, &raw)
	if err != nil {
		return element{}, nil, errNotCertsOnly
	}
	return element{ber[0], raw.Bytes, raw.FullBytes}, rest, nil
}

// nextIndefinite goes on until two zero octets end the contents (X.690, section 8.1.3.6).
func nextIndefinite(ber []byte, depth int) (one element, rest []byte, err error) {
	if depth == 0 {
		return element{}, nil, errNotCertsOnly
	}
	for content := ber[2:]; ; {
		if bytes.HasPrefix(content, []byte{0, 0}) {
			end := len(ber) - len(content)
			return element{ber[0], ber[2:end], ber[:end+2]}, content[2:], nil
		}
		_, after, err := next(content, depth-1)
		if err != nil {
			return element{}, nil, err
		}
		content = after
	}
}
