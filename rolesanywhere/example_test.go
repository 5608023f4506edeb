package rolesanywhere_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func Example() {
	// A CA, a certificate and a stand-in for the service, so that this example runs anywhere.
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		log.Fatal(err)
	}
	issued, err := authority.Issue(rolesanywheretest.IssueOptions{CommonName: "orders-api"})
	if err != nil {
		log.Fatal(err)
	}
	anchors := []*x509.Certificate{authority.Certificate()}
	service := rolesanywheretest.NewServer(rolesanywheretest.Options{TrustAnchors: anchors})
	defer service.Close()

	identity, err := rolesanywhere.ParseIdentity(issued.CertificatePEM, issued.PrivateKeyPEM, nil)
	if err != nil {
		log.Fatal(err)
	}
	client := rolesanywhere.New(rolesanywhere.Options{
		Endpoint: service.URL, // leave this out to call AWS
	})
	input := rolesanywhere.CreateSessionInput{
		ProfileARN: "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",
		RoleARN:    "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN: "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/" +
			"66666666-7777-8888-9999-000000000000",
		RoleSessionName: "orders-api",
		Duration:        time.Hour,
	}
	provider := rolesanywhere.NewCredentialsProvider(client, rolesanywhere.StaticIdentity(identity), input)
	// Any client of the SDK takes this: s3.NewFromConfig(config), for one.
	config := aws.Config{
		Region: "us-east-1",
		Credentials: aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = 5 * time.Minute // the next session is requested this long before the present one ends
		}),
	}

	credentials, err := config.Credentials.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.Source, "of account", credentials.AccountID)
	fmt.Println("refreshed in", time.Until(credentials.Expires).Round(time.Minute))
	// Output:
	// RolesAnywhereCreateSession of account 123456789012
	// refreshed in 55m0s
}

func ExampleEndpoint() {
	fmt.Println(rolesanywhere.Endpoint("us-gov-west-1", rolesanywhere.EndpointOptions{FIPS: true}))
	// Output: https://rolesanywhere-fips.us-gov-west-1.amazonaws.com
}
