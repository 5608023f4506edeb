package s3conn

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"
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

	// leaseIssued is when the session was requested, in the form of leaseExpiration. leaseUptime is the uptime in
	// nanoseconds at which it ends, in the process that leaseProcess names. Leases of v0.1.0 have none of them.
	leaseIssued  = "issued"
	leaseProcess = "process"
	leaseUptime  = "uptime_at_end"

	// shortestRenewal is the rest of a life that counts as nothing: Vault reckons in whole seconds from the lease's
	// issue and would refuse it in words that do not say why.
	shortestRenewal = 2 * time.Second

	revocationWarning = "Reads of this connection come with a lease. Revoking it does not end the session: AWS has " +
		"no way to take back one session, and its credentials work until their expiration. To cut them off, deny the " +
		"role's older sessions in IAM or disable the profile. With generate_lease=false reads come without a lease."
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
func (b *backend) lease(resp *logical.Response, key session.Key, used *inUse, s *session.Session, now session.Instant) {
	lease := *used.lease.Of(s, func() *logical.Secret {
		return b.Secret(secretTypeSession).Response(nil, b.leaseData(key, s)).Secret
	})
	lease.TTL = leaseTTL(s.Remaining(now))
	lease.MaxTTL = lease.TTL
	lease.InternalData = maps.Clone(lease.InternalData)
	resp.Secret = &lease
}

// leaseData is what a lease holds of its session.
func (b *backend) leaseData(key session.Key, s *session.Session) map[string]any {
	data := map[string]any{
		leaseExpiration: s.Expiration.UTC().Format(time.RFC3339Nano),
		leaseIssued:     s.Issued.UTC().Format(time.RFC3339Nano),
		leaseConnection: key.Name,
		leaseProcess:    b.process,
		leaseUptime:     strconv.FormatInt(int64(s.UptimeAtEnd()), 10),
	}
	if key.Scope != "" {
		data[leaseScope], data[leaseVariant] = key.Scope, key.Variant
	}
	return data
}

// leaseTTL ends a lease MinRemaining before its session. It is never zero, which Vault would take for the mount's
// default of weeks.
func leaseTTL(remaining time.Duration) time.Duration {
	return max(seconds(remaining)-session.MinRemaining, time.Second)
}

// leftOf returns what is left of a lease's session: until its expiration by the wall clock, but no more than by the
// uptime, or after a restart than its whole lifetime. A clock that was set back does not prolong the lease.
func (b *backend) leftOf(internal map[string]any, expiration time.Time) time.Duration {
	now := b.clock()
	left := expiration.Sub(now.Wall)
	if issued, err := time.Parse(time.RFC3339Nano, textAt(internal, leaseIssued)); err == nil {
		left = min(left, expiration.Sub(issued))
	}
	end, err := strconv.ParseInt(textAt(internal, leaseUptime), 10, 64)
	if err == nil && textAt(internal, leaseProcess) == b.process {
		left = min(left, time.Duration(end)-now.Uptime)
	}
	return left
}

func (b *backend) renewLease(_ context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response,
	error) {
	const readAgain = "an AWS session cannot be extended; read the credentials again"
	text, _ := req.Secret.InternalData[leaseExpiration].(string)
	expiration, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, notRenewed("it does not say when its session ends; " + readAgain)
	}
	left := seconds(b.leftOf(req.Secret.InternalData, expiration)) - session.MinRemaining
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
	req.Secret.MaxTTL = max(seconds(expiration.Add(-session.MinRemaining).Sub(req.Secret.IssueTime)), left)
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
