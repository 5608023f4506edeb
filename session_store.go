package s3conn

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	sessionPrefix = "session/"

	// sessionVersion is the form of a stored session. 1: the first. One in another form is bought anew.
	sessionVersion = 1

	// storeTimeout bounds what a reader waits for storage that does not answer: a session can be bought again.
	storeTimeout = 2 * time.Second

	// clockTolerance is how far this host's clock may be off AWS's, generously: issued is ours, expiration theirs.
	clockTolerance = 15 * time.Minute
	maxLifetime    = connection.MaxExtendedDuration*time.Second + clockTolerance
)

// storedSession is a session as Vault's storage holds it, encrypted and seal wrapped, so that it outlives the plugin
// and serves on the next leader.
type storedSession struct {
	Version      int       `json:"version"`
	Revision     string    `json:"revision"` // of the connection that it was bought with
	AccessKey    string    `json:"access_key"`
	SecretKey    string    `json:"secret_key"`
	SessionToken string    `json:"session_token"`
	ARN          string    `json:"arn"`
	Issued       time.Time `json:"issued"`
	Expiration   time.Time `json:"expiration"`
}

// loadSession returns the stored session if it was bought with this very configuration and still lives. Whatever
// else is found there is a miss.
func (l *liveConnection) loadSession(ctx context.Context, storage logical.Storage) (session, bool) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	entry, err := storage.Get(ctx, sessionPrefix+l.name)
	if err != nil {
		l.backend.Logger().Warn("reading the stored session; a new one is bought", "connection", l.name, "error", err)
		return session{}, false
	}
	var stored storedSession
	if entry == nil {
		return session{}, false
	}
	if entry.DecodeJSON(&stored) != nil || stored.Version != sessionVersion {
		l.backend.Logger().Warn("the stored session is damaged or of another version; a new one is bought", "connection", l.name)
		return session{}, false
	}
	s := session{
		credentials: credentials{
			accessKey:    stored.AccessKey,
			secretKey:    secret.New(stored.SecretKey),
			sessionToken: secret.New(stored.SessionToken),
			expiration:   stored.Expiration,
			arn:          stored.ARN,
		},
		issued: stored.Issued,
	}
	whole := s.accessKey != "" && !s.secretKey.Empty() && !s.sessionToken.Empty() && s.issued.Before(s.expiration) &&
		s.expiration.Sub(s.issued) <= maxLifetime
	if !whole || stored.Revision != l.conn.Revision || !s.live(l.backend.now()) {
		return session{}, false
	}
	return s, true
}

// saveSession stores the session unless its connection has changed meanwhile. It reports nothing to the reader: on a
// node that cannot store, the session serves all the same.
func (l *liveConnection) saveSession(ctx context.Context, storage logical.Storage, s session) {
	lock := locksutil.LockForKey(l.backend.locks, l.name)
	if !lockWithin(ctx, lock, storeTimeout) {
		l.backend.Logger().Warn("storing the session: a write of this or another connection takes long; it serves from memory until the plugin restarts", "connection", l.name)
		return
	}
	defer lock.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if l.dropped() {
		return // a write or delete, which holds the lock too, has removed what was stored
	}
	entry, err := logical.StorageEntryJSON(sessionPrefix+l.name, &storedSession{
		Version:      sessionVersion,
		Revision:     l.conn.Revision,
		AccessKey:    s.accessKey,
		SecretKey:    s.secretKey.Reveal(),
		SessionToken: s.sessionToken.Reveal(),
		ARN:          s.arn,
		Issued:       s.issued,
		Expiration:   s.expiration,
	})
	if err == nil {
		err = storage.Put(ctx, entry)
	}
	if err != nil {
		l.backend.Logger().Warn("storing the session; it serves from memory until the plugin restarts", "connection", l.name, "error", err)
	}
}

// lockWithin is for a lock whose holder may be waiting for storage that does not answer.
func lockWithin(ctx context.Context, lock *locksutil.LockEntry, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !lock.TryLock() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
