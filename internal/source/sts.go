package source

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// AssumeRole is the operation that errors name.
const AssumeRole = "AssumeRole"

const (
	// maxTries is how often one session is asked for, as AWS's SDKs do.
	maxTries = 3
	// firstRetry is the pause before the second try, twice as long before the third.
	firstRetry = 200 * time.Millisecond
)

var errNoPolicy = errors.New("requesting a session for a scope: it has no session policy; this is a defect of the " +
	"plugin")

// STS obtains the sessions of scopes. Its fields do not change; it is safe for concurrent use.
type STS struct {
	Now   func() time.Time
	Turns *budget.Group
	Mount *budget.Mount
	// Observe is called after each try of an AssumeRole call.
	Observe Observer
}

// Obtain requests a session for a scope of the connection, with the caller's credentials: the connection's session or
// its access key. It blocks until the call's turn has come in the lane, then for upstream.Timeout at the most,
// retries included. Its errors are [session.ErrPending] where no turn came before ctx's deadline, and
// *upstream.Error.
func (a *STS) Obtain(
	ctx context.Context, conn *connection.Connection, caller session.Session, narrowed *scope.Rendered,
	lane budget.Lane,
) (session.Session, error) {
	if narrowed.Policy == "" { // AWS would grant all that the role may do
		return session.Session{}, errNoPolicy
	}
	httpClient, err := network.NewClient(conn.Network())
	if err != nil {
		return session.Session{}, err
	}
	defer httpClient.CloseIdleConnections()
	turn, err := a.Turns.Wait(ctx, stsQueue(conn), budget.Caller{Mount: a.Mount, Lane: lane})
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.Canceled):
		return session.Session{}, upstream.Describe(AssumeRole, err)
	default:
		return session.Session{}, session.ErrPending
	}
	ctx, cancel := context.WithTimeout(ctx, upstream.Timeout)
	defer cancel()
	client := &awscall.Client{HTTP: httpClient, Now: a.Now}
	for try := 1; ; try++ {
		requested := a.Now()
		out, err := client.AssumeRole(onWire(ctx, always(turn)), stsOf(conn), credentialsOf(caller),
			assumeRoleInput(narrowed))
		turn.Done(stsOutcome(err))
		a.Observe.observe(Call{Operation: AssumeRole, Waited: turn.Waited(), Took: a.Now().Sub(requested), Err: err})
		if err == nil {
			return scopedSession(out, requested, narrowed.Duration, a.Now())
		}
		described := upstream.Describe(AssumeRole, err)
		var failed *upstream.Error
		if try == maxTries || !errors.As(described, &failed) || failed.Kind == upstream.Permanent || !pause(ctx, try) {
			return session.Session{}, described
		}
		if turn, err = a.Turns.Wait(ctx, stsQueue(conn),
			budget.Caller{Mount: a.Mount, Lane: budget.Retry}); err != nil {
			return session.Session{}, described
		}
	}
}

// pause waits before the next try, and says whether there is time for one.
func pause(ctx context.Context, try int) bool {
	wait := firstRetry << (try - 1)
	wait += rand.N(wait / 2) //nolint:gosec // it only spreads retries
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// stsOf is the STS that the connection's scopes are obtained from. A store's own is signed for as the store is.
func stsOf(conn *connection.Connection) awscall.STS {
	sts := awscall.STS{Endpoint: conn.STSAddress(), Region: conn.AWSRegion()}
	if conn.OwnStore() {
		sts.Region = conn.SigningRegion()
	}
	return sts
}

// stsQueue names the queue of the connection's calls to STS. AWS counts them by the account whose credentials sign
// them, which an access key does not name, so each key counts for one; a store counts for itself.
func stsQueue(conn *connection.Connection) budget.Key {
	key := budget.Key{Region: conn.AWSRegion(), API: budget.STS, Account: conn.AccessKey}
	if conn.OwnStore() {
		key.Account = conn.STSAddress()
	} else if parts := strings.Split(conn.RoleARN, ":"); len(parts) > 4 {
		key.Account = parts[4]
	}
	return key
}

func credentialsOf(caller session.Session) awscall.Credentials {
	return awscall.Credentials{AccessKeyID: caller.AccessKey, SecretAccessKey: caller.SecretKey,
		SessionToken: caller.SessionToken}
}

func assumeRoleInput(r *scope.Rendered) awscall.AssumeRoleInput {
	in := awscall.AssumeRoleInput{RoleARN: r.RoleARN, SessionName: r.SessionName, Policy: r.Policy,
		Duration:   r.Duration,
		ExternalID: r.ExternalID, TransitiveTagKeys: r.TransitiveTagKeys, SourceIdentity: r.SourceIdentity}
	for _, tag := range r.Tags {
		in.Tags = append(in.Tags, awscall.Tag(tag))
	}
	return in
}

// stsOutcome is what the budget learns of a call.
func stsOutcome(err error) budget.Outcome {
	var refusal *awscall.Refusal
	var malformed *awscall.MalformedResponse
	var failed *upstream.Error
	switch {
	case err == nil, errors.As(err, &malformed):
		return budget.Answered
	case !errors.As(err, &refusal):
		return budget.NoAnswer
	case errors.As(upstream.Describe(AssumeRole, err), &failed) && failed.Kind == upstream.Throttled:
		return budget.Throttled
	}
	return budget.Answered
}

func scopedSession(out *awscall.AssumeRoleOutput, requested time.Time, duration time.Duration, now time.Time) (
	session.Session, error,
) {
	return judge(AssumeRole, session.Session{
		AccessKey:        out.Credentials.AccessKeyID,
		SecretKey:        out.Credentials.SecretAccessKey,
		SessionToken:     out.Credentials.SessionToken,
		ARN:              out.ARN,
		Expiration:       out.Expiration,
		PackedPolicySize: out.PackedPolicySize,
	}, requested, duration, now)
}
