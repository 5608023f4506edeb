package s3conn

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
)

const (
	sessionPrefix = "session/"

	// sessionVersion is the form of a stored session. 1: the first. One in another form is requested anew.
	sessionVersion = 1
)

// storedSession is a session as Vault's storage holds it, encrypted and seal wrapped, so that it outlives the plugin
// and serves on the next leader.
type storedSession struct {
	Version      int       `json:"version"`
	Revision     string    `json:"revision"` // of the connection, and the scope, that it was requested for
	AccessKey    string    `json:"access_key"`
	SecretKey    string    `json:"secret_key"`
	SessionToken string    `json:"session_token"`
	ARN          string    `json:"arn"`
	Issued       time.Time `json:"issued"`
	Expiration   time.Time `json:"expiration"`
}

// sessionKey is where the session of a connection, or of a scope of it, is stored.
func sessionKey(key session.Key) string {
	if key.Scope == "" {
		return sessionPrefix + key.Name
	}
	return sessionPrefix + key.Name + "/" + key.Scope
}

// sessionStore is the pool's Store.
type sessionStore struct {
	locks *nameLocks
	log   func() hclog.Logger
}

// Load implements session.Store. Whatever is found that is not a session of this very configuration is a miss.
func (st *sessionStore) Load(ctx context.Context, storage logical.Storage, key session.Key, subject *inUse) (
	session.Session, bool,
) {
	entry, err := storage.Get(ctx, sessionKey(key))
	if err != nil {
		st.log().Warn("reading the stored session; a new one is requested",
			"connection", key.Name, "scope", key.Scope, "error", err)
		return session.Session{}, false
	}
	var stored storedSession
	if entry == nil {
		return session.Session{}, false
	}
	if entry.DecodeJSON(&stored) != nil || stored.Version != sessionVersion {
		st.log().Warn("the stored session is damaged or of another version; a new one is requested",
			"connection", key.Name, "scope", key.Scope)
		return session.Session{}, false
	}
	s := session.Session{
		AccessKey:    stored.AccessKey,
		SecretKey:    secret.New(stored.SecretKey),
		SessionToken: secret.New(stored.SessionToken),
		ARN:          stored.ARN,
		Issued:       stored.Issued,
		Expiration:   stored.Expiration,
	}
	whole := s.AccessKey != "" && !s.SecretKey.Empty() && !s.SessionToken.Empty() && s.Issued.Before(s.Expiration) &&
		s.Expiration.Sub(s.Issued) <= source.MaxLifetime
	if !whole || stored.Revision != subject.Revision() {
		return session.Session{}, false
	}
	return s, true
}

// Save implements session.Store. On a node that cannot store, the session serves all the same.
func (st *sessionStore) Save(ctx context.Context, storage logical.Storage, key session.Key, subject *inUse,
	s session.Session, current func() bool,
) {
	unlock, err := st.locks.lockForSession(ctx, key.Name)
	if err != nil {
		st.log().Warn("storing the session: a write of this or another connection takes long; it serves from memory "+
			"until the plugin restarts", "connection", key.Name, "scope", key.Scope)
		return
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, session.StorageWait)
	defer cancel()
	if !current() {
		return // a write or delete, which holds the lock too, has removed what was stored
	}
	st.put(ctx, storage, key, subject, s)
}

// put stores a session. The caller holds the lock under which the key's settings are written.
func (st *sessionStore) put(ctx context.Context, storage logical.Storage, key session.Key, subject *inUse,
	s session.Session) {
	entry, err := logical.StorageEntryJSON(sessionKey(key), &storedSession{
		Version:      sessionVersion,
		Revision:     subject.Revision(),
		AccessKey:    s.AccessKey,
		SecretKey:    s.SecretKey.Reveal(),
		SessionToken: s.SessionToken.Reveal(),
		ARN:          s.ARN,
		Issued:       s.Issued,
		Expiration:   s.Expiration,
	})
	if err == nil {
		err = storage.Put(ctx, entry)
	}
	if err != nil {
		st.log().Warn("storing the session; it serves from memory until the plugin restarts",
			"connection", key.Name, "scope", key.Scope, "error", err)
	}
}

// Discard implements session.Store.
func (st *sessionStore) Discard(ctx context.Context, storage logical.Storage, key session.Key) {
	unlock, err := st.locks.lockForSession(ctx, key.Name)
	if err != nil {
		return // the session is of no revision that is stored, so nobody uses it
	}
	defer unlock()
	if revision, err := (connectionLoader{}).Revision(ctx, storage, key); err != nil || revision != "" {
		return
	}
	if err := storage.Delete(ctx, sessionKey(key)); err != nil {
		st.log().Warn("deleting the stored session of a connection that is gone",
			"connection", key.Name, "scope", key.Scope, "error", err)
	}
}
