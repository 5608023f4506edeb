package rolesanywhere_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// A program whose certificate is renewed by cert-manager, SPIFFE's helper or Vault Agent: the next session after a
// renewal is requested with the new certificate.
func ExampleNewFileIdentity() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		log.Fatal(err)
	}
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	anchors := []*x509.Certificate{authority.Certificate()}
	service := rolesanywheretest.NewServer(rolesanywheretest.Options{TrustAnchors: anchors})
	defer service.Close()

	renew(authority, "first certificate", certificate, key)
	files, err := rolesanywhere.NewFileIdentity(ctx, rolesanywhere.FileIdentityOptions{
		CertificateFile: certificate,
		PrivateKeyFile:  key,
	})
	if err != nil {
		log.Fatal(err)
	}
	client := rolesanywhere.New(rolesanywhere.Options{Endpoint: service.URL}) // leave Endpoint out to call AWS
	provider := rolesanywhere.NewCredentialsProvider(client, files.Identity, rolesanywhere.CreateSessionInput{
		ProfileARN: "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",
		RoleARN:    "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN: "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/" +
			"11111111-2222-3333-4444-555555555555",
	})

	for range 2 {
		if _, err := provider.Retrieve(ctx); err != nil {
			log.Fatal(err)
		}
		renew(authority, "renewed certificate", certificate, key)
	}
	for _, request := range service.Requests() {
		fmt.Println(request.Subject)
	}
	// Output:
	// CN=first certificate
	// CN=renewed certificate
}

// renew does what cert-manager would.
func renew(authority *rolesanywheretest.Authority, name, certificate, key string) {
	issued, err := authority.Issue(rolesanywheretest.IssueOptions{CommonName: name})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(key, issued.PrivateKeyPEM, 0o600); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(certificate, issued.CertificatePEM, 0o600); err != nil {
		log.Fatal(err)
	}
}
