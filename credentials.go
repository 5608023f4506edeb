package s3conn

import (
	"sync/atomic"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// credentials are what a reader gets, for either way of authenticating.
type credentials struct {
	accessKey    string
	secretKey    secret.Text
	sessionToken secret.Text
	expiration   time.Time // zero: they do not expire
	arn          string    // the assumed role's session
}

func (c *credentials) expires() bool { return !c.expiration.IsZero() }

// remaining is the life that is left, in whole seconds.
func (c *credentials) remaining(now time.Time) time.Duration {
	return c.expiration.Sub(now).Truncate(time.Second)
}

// ttl is the life that is left as responses have it, in whole seconds.
func (c *credentials) ttl(now time.Time) int64 { return int64(c.remaining(now) / time.Second) }

// response is what creds/NAME returns, but for the ttl of credentials that expire.
func (c *credentials) response(conn *connection.Connection) map[string]any {
	data := map[string]any{
		"access_key":     c.accessKey,
		"secret_key":     c.secretKey.Reveal(),
		"session_token":  c.sessionToken.Reveal(),
		"security_token": c.sessionToken.Reveal(),
		"region":         conn.SigningRegion(),
		"auth_type":      conn.AuthType,
	}
	if c.expires() {
		data["expiration"] = c.expiration.UTC().Format(time.RFC3339)
		data["arn"] = c.arn
	}
	if conn.S3Endpoint != "" {
		data["endpoint"] = conn.S3Endpoint
	}
	return data
}

// perSession keeps what was made from a connection's session until there is another session. Its zero value is ready,
// and safe for concurrent use.
type perSession[T any] struct {
	kept atomic.Pointer[madeFrom[T]]
}

type madeFrom[T any] struct {
	sessionToken secret.Text // this very one, by address: each session has its own
	value        T
}

func (p *perSession[T]) of(creds *credentials, fresh func() T) T {
	if kept := p.kept.Load(); kept != nil && kept.sessionToken == creds.sessionToken {
		return kept.value
	}
	value := fresh()
	p.kept.Store(&madeFrom[T]{creds.sessionToken, value})
	return value
}
