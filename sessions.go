package s3conn

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// sessionPool holds the connections in use and their sessions.
type sessionPool = session.Pool[*inUse, logical.Storage]

// inUse is a connection as it was read from storage, and what was made from its session. It implements
// [session.Subject]. The connection never changes.
type inUse struct {
	conn           *connection.Connection
	certificateEnd connection.CertificateEnd // zero for access keys

	response session.Memo[map[string]any] // of creds/NAME, but for its ttl; not to be changed
	sdk      session.Memo[[]byte]         // the body of sdk/NAME
}

// Revision implements session.Subject.
func (u *inUse) Revision() string { return u.conn.Revision }

// Permanent implements session.Subject: access keys are handed out as they are.
func (u *inUse) Permanent() bool { return !u.conn.UsesRolesAnywhere() }

// obtainSession requests one session for a connection. It blocks until the call's turn in the lane has come, then for
// upstream.Timeout at the most.
type obtainSession func(ctx context.Context, conn *connection.Connection, lane budget.Lane) (session.Session, error)

func (b *backend) newSessionPool() *sessionPool {
	return session.New(session.Config[*inUse, logical.Storage]{
		Clock:    b.clock,
		Loader:   connectionLoader{},
		Store:    &sessionStore{locks: b.locks, log: b.Logger},
		Source:   sessionSource{b},
		Observer: &sessionLog{b.Logger},
	})
}

// connectionLoader is the pool's Loader.
type connectionLoader struct{}

// Load implements session.Loader.
func (connectionLoader) Load(ctx context.Context, storage logical.Storage, key session.Key) (*inUse, error) {
	conn, err := loadConnection(ctx, storage, key.Name)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, &missingError{key.Name}
	}
	loaded := &inUse{conn: conn}
	if conn.UsesRolesAnywhere() {
		loaded.certificateEnd = conn.CertificateEnd()
	}
	return loaded, nil
}

// Revision implements session.Loader.
func (connectionLoader) Revision(ctx context.Context, storage logical.Storage, key session.Key) (string, error) {
	conn, err := loadConnection(ctx, storage, key.Name)
	if err != nil || conn == nil {
		return "", err
	}
	return conn.Revision, nil
}

// sessionSource is the pool's Source.
type sessionSource struct{ *backend }

// Obtain implements session.Source.
func (s sessionSource) Obtain(ctx context.Context, r session.Request[*inUse, logical.Storage]) (session.Session, error) {
	lanes := map[session.Reason]budget.Lane{session.First: budget.First, session.Refresh: budget.Refresh, session.Retry: budget.Retry}
	return s.obtain(ctx, r.Subject.conn, lanes[r.Reason])
}

// credentialsFor returns the connection and the credentials that a reader gets: the access keys, or a session with at
// least the wanted life where the session's lifetime allows that.
func (b *backend) credentialsFor(ctx context.Context, storage logical.Storage, name string, want time.Duration) (*inUse, session.Session, error) {
	used, s, err := b.sessions.Get(ctx, storage, session.Key{Name: name}, want)
	if err == nil && used.Permanent() {
		s = session.Session{AccessKey: used.conn.AccessKey, SecretKey: used.conn.SecretKey}
	}
	return used, s, err
}
