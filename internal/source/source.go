// Package source obtains sessions from AWS, in turn.
package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// CreateSession is the operation that errors name.
const CreateSession = "CreateSession"

// MaxLifetime is the longest life that a session is believed to have: AWS's longest, and what this host's clock may be
// off, generously.
const MaxLifetime = connection.MaxExtendedDuration*time.Second + 15*time.Minute

// ErrLifetime means that the service has issued a session whose life cannot be true, or is too short to hand out. Often
// this host's clock is wrong.
var ErrLifetime = errors.New("unusable lifetime")

// RolesAnywhere obtains sessions from IAM Roles Anywhere. Its fields do not change; it is safe for concurrent use.
type RolesAnywhere struct {
	Now   func() time.Time
	Turns *budget.Group
	Mount *budget.Mount
	// Observe is called after each try of a CreateSession call.
	Observe Observer
}

// Obtain requests a session for the connection, in one CreateSession call with its retries. It blocks until the call's
// turn has come in the lane, then for upstream.Timeout at the most. Its errors are [session.ErrPending] where no turn
// came before ctx's deadline, and *upstream.Error.
func (r *RolesAnywhere) Obtain(ctx context.Context, conn *connection.Connection, lane budget.Lane) (session.Session,
	error) {
	identity, err := conn.Identity()
	if err != nil {
		return session.Session{}, fmt.Errorf("reading the connection's certificate and key: %w", err)
	}
	httpClient, err := network.NewClient(conn.Network())
	if err != nil {
		return session.Session{}, err
	}
	defer httpClient.CloseIdleConnections()
	turns := newTurns(r, queueOf(conn))
	client := rolesanywhere.New(rolesanywhere.Options{
		Region:     conn.AWSRegion(),
		Endpoint:   conn.RolesAnywhereEndpoint,
		HTTPClient: httpClient,
		Retryer:    turns,
		Timeout:    upstream.Timeout,
		Now:        r.Now,
	})
	// The first call's turn may be far off when many connections wake at once, and is not the service's time.
	if err := turns.wait(ctx, lane); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return session.Session{}, upstream.Describe(CreateSession, err)
		}
		return session.Session{}, session.ErrPending
	}
	ctx, cancel := context.WithTimeout(ctx, upstream.Timeout)
	defer cancel()
	requested, input := r.Now(), conn.SessionInput()
	out, err := client.CreateSession(onWire(ctx, turns.current), identity, input)
	turns.done(err)
	if err != nil {
		return session.Session{}, upstream.Describe(CreateSession, err)
	}
	return newSession(out, requested, input.Duration, r.Now())
}

// queueOf names the queue of the connection's calls: AWS counts them by account and region.
func queueOf(conn *connection.Connection) budget.Key {
	key := budget.Key{Region: conn.AWSRegion(), API: budget.CreateSession}
	if role, err := arn.Parse(conn.RoleARN); err == nil {
		key.Account = role.AccountID
	}
	return key
}

// newSession is a session as Roles Anywhere has returned it.
func newSession(out *rolesanywhere.CreateSessionOutput, requested time.Time, duration time.Duration, now time.Time) (
	session.Session, error,
) {
	return judge(CreateSession, session.Session{
		AccessKey:    out.Credentials.AccessKeyID,
		SecretKey:    secret.New(out.Credentials.SecretAccessKey),
		SessionToken: secret.New(out.Credentials.SessionToken),
		ARN:          out.AssumedRoleARN,
		Expiration:   out.Credentials.Expires,
	}, requested, duration, now)
}

// judge looks at a session by this host's clock. It ends when the service says so, and not later than the duration
// after the request: the clocks may differ, and the session must not be handed out after its end by either of them.
func judge(operation string, s session.Session, requested time.Time, duration time.Duration, now time.Time) (
	session.Session, error,
) {
	requested, now = requested.Round(0), now.Round(0)
	s.Issued = requested
	if lifetime := s.Expiration.Sub(now); lifetime > MaxLifetime {
		return session.Session{}, lifetimeError(operation, "it has %s left, and AWS issues none for more than %s",
			lifetime.Truncate(time.Second), connection.MaxExtendedDuration*time.Second)
	}
	if latest := requested.Add(duration); latest.Before(s.Expiration) {
		s.Expiration = latest
	}
	if left := s.Expiration.Sub(now); left < session.MinRemaining {
		return session.Session{}, lifetimeError(operation, "it has %s left, and at least %s are needed",
			left.Truncate(time.Second), session.MinRemaining)
	}
	return s, nil
}

func lifetimeError(operation, format string, args ...any) error {
	text := fmt.Sprintf("the session has an unusable lifetime: "+format+"; compare this host's clock", args...)
	return upstream.New(operation, upstream.Unavailable, text, ErrLifetime)
}
