package acceptance

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	account        = "123456789012"
	profileARN     = "arn:aws:rolesanywhere:us-east-1:" + account + ":profile/11111111-2222-3333-4444-555555555555"
	trustAnchorARN = "arn:aws:rolesanywhere:us-east-1:" + account + ":trust-anchor/66666666-7777-8888-9999-aaaaaaaaaaaa"
	roleARN        = "arn:aws:iam::" + account + ":role/orders"

	shortestSTS = 15 * time.Minute // of MinIO's AssumeRole
)

// aws is IAM Roles Anywhere, as the stand-in plays it: it verifies every request and returns MinIO's own STS
// credentials, so that MinIO is the judge of what Vault hands out.
type awsAccount struct {
	*rolesanywheretest.Server
	authority *rolesanywheretest.Authority
	// vended learns of every session; nil: nobody does. It is set before the first one.
	vended func(rolesanywheretest.SessionRequest, rolesanywheretest.Credentials)

	mu     sync.Mutex
	policy string // narrows the sessions
}

func newAWS(t *testing.T, minio *harness.MinIO, options rolesanywheretest.Options) *awsAccount {
	t.Helper()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := &awsAccount{authority: authority}
	options.TrustAnchors = append(options.TrustAnchors, authority.Certificate())
	options.Vend = func(ctx context.Context, r rolesanywheretest.SessionRequest) (rolesanywheretest.Credentials,
		error) {
		a.mu.Lock()
		policy := a.policy
		a.mu.Unlock()
		made, err := minio.AssumeRole(ctx, max(shortestSTS, r.Duration), policy)
		if err != nil {
			return rolesanywheretest.Credentials{}, err
		}
		vended := rolesanywheretest.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey,
			SessionToken: made.SessionToken}
		if a.vended != nil {
			a.vended(r, vended)
		}
		return vended, nil
	}
	a.Server = rolesanywheretest.NewServer(options)
	t.Cleanup(a.Close)
	return a
}

func (a *awsAccount) narrow(policy string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.policy = policy
}

func (a *awsAccount) issue(t *testing.T, options rolesanywheretest.IssueOptions) *rolesanywheretest.Issued {
	t.Helper()
	issued, err := a.authority.Issue(options)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// sessionStack is a stack with the stand-in for AWS beside it.
type sessionStack struct {
	*stack
	aws *awsAccount
}

func newSessionStack(t *testing.T, vault harness.VaultOptions, aws rolesanywheretest.Options) *sessionStack {
	t.Helper()
	s := newStack(t, vault)
	return &sessionStack{stack: s, aws: newAWS(t, s.minio, aws)}
}

// fields is a roles_anywhere connection with a certificate of its own.
func (s *sessionStack) fields(changes map[string]any) map[string]any {
	s.t.Helper()
	issued := s.aws.issue(s.t, rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	fields := s.s3Fields(map[string]any{
		"auth_type":              "roles_anywhere",
		"profile_arn":            profileARN,
		"role_arn":               roleARN,
		"trust_anchor_arn":       trustAnchorARN,
		"session_name":           "orders-api",
		"certificate":            string(issued.CertificatePEM),
		"private_key":            string(issued.PrivateKeyPEM),
		"rolesanywhere_endpoint": s.aws.URL,
	})
	maps.Copy(fields, changes)
	return fields
}
