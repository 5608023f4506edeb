package s3conn

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	mldsax509 "filippo.io/mldsa/x509"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// signed has an authority answer a request in PEM.
func signed(
	t testing.TB,
	authority *rolesanywheretest.Authority,
	csr any,
	options rolesanywheretest.IssueOptions,
) string {
	t.Helper()
	text, _ := csr.(string)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("%v is no request", csr)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if options.PublicKey, err = mldsax509.ParsePKIXPublicKey(request.RawSubjectPublicKeyInfo); err != nil {
		t.Fatal(err)
	}
	options.CommonName = request.Subject.CommonName
	return string(issue(t, authority, options).CertificatePEM)
}

// identityLab is a lab with an authority that the service trusts.
type identityLab struct {
	*lab
	ca *rolesanywheretest.Authority
}

func newIdentityLab(t *testing.T) *identityLab {
	t.Helper()
	ca := newAuthority(t)
	return &identityLab{newLab(t, rolesanywheretest.Options{TrustAnchors: []*x509.Certificate{ca.Certificate()}}), ca}
}

// bare is a connection without an identity.
func (l *identityLab) bare() map[string]any {
	return l.sessionFields(with("certificate", absent), with("private_key", absent))
}

// request makes a key that waits and returns the request for it.
func (l *identityLab) request(name string, data map[string]any) any {
	l.t.Helper()
	return l.must(logical.UpdateOperation, "identity/"+name+"/csr", data).Data["csr"]
}

// swap gives the connection an identity whose key was made here.
func (l *identityLab) swap(name string) *logical.Response {
	l.t.Helper()
	certificate := signed(l.t, l.ca, l.request(name, nil), rolesanywheretest.IssueOptions{})
	return l.must(logical.UpdateOperation, "identity/"+name+"/certificate", with("certificate", certificate))
}
