package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"unicode/utf8"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Names are what a certificate signing request asks to be certified. The tags are those of the stored form.
type Names struct {
	CommonName         string   `json:"common_name,omitempty"`
	Organization       []string `json:"organization,omitempty"`
	OrganizationalUnit []string `json:"organizational_unit,omitempty"`
	Country            []string `json:"country,omitempty"`
	Province           []string `json:"province,omitempty"`
	Locality           []string `json:"locality,omitempty"`
	DNSSANs            []string `json:"dns_sans,omitempty"`
	URISANs            []string `json:"uri_sans,omitempty"`
}

// Bounds of RFC 5280, appendix A.1, in characters, and of how much one request may ask for.
const (
	maxName      = 64
	maxPlace     = 128 // of a province and a locality
	maxPerField  = 16
	maxURI       = 2048
	countryWidth = 2
)

var (
	dnsName = regexp.MustCompile(
		`^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$`,
	)
	country = regexp.MustCompile(`^[A-Z]{2}$`)
)

// Check adds to the list what is wrong with the names.
func (n *Names) Check(p *problem.List) {
	checkText(p, "common_name", maxName, n.CommonName)
	checkText(p, "organization", maxName, n.Organization...)
	checkText(p, "organizational_unit", maxName, n.OrganizationalUnit...)
	checkText(p, "province", maxPlace, n.Province...)
	checkText(p, "locality", maxPlace, n.Locality...)
	checkList(p, "country", n.Country, func(one string) string {
		if !country.MatchString(one) {
			return fmt.Sprintf("is not a country code of %d capital letters, such as DE", countryWidth)
		}
		return ""
	})
	checkList(p, "dns_sans", n.DNSSANs, func(one string) string {
		if len(one) > 253 || !dnsName.MatchString(one) {
			return "is not a DNS name"
		}
		return ""
	})
	checkList(p, "uri_sans", n.URISANs, func(one string) string {
		if u, err := url.Parse(one); err != nil || u.Scheme == "" || len(one) > maxURI || !isASCII(one) {
			return "is not a URI with a scheme, such as spiffe://example.org/orders"
		}
		return ""
	})
}

func checkText(p *problem.List, field string, most int, texts ...string) {
	checkList(p, field, texts, func(one string) string {
		switch {
		case utf8.RuneCountInString(one) > most:
			return fmt.Sprintf("is longer than %d characters, which certificates have room for", most)
		case !utf8.ValidString(one) || slices.ContainsFunc([]rune(one), func(r rune) bool {
			return r < ' ' ||
				r == 0x7f
		}):
			return "holds a control character"
		}
		return ""
	})
}

func checkList(p *problem.List, field string, values []string, fault func(string) string) {
	if len(values) > maxPerField {
		p.Add(field, "holds %d values; at most %d are accepted", len(values), maxPerField)
		return
	}
	for _, one := range values {
		if text := fault(one); text != "" {
			p.Add(field, "%s %s", problem.Quote(one), text)
			return
		}
	}
}

func isASCII(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool { return b <= ' ' || b >= 0x7f })
}

func (n *Names) subject() pkix.Name {
	return pkix.Name{
		CommonName: n.CommonName, Organization: n.Organization, OrganizationalUnit: n.OrganizationalUnit,
		Country: n.Country, Province: n.Province, Locality: n.Locality,
	}
}

// hasSubject says whether a part of the subject is given.
func (n *Names) hasSubject() bool {
	return n.CommonName != "" ||
		len(n.Organization)+len(n.OrganizationalUnit)+len(n.Country)+len(n.Province)+len(n.Locality) > 0
}

// over returns the names with those of a certificate where none are given.
func (n Names) over(current *x509.Certificate) Names {
	for _, one := range []struct{ given, other *[]string }{
		{&n.Organization, &current.Subject.Organization}, {&n.OrganizationalUnit, &current.Subject.OrganizationalUnit},
		{&n.Country, &current.Subject.Country}, {&n.Province, &current.Subject.Province},
		{&n.Locality, &current.Subject.Locality},
	} {
		if len(*one.given) == 0 {
			*one.given = *one.other
		}
	}
	if n.CommonName == "" {
		n.CommonName = current.Subject.CommonName
	}
	return n
}

// NewRequest returns a certificate signing request for the key, in PEM, signed by it. Where there is a current
// certificate, its subject and its alternative names stand in, octet for octet, for those that names leaves out:
// EST wants a renewal to keep them (RFC 7030, section 4.2.2).
func NewRequest(key crypto.Signer, names Names, current *x509.Certificate) (string, error) {
	template := &x509.CertificateRequest{DNSNames: names.DNSSANs}
	for _, one := range names.URISANs {
		u, err := url.Parse(one)
		if err != nil {
			return "", fmt.Errorf("making the request: uri_sans: %s is not a URI", problem.Quote(one))
		}
		template.URIs = append(template.URIs, u)
	}
	switch {
	case current == nil:
		template.Subject = names.subject()
	case names.hasSubject():
		all := names.over(current)
		template.Subject = all.subject()
	default:
		template.RawSubject = current.RawSubject
	}
	if current != nil && len(names.DNSSANs)+len(names.URISANs) == 0 {
		if at := slices.IndexFunc(current.Extensions, isSAN); at >= 0 {
			template.ExtraExtensions = []pkix.Extension{current.Extensions[at]}
		}
	}
	der, err := createRequest(template, key)
	if err != nil {
		return "", fmt.Errorf("making the request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

func createRequest(template *x509.CertificateRequest, key crypto.Signer) ([]byte, error) {
	if key, isMLDSA := key.(*mldsa.PrivateKey); isMLDSA {
		return createMLDSARequest(template, key)
	}
	return x509.CreateCertificateRequest(rand.Reader, template, key)
}

// createMLDSARequest does what crypto/x509 of Go 1.26 does not: it takes the content of a request from there, made with
// a key that is thrown away, puts in the public key and signs it (RFC 2986, RFC 9881).
func createMLDSARequest(template *x509.CertificateRequest, key *mldsa.PrivateKey) ([]byte, error) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, other)
	if err != nil {
		return nil, err
	}
	var request struct {
		Content struct {
			Version    int
			Subject    asn1.RawValue
			PublicKey  asn1.RawValue
			Attributes asn1.RawValue `asn1:"tag:0"`
		}
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &request); err != nil {
		return nil, err
	}
	public, err := mldsax509.MarshalPKIXPublicKey(key.PublicKey())
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(public, &info); err != nil {
		return nil, err
	}
	request.Content.PublicKey, request.Algorithm = asn1.RawValue{FullBytes: public}, info.Algorithm
	content, err := asn1.Marshal(request.Content)
	if err != nil {
		return nil, err
	}
	signature, err := key.Sign(rand.Reader, content, &mldsa.Options{})
	if err != nil {
		return nil, err
	}
	request.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(request)
}

func isSAN(e pkix.Extension) bool { return e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) }
