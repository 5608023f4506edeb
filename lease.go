package s3conn

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	// secretTypeSession is stored in every lease: it must never change.
	secretTypeSession = "s3conn_session"

	// leaseExpiration is the lease's record of when its session ends, RFC 3339 with nanoseconds. Text, because
	// numbers in a lease come back as floats.
	leaseExpiration = "expiration"

	// leaseConnection is the lease's record of whose session it is: a hint, for leases outlive connections.
	leaseConnection = "connection"
	leaseScope      = "scope"
	leaseVariant    = "variant" // of a scope with templates

	// shortestRenewal is the rest of a life that counts as nothing: Vault reckons in whole seconds from the lease's
	// issue and would refuse it in words that do not say why.
	shortestRenewal = 2 * time.Second

	revocationWarning = "Revoking this lease does not end the session: AWS has no way to take back one session, and " +
		"these credentials work until their expiration. To cut them off, deny the role's older sessions in IAM or " +
		"disable the profile."
)

// sessionSecret makes leases independent of the configuration: what renewing and revoking need is in the lease.
func (b *backend) sessionSecret() *framework.Secret {
	return &framework.Secret{
		Type:   secretTypeSession,
		Fields: credentialsSchema(),
		Renew:  b.renewLease,
		Revoke: b.revokeLease,
	}
}

// lease ties the response to its session's lifetime.
func (b *backend) lease(resp *logical.Response, key session.Key, s *session.Session, now session.Instant) {
	ttl := leaseTTL(s.Remaining(now))
	record := map[string]any{
		leaseExpiration: s.Expiration.UTC().Format(time.RFC3339Nano),
		leaseConnection: key.Name,
	}
	if key.Scope != "" {
		record[leaseScope], record[leaseVariant] = key.Scope, key.Variant
	}
	resp.Secret = b.Secret(secretTypeSession).Response(nil, record).Secret
	resp.Secret.TTL, resp.Secret.MaxTTL = ttl, ttl
	resp.AddWarning(revocationWarning)
}

// leaseTTL ends a lease MinRemaining before its session. It is never zero, which Vault would take for the mount's
// default of weeks.
func leaseTTL(remaining time.Duration) time.Duration {
	return max(seconds(remaining)-session.MinRemaining, time.Second)
}

func (b *backend) renewLease(_ context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response,
	error) {
	const readAgain = "an AWS session cannot be extended; read the credentials again"
	text, _ := req.Secret.InternalData[leaseExpiration].(string)
	expiration, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, notRenewed("it does not say when its session ends; " + readAgain)
	}
	now := b.now()
	left := expiration.Sub(now).Truncate(time.Second) - session.MinRemaining
	if left < shortestRenewal {
		return nil, notRenewed(fmt.Sprintf("nothing is left, because its session ends at %s, and a lease ends %s "+
			"before; %s",
			expiration.UTC().Format(time.RFC3339), session.MinRemaining, readAgain))
	}
	// Who renews will soon read again, and should then find the next session there.
	if key := leasedKey(req.Secret.InternalData); key.Name != "" {
		b.sessions.RefreshAhead(req.Storage, key)
	}
	req.Secret.TTL = left
	// Vault counts MaxTTL from the lease's issue, not from now, and takes zero for no limit.
	req.Secret.MaxTTL = max(expiration.Add(-session.MinRemaining).Sub(req.Secret.IssueTime).Truncate(time.Second), left)
	return &logical.Response{Secret: req.Secret}, nil
}

// leasedKey is whose session a lease is of.
func leasedKey(record map[string]any) session.Key {
	name, _ := record[leaseConnection].(string)
	scopeName, _ := record[leaseScope].(string)
	variant, _ := record[leaseVariant].(string)
	return session.Key{Name: name, Scope: scopeName, Variant: variant}
}

// notRenewed is an error and not an error response, of which Vault would print the whole structure.
func notRenewed(why string) error {
	return logical.CodedError(http.StatusBadRequest, "renewing the lease: "+why)
}

// revokeLease has nothing to undo at AWS and needs nothing: Vault gives up on a lease after six failures.
func (b *backend) revokeLease(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return nil, nil
}
