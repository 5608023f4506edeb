package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const scopeRoleARN = roleARN + "-scopes"

// startSTS starts the stand-in for STS, which scopes call. Its sessions are accepted by s3 with the policy that they
// were requested with. The caller closes the server.
func startSTS(now func() time.Time, s3 *store) *awstest.Server {
	return awstest.NewServer(awstest.Options{
		Region: region, Now: now, Roles: []awstest.Role{{ARN: scopeRoleARN}},
		HandOff: func(request awstest.AssumeRoleRequest) (awstest.Session, error) {
			policy, err := iamtest.Parse(request.Policy)
			if err != nil {
				return awstest.Session{}, fmt.Errorf("reading the session policy: %w", err)
			}
			session := newSession(now().Add(request.Duration))
			s3.admit(session, policy)
			return awstest.Session{AccessKey: session.AccessKeyID, SecretKey: session.SecretAccessKey,
				SessionToken: session.SessionToken, Expiration: session.Expiration}, nil
		},
	})
}

// newSession makes credentials that nobody knows yet.
func newSession(expiration time.Time) rolesanywheretest.Credentials {
	return rolesanywheretest.Credentials{
		AccessKeyID:     "ASIA" + rand.Text()[:16],
		SecretAccessKey: rand.Text() + rand.Text()[:14],
		SessionToken:    rand.Text() + rand.Text(),
		Expiration:      expiration,
	}
}
