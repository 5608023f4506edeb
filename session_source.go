package s3conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const opCreateSession = "CreateSession"

var (
	errShortSession = errors.New("session too short")
	errLongSession  = errors.New("session too long")
)

// sessionSource buys one session for a connection. It blocks until its turn in the budget has come, then for
// upstream.Timeout at the most.
type sessionSource func(ctx context.Context, conn *connection.Connection) (session, error)

// rolesAnywhereSource is the sessionSource that calls AWS.
func rolesAnywhereSource(now func() time.Time, queueOf func(*connection.Connection) queue) sessionSource {
	return func(ctx context.Context, conn *connection.Connection) (session, error) {
		id, err := conn.Identity()
		if err != nil {
			return session{}, fmt.Errorf("reading the connection's certificate and key: %w", err)
		}
		httpClient, err := network.NewClient(conn.Network())
		if err != nil {
			return session{}, err
		}
		defer httpClient.CloseIdleConnections()
		turns := queueOf(conn)
		client, err := rolesanywhere.NewClient(rolesanywhere.Options{
			Region:     conn.AWSRegion(),
			Endpoint:   conn.RolesAnywhereEndpoint,
			HTTPClient: httpClient,
			Retryer:    &retriesInTurn{Standard: retry.NewStandard(), turns: turns},
			Timeout:    upstream.Timeout,
			Now:        now,
		})
		if err != nil {
			return session{}, fmt.Errorf("preparing CreateSession: %w", err)
		}
		// The first call's turn may be far off when many connections wake at once, and is not the service's time.
		if err := turns.Wait(ctx); err != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return session{}, upstream.Describe(opCreateSession, err)
			}
			return session{}, sessionPending()
		}
		out, err := client.CreateSession(ctx, id, conn.SessionInput())
		if err != nil {
			return session{}, upstream.Describe(opCreateSession, err)
		}
		return newSession(out, now())
	}
}

func newSession(out *rolesanywhere.CreateSessionOutput, now time.Time) (session, error) {
	s := session{
		credentials: credentials{
			accessKey:    out.Credentials.AccessKeyID,
			secretKey:    secret.New(out.Credentials.SecretAccessKey),
			sessionToken: secret.New(out.Credentials.SessionToken),
			expiration:   out.Credentials.Expires,
			arn:          out.AssumedRoleARN,
		},
		issued: now,
	}
	if left := s.remaining(now); left < minRemaining {
		return session{}, unusableSession(fmt.Errorf("%w: it has %s left, and at least %s are needed; compare this host's clock",
			errShortSession, left, minRemaining))
	}
	if lifetime := s.expiration.Sub(now); lifetime > maxLifetime {
		return session{}, unusableSession(fmt.Errorf("%w: it has %s left, and AWS gives at most %s; compare this host's clock",
			errLongSession, lifetime.Truncate(time.Second), connection.MaxExtendedDuration*time.Second))
	}
	return s, nil
}

func unusableSession(cause error) error {
	return upstream.New(opCreateSession, upstream.Unavailable, cause.Error(), cause)
}

// sessionPending is the error for a reader who has waited for a session for too long.
func sessionPending() error {
	pending := upstream.New(opCreateSession, upstream.Unavailable,
		"the session is still being fetched, or waits for its turn because AWS allows few calls a second; try again", nil)
	pending.Busy = true
	return pending
}

// retriesInTurn gives a retry a turn in the budget like any other call. Where none comes in time there is no retry,
// and the call ends with what the service said.
type retriesInTurn struct {
	*retry.Standard
	turns queue
}

// GetRetryToken implements aws.Retryer.
func (r *retriesInTurn) GetRetryToken(ctx context.Context, failed error) (func(error) error, error) {
	release, err := r.Standard.GetRetryToken(ctx, failed)
	if err != nil {
		return nil, err
	}
	if err := r.turns.Wait(ctx); err != nil {
		_ = release(failed) // it only feeds the retryer's own budget, which ends with this call
		return nil, err
	}
	return release, nil
}
