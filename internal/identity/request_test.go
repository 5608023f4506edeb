package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestNewRequest_KeepsSubjectAndNamesOfTheCurrentCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	uri, _ := url.Parse("spiffe://example.com/orders")
	key, _ := NewKey(DefaultKeyType)
	current := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{
			CommonName:   "orders",
			Organization: []string{"Example"},
			ExtraNames:   []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 97}, Value: "x"}},
		},
		DNSNames: []string{"a.example.com"}, URIs: []*url.URL{uri}, EmailAddresses: []string{"a@example.com"},
	}, key.Public())
	for name, test := range map[string]struct {
		names           Names
		subject, names2 string
	}{
		"nothing given": {Names{}, current.Subject.String(),
			"[a.example.com] [spiffe://example.com/orders] [a@example.com]"},
		"subject given": {Names{Country: []string{"DE"}}, "CN=orders,O=Example,C=DE",
			"[a.example.com] [spiffe://example.com/orders] [a@example.com]"},
		"names given": {Names{DNSSANs: []string{"b.example.com"}}, current.Subject.String(), "[b.example.com] [] []"},
	} {
		text, err := NewRequest(key, test.names, current)
		if err != nil {
			t.Fatal(err)
		}
		request := readRequest(t, text)
		if got := request.Subject.String(); got != test.subject {
			t.Errorf("%s: subject %s, want %s", name, got, test.subject)
		}
		if got := fmt.Sprint(request.DNSNames, request.URIs, request.EmailAddresses); got != test.names2 {
			t.Errorf("%s: names %s, want %s", name, got, test.names2)
		}
	}
}

func TestNewRequest_NamesThatNoRequestCanHold(t *testing.T) {
	t.Parallel()
	for _, keyType := range []string{DefaultKeyType, "ml-dsa-44"} {
		key, err := NewKey(keyType)
		if err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			names Names
			want  string
		}{
			"a URI that is none":    {Names{URISANs: []string{"%"}}, `making the request: uri_sans: "%" is not a URI`},
			"a DNS name in Umlauts": {Names{DNSSANs: []string{"ö.example"}}, "making the request: "},
		} {
			text, err := NewRequest(key, test.names, nil)
			if text != "" || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: %q, %v, want %q", keyType, name, text, err, test.want)
			}
		}
	}
}

func TestNamesCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		names Names
		want  string
	}{
		"fine": {Names{CommonName: "Möbel & Söhne", Country: []string{"DE"},
			DNSSANs: []string{"*.a.example"}, URISANs: []string{"urn:uuid:1"}}, ""},
		"long name":        {Names{CommonName: strings.Repeat("a", 65)}, "common_name: "},
		"control":          {Names{Organization: []string{"a\nb"}}, `organization: "a\nb" holds a control character`},
		"country":          {Names{Country: []string{"Germany"}}, `country: "Germany" is not a country code`},
		"DNS name":         {Names{DNSSANs: []string{"a..b"}}, `dns_sans: "a..b" is not a DNS name`},
		"URI":              {Names{URISANs: []string{"orders"}}, `uri_sans: "orders" is not a URI`},
		"URI in Unicode":   {Names{URISANs: []string{"spiffe://ä/b"}}, "uri_sans: "},
		"too many":         {Names{DNSSANs: make([]string, 17)}, "dns_sans: holds 17 values"},
		"long province":    {Names{Province: []string{strings.Repeat("a", 129)}}, "province: "},
		"not UTF-8 at all": {Names{Locality: []string{"\xff"}}, "locality: "},
	} {
		var p problem.List
		test.names.Check(&p)
		err := p.Err("making a request", "")
		if test.want == "" && err != nil ||
			test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
