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

// A program whose certificate is renewed by cert-manager, SPIFFE's helper or Vault Agent: the next session after a renewal is
// requested with the new certificate.
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
	// renew does what cert-manager would.
	renew := func(name string) {
		issued, err := authority.Issue(rolesanywheretest.IssueOptions{CommonName: name})
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tls.key"), issued.PrivateKeyPEM, 0o600); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tls.crt"), issued.CertificatePEM, 0o600); err != nil {
			log.Fatal(err)
		}
	}
	service := rolesanywheretest.NewServer(rolesanywheretest.Options{TrustAnchors: []*x509.Certificate{authority.Certificate()}})
	defer service.Close()

	renew("first certificate")
	files, err := rolesanywhere.NewFileIdentity(ctx, rolesanywhere.FileIdentityOptions{
		CertificateFile: filepath.Join(dir, "tls.crt"),
		PrivateKeyFile:  filepath.Join(dir, "tls.key"),
	})
	if err != nil {
		log.Fatal(err)
	}
	client := rolesanywhere.New(rolesanywhere.Options{Endpoint: service.URL}) // leave Endpoint out to call AWS
	provider := rolesanywhere.NewCredentialsProvider(client, files.Identity, rolesanywhere.CreateSessionInput{
		ProfileARN:     "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",
		RoleARN:        "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN: "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/11111111-2222-3333-4444-555555555555",
	})

	for range 2 {
		if _, err := provider.Retrieve(ctx); err != nil {
			log.Fatal(err)
		}
		renew("renewed certificate")
	}
	for _, request := range service.Requests() {
		fmt.Println(request.Subject)
	}
	// Output:
	// CN=first certificate
	// CN=renewed certificate
}
