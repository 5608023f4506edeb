package enroll

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// The types of authorities.
const (
	TypeVaultPKI = "vault_pki"
	TypeEST      = "est"
	TypeStepCA   = "step_ca"
)

// Types returns every type, in the order in which they are documented.
func Types() []string { return []string{TypeVaultPKI, TypeEST, TypeStepCA} }

// DefaultCertAuthPath is where Vault's cert auth method is usually mounted.
const DefaultCertAuthPath = "cert"

// Settings describe one authority and how it is reached. The tags are those of the stored form.
type Settings struct {
	Type     string      `json:"type"`
	Address  string      `json:"address"`           // https://host[:port]
	CACert   string      `json:"ca_cert,omitempty"` // PEM; trusted beside the system's roots
	ProxyURL secret.Text `json:"-"`                 // stored by whoever stores secrets

	// vault_pki
	CertAuthPath string        `json:"cert_auth_path,omitempty"`
	CertAuthRole string        `json:"cert_auth_role,omitempty"`
	PKIPath      string        `json:"pki_path,omitempty"`
	PKIRole      string        `json:"pki_role,omitempty"`
	Namespace    string        `json:"namespace,omitempty"`
	TTL          time.Duration `json:"ttl,omitempty"` // 0: the role's

	// est
	Label string `json:"label,omitempty"`
}

// Check adds what is wrong with the settings to the list, by the fields' names, and writes CACert in its plain form.
func (s *Settings) Check(p *problem.List) {
	if !slices.Contains(Types(), s.Type) {
		if s.Type == "" {
			p.Add("type", "is required; give one of %s", strings.Join(Types(), ", "))
		} else {
			p.Add("type", "%s is not a type of issuer; give one of %s", problem.Quote(s.Type), strings.Join(Types(),
				", "))
		}
	}
	s.checkAddress(p)
	if s.CACert != "" {
		if certificates, err := network.ParseCertificates(s.CACert); err != nil {
			p.Add("ca_cert", "%v", err)
		} else {
			s.CACert = network.EncodeCertificates(certificates)
		}
	}
	if !s.ProxyURL.Empty() {
		if err := network.CheckProxy(s.ProxyURL); err != nil {
			p.Add("proxy_url", "%v", err)
		}
	}
	for _, row := range s.rows() {
		row.check(p, s.Type)
	}
	switch {
	case s.TTL < 0:
		p.Add("ttl", "is negative; give the lifetime to ask for, or leave it out for the role's own")
	case s.TTL > 0 && s.Type != TypeVaultPKI:
		p.Add("ttl", "is for type %s alone", TypeVaultPKI)
	}
}

// checkAddress takes https alone, for loopback too: the certificate that asks is offered in the TLS handshake.
func (s *Settings) checkAddress(p *problem.List) {
	if s.Address == "" {
		p.Add("address", "is required; it looks like https://host:port")
		return
	}
	if err := network.CheckEndpoint(s.Address, network.PlainHTTP{}); err != nil {
		p.Add("address", "%v", err)
		return
	}
	u, err := url.Parse(s.Address)
	switch {
	case err != nil || u.Scheme != "https":
		p.Add("address", "is plain http; certificates are asked for over TLS alone, so give the https address")
	case strings.Trim(u.Path, "/") != "":
		p.Add("address", "holds a path; give scheme, host and port alone, the rest has fields of its own")
	default:
		s.Address = strings.TrimRight(s.Address, "/")
	}
}

// row is one field that becomes part of a URL or a header.
type row struct {
	field, value string
	kind         string // the one type that has the field
	required     bool
	nested       bool // may hold several segments
	example      string
}

func (s *Settings) rows() []row {
	return []row{
		{"cert_auth_path", s.CertAuthPath, TypeVaultPKI, false, true, DefaultCertAuthPath},
		{"cert_auth_role", s.CertAuthRole, TypeVaultPKI, true, false, "s3conn-renewal"},
		{"pki_path", s.PKIPath, TypeVaultPKI, true, true, "pki"},
		{"pki_role", s.PKIRole, TypeVaultPKI, true, false, "s3conn"},
		{"namespace", s.Namespace, TypeVaultPKI, false, true, "team-a"},
		{"label", s.Label, TypeEST, false, false, "devices"},
	}
}

// segment keeps what is put into a URL's path or a header to what needs no escaping and cannot leave its place. Its
// length is compared beside it: a repetition with such bounds compiles to hundreds of KiB, at every start.
var segment = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)

const maxSegment = 255

func (r row) check(p *problem.List, kind string) {
	switch {
	case kind != r.kind:
		if r.value != "" && slices.Contains(Types(), kind) {
			p.Add(r.field, "is for type %s alone", r.kind)
		}
		return
	case r.value == "" && r.required:
		p.Add(r.field, "is required for type %s; it looks like %s", r.kind, r.example)
		return
	case r.value == "":
		return
	}
	segments := []string{r.value}
	if r.nested {
		segments = strings.Split(strings.Trim(r.value, "/"), "/")
	}
	for _, one := range segments {
		if len(one) > maxSegment || !segment.MatchString(one) {
			p.Add(
				r.field,
				"%s is not a name of letters, digits and . _ - ~; it looks like %s",
				problem.Quote(r.value),
				r.example,
			)
			return
		}
	}
}

// path joins segments, which [Settings.Check] has looked at, behind the address.
func (s Settings) path(segments ...string) string {
	address := s.Address
	for _, one := range segments {
		if one = strings.Trim(one, "/"); one != "" {
			address += "/" + one
		}
	}
	return address
}

// RedactProxy returns a proxy's address as a read may show it, "" for none.
func RedactProxy(proxy secret.Text) string { return network.RedactProxy(proxy) }
