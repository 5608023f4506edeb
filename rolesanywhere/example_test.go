package rolesanywhere_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// A server in the service's place, so that the examples run.
func service() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"credentialSet":[{"assumedRoleUser":{"arn":
			"arn:aws:sts::123456789012:assumed-role/app/orders-api"},"credentials":{"accessKeyId":
			"ASIAEXAMPLE","secretAccessKey":"secret","sessionToken":"token",
			"expiration":"2026-11-23T10:33:06Z"}}]}`)
	}))
}

func Example() {
	server := service()
	defer server.Close()

	certificate, err := os.ReadFile("testdata/p256.pem")
	if err != nil {
		log.Fatal(err)
	}
	key, err := os.ReadFile("testdata/p256.key")
	if err != nil {
		log.Fatal(err)
	}
	identity, err := rolesanywhere.ParseIdentity(certificate, key, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := rolesanywhere.NewClient(rolesanywhere.Options{
		Region: "us-east-1",
		// Leave out what follows to call AWS.
		Endpoint: server.URL,
		Now:      func() time.Time { return time.Date(2026, 11, 23, 9, 33, 6, 0, time.UTC) },
	})
	if err != nil {
		log.Fatal(err)
	}
	provider := rolesanywhere.NewCredentialsProvider(client, identity, rolesanywhere.CreateSessionInput{
		ProfileARN:      "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",
		RoleARN:         "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN:  "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/11111111-2222-3333-4444-555555555555",
		RoleSessionName: rolesanywhere.SessionName("orders-api"),
		Duration:        time.Hour,
	})
	// Any client takes this: s3.NewFromConfig(config), for one.
	config := aws.Config{Region: "us-east-1", Credentials: aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 5 * time.Minute // else a session is used until its last second
	})}

	credentials, err := config.Credentials.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccessKeyID, "of account", credentials.AccountID, "until", credentials.Expires.Format(time.RFC3339))
	// Output: ASIAEXAMPLE of account 123456789012 until 2026-11-23T10:28:06Z
}

func ExampleSessionName() {
	fmt.Println(rolesanywhere.SessionName("orders/api (prod)"))
	// Output: orders-api--prod-
}

func ExampleEndpoint() {
	fmt.Println(rolesanywhere.Endpoint("us-gov-west-1", rolesanywhere.EndpointOptions{FIPS: true}))
	// Output: https://rolesanywhere-fips.us-gov-west-1.amazonaws.com
}
