package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	region         = "eu-west-1"
	profileARN     = "arn:aws:rolesanywhere:eu-west-1:123456789012:profile/0a1b2c3d-1111-2222-3333-444455556666"
	roleARN        = "arn:aws:iam::123456789012:role/orders"
	trustAnchorARN = "arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/0a1b2c3d-7777-8888-9999-000011112222"

	certificateFile = "orders.pem"
	privateKeyFile  = "orders.key"

	// certificateLife is long enough for the engine not to warn of its end.
	certificateLife = 365 * 24 * time.Hour
)

// startRolesAnywhere starts the stand-in for IAM Roles Anywhere, whose sessions s3 and sts accept, and writes a
// certificate that it trusts, with its key, into dir. The caller closes the server.
func startRolesAnywhere(dir string, authority *rolesanywheretest.Authority, now func() time.Time, s3 *store,
	sts *awstest.Server,
) (*rolesanywheretest.Server, error) {
	issued, err := authority.Issue(rolesanywheretest.IssueOptions{
		CommonName: "orders", NotAfter: now().Add(certificateLife),
	})
	if err != nil {
		return nil, fmt.Errorf("issuing the demo's certificate: %w", err)
	}
	for file, content := range map[string][]byte{certificateFile: issued.CertificatePEM,
		privateKeyFile: issued.PrivateKeyPEM} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return nil, fmt.Errorf("writing the demo's certificate: %w", err)
		}
	}
	return rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors:    []*x509.Certificate{authority.Certificate()},
		Region:          region,
		TrustAnchorARNs: []string{trustAnchorARN}, ProfileARNs: []string{profileARN}, RoleARNs: []string{roleARN},
		Now: now,
		Vend: func(_ context.Context, request rolesanywheretest.SessionRequest) (rolesanywheretest.Credentials, error) {
			session := newSession(request.Expiration)
			s3.admit(session, nil)
			sts.AddSession(awstest.Session{AccessKey: session.AccessKeyID, SecretKey: session.SecretAccessKey,
				SessionToken: session.SessionToken, Expiration: session.Expiration,
				ARN:            "arn:aws:sts::123456789012:assumed-role/orders/" + request.RoleSessionName,
				SourceIdentity: request.Certificate.Subject.CommonName})
			return session, nil
		},
	}), nil
}

// listBuckets is what an app does with what it read from Vault: an S3 client of AWS's SDK with static credentials. It
// returns the buckets' names.
func listBuckets(ctx context.Context, endpoint string, c aws.Credentials) ([]string, error) {
	list, err := s3Client(endpoint, c).ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return nil, fmt.Errorf("listing buckets: %w", err)
	}
	var names []string
	for _, bucket := range list.Buckets {
		names = append(names, aws.ToString(bucket.Name))
	}
	return names, nil
}

func s3Client(endpoint string, c aws.Credentials) *s3.Client {
	return s3.New(s3.Options{
		Region:           region,
		BaseEndpoint:     &endpoint,
		UsePathStyle:     true,
		RetryMaxAttempts: 1,
		Credentials:      credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	})
}
