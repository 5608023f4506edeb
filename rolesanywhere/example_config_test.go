package rolesanywhere_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// A program that has an aws.Config already, by config.LoadDefaultConfig or by hand, and an identity in a key management
// service or a token.
func ExampleNewFromConfig() {
	config := aws.Config{
		Region:     "eu-central-1",
		HTTPClient: &http.Client{Transport: &http.Transport{}},
		AppID:      "orders",
	}
	client := rolesanywhere.NewFromConfig(config, func(o *rolesanywhere.Options) {
		o.EndpointOptions.DualStack = true
		o.Retryer = retry.AddWithMaxAttempts(retry.NewStandard(), 5)
	})
	identity := func(ctx context.Context) (*rolesanywhere.Identity, error) {
		return nil, fmt.Errorf("the token is not plugged in") // here: rolesanywhere.NewIdentity(certificates, signer)
	}
	provider := rolesanywhere.NewCredentialsProvider(client, identity, rolesanywhere.CreateSessionInput{
		ProfileARN: "arn:aws:rolesanywhere:eu-central-1:123456789012:profile/" +
			"11111111-2222-3333-4444-555555555555",
		RoleARN: "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN: "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/" +
			"11111111-2222-3333-4444-555555555555",
		InstanceProperties: map[string]string{"rack": "b7"},
	}, func(o *rolesanywhere.Options) { o.Timeout = 5 * time.Second })

	_, err := provider.Retrieve(context.Background())
	fmt.Println(err)
	// Output: obtaining the identity: the token is not plugged in
}
