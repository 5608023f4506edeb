package s3conn

import (
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// Credentials are a session.Session for either way of authenticating: access keys have no token and no Expiration.

// expires says whether the credentials are a session.
func expires(creds *session.Session) bool { return !creds.Expiration.IsZero() }

// ttl is the life that is left as responses have it, in whole seconds.
func ttl(creds *session.Session, now session.Instant) int64 {
	return int64(creds.Remaining(now) / time.Second)
}

// timeLeft is the ttl of a response: of a session, or until an access key's next rotation; 0 for a key without one.
func timeLeft(conn *connection.Connection, creds *session.Session, now session.Instant) int64 {
	if expires(creds) {
		return ttl(creds, now)
	}
	return untilRotation(conn, now.Wall)
}

// credentialsResponse is what creds/NAME returns with so much time left.
func credentialsResponse(conn *connection.Connection, creds *session.Session, left int64) map[string]any {
	data := map[string]any{
		"access_key":     creds.AccessKey,
		"secret_key":     creds.SecretKey.Reveal(),
		"session_token":  creds.SessionToken.Reveal(),
		"security_token": creds.SessionToken.Reveal(),
		"region":         conn.SigningRegion(),
		"auth_type":      conn.AuthType,
	}
	if expires(creds) {
		data["expiration"] = creds.Expiration.UTC().Format(time.RFC3339)
		data["arn"] = creds.ARN
	} else {
		addRotation(data, conn)
	}
	if left > 0 {
		data["ttl"] = left
	}
	if conn.S3Endpoint != "" {
		data["endpoint"] = conn.S3Endpoint
	}
	return data
}
