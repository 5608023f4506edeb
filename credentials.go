package s3conn

import (
	"time"
)

// credentials are what a reader gets, for either way of authenticating.
type credentials struct {
	accessKey    string
	secretKey    secret
	sessionToken secret
	expiration   time.Time // zero: they do not expire
	arn          string    // the assumed role's session
}

func (c *credentials) expires() bool { return !c.expiration.IsZero() }

// remaining is the life that is left, in whole seconds.
func (c *credentials) remaining(now time.Time) time.Duration {
	return c.expiration.Sub(now).Truncate(time.Second)
}

// response is what creds/NAME returns.
func (c *credentials) response(conn *connection, now time.Time) map[string]any {
	data := map[string]any{
		"access_key":     c.accessKey,
		"secret_key":     c.secretKey.reveal(),
		"session_token":  c.sessionToken.reveal(),
		"security_token": c.sessionToken.reveal(),
		"region":         conn.s3Region(),
		"auth_type":      conn.AuthType,
	}
	if c.expires() {
		data["expiration"] = c.expiration.UTC().Format(time.RFC3339)
		data["ttl"] = int64(c.remaining(now) / time.Second)
		data["arn"] = c.arn
	}
	if conn.S3Endpoint != "" {
		data["endpoint"] = conn.S3Endpoint
	}
	return data
}
