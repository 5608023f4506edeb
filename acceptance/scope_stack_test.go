package acceptance

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	scopeRoleARN   = roleARN + "-scopes"
	limitedRoleARN = roleARN + "-limited"
	farRoleARN     = "arn:aws:iam::999999999999:role/partner"
	farID          = "example-external-id"
)

// chainStack is a stack with the whole chain behind a scope: Roles Anywhere grants the connection's session, with which
// the stand-in for STS is asked to assume a role. It verifies the call, and has MinIO's own AssumeRole make the
// credentials, with the very policy that it was given: what a scope opens is enforced by a real S3.
type chainStack struct {
	*sessionStack
	sts *awstest.Server
}

// newChainStack lets sessions of scopes last for life; 0: as long as they are requested for.
func newChainStack(t *testing.T, life time.Duration, roles ...awstest.Role) *chainStack {
	t.Helper()
	s := &chainStack{sessionStack: newSessionStack(t, harness.VaultOptions{InMemory: true},
		rolesanywheretest.Options{})}
	s.sts = awstest.NewServer(awstest.Options{Region: harness.MinIORegion, HandOff: s.handOff(life),
		Roles: append(roles, awstest.Role{ARN: roleARN}, awstest.Role{ARN: scopeRoleARN},
			awstest.Role{ARN: limitedRoleARN})})
	t.Cleanup(s.sts.Close)
	s.aws.vended = func(r rolesanywheretest.SessionRequest, c rolesanywheretest.Credentials) {
		s.sts.AddSession(awstest.Session{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey,
			SessionToken: c.SessionToken, ARN: "arn:aws:sts::" + account + ":assumed-role/orders/" + r.RoleSessionName,
			SourceIdentity: r.Certificate.Subject.CommonName, Expiration: r.Expiration})
	}
	s.minio.MakeBucket(otherBucket)
	for _, bucket := range []string{bucketName, otherBucket} {
		for _, key := range []string{"reports/x", "reports2/x", "public/x"} {
			s.put(s.minio.RootCredentials(), bucket, key)
		}
	}
	return s
}

func (s *chainStack) handOff(life time.Duration) func(awstest.AssumeRoleRequest) (awstest.Session, error) {
	return func(r awstest.AssumeRoleRequest) (awstest.Session, error) {
		if r.Policy == "" {
			return awstest.Session{}, errors.New("the session would be as wide as its role")
		}
		if strings.Contains(r.Policy, `"aws:SourceVpce"`) || strings.Contains(r.Policy, `"kms:`) {
			// MinIO has neither VPC endpoints nor these actions, and refuses such a policy. Nothing is opened by it
			// here.
			return awstest.Session{AccessKey: "ASIA" + rand.Text()[:16], SecretKey: rand.Text(),
				SessionToken: rand.Text()}, nil
		}
		policy := r.Policy
		if r.RoleARN == limitedRoleARN {
			policy = withinRole(policy)
		}
		made, err := s.minio.AssumeRole(s.t.Context(), max(shortestSTS, r.Duration), policy)
		session := awstest.Session{AccessKey: made.AccessKeyID, SecretKey: made.SecretAccessKey,
			SessionToken: made.SessionToken}
		if life > 0 {
			session.Expiration = time.Now().Add(life)
		}
		return session, err
	}
}

// withinRole adds to a session policy what a role that may list and read below reports/ alone refuses: MinIO takes one
// policy for a session and has no roles.
func withinRole(policy string) string {
	const refused = `,{"Effect":"Deny","Action":"s3:GetObject",` +
		`"NotResource":"arn:aws:s3:::` + bucketName + `/reports/*"},` +
		`{"Effect":"Deny","Action":"s3:ListBucket","Resource":"arn:aws:s3:::*",` +
		`"Condition":{"StringNotLike":{"s3:prefix":"reports/*"}}}]}`
	return strings.TrimSuffix(policy, "]}") + refused
}

// fields is a roles_anywhere connection whose STS is the stand-in.
func (s *chainStack) fields(changes map[string]any) map[string]any {
	s.t.Helper()
	fields := s.sessionStack.fields(map[string]any{"sts_endpoint": s.sts.URL})
	maps.Copy(fields, changes)
	return fields
}

// lastAssumed is the latest call of AssumeRole.
func (s *chainStack) lastAssumed() awstest.Recorded {
	s.t.Helper()
	var last awstest.Recorded
	for _, one := range s.sts.Requests() {
		if one.Operation == "AssumeRole" {
			last = one
		}
	}
	return last
}
