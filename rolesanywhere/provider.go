package rolesanywhere

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// CredentialsProvider is an aws.CredentialsProvider that makes a session every time it is asked.
type CredentialsProvider struct {
	client   *Client
	identity *Identity
	input    CreateSessionInput
}

var _ aws.CredentialsProvider = (*CredentialsProvider)(nil)

// NewCredentialsProvider returns a provider for any client of the AWS SDK. It keeps nothing: wrap it
// in aws.NewCredentialsCache, which shares one session among concurrent callers and makes the next
// one when it has expired, or earlier by the cache's ExpiryWindow.
//
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-gosdk.html
func NewCredentialsProvider(client *Client, id *Identity, in CreateSessionInput) *CredentialsProvider {
	return &CredentialsProvider{client: client, identity: id, input: in}
}

// Retrieve calls [Client.CreateSession] and has its errors. With an error the credentials are empty.
func (p *CredentialsProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	out, err := p.client.CreateSession(ctx, p.identity, p.input)
	if err != nil {
		return aws.Credentials{}, err
	}
	return out.Credentials, nil
}
