package s3conn

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/renewal"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// proof is a session that was obtained with a pair and the settings of a revision.
type proof struct {
	session  session.Session
	revision string
	pair     *identity.Pair
}

// Prove implements renewal.Connections. The session is requested in the lane for sessions that nobody waits for.
func (i identities) Prove(ctx context.Context, name string, pair *identity.Pair) (renewal.Proof, error) {
	return i.prove(ctx, name, pair, budget.Refresh)
}

func (i identities) prove(
	ctx context.Context,
	name string,
	pair *identity.Pair,
	lane budget.Lane,
) (renewal.Proof, error) {
	conn, _, err := i.both(ctx, name)
	if err != nil {
		return nil, err
	}
	candidate := *conn
	candidate.Certificate, candidate.PrivateKey = pair.Certificate, pair.PrivateKey
	obtained, err := i.obtain(ctx, &candidate, lane)
	if err != nil {
		return nil, err
	}
	return proof{obtained, conn.Revision, pair}, nil
}

// Adopt implements renewal.Connections.
func (i identities) Adopt(
	ctx context.Context,
	name string,
	proven renewal.Proof,
	change renewal.Change,
) (identity.State, error) {
	unlock, err := i.locks.lock(ctx, name)
	if err != nil {
		return identity.State{}, err
	}
	defer unlock()
	conn, state, err := i.both(ctx, name)
	if err != nil {
		return identity.State{}, err
	}
	found := proven.(proof)
	if conn.Revision != found.revision {
		return identity.State{}, identity.ErrChanged
	}
	next, err := i.store(ctx, name, state, change)
	if err != nil {
		return identity.State{}, err
	}
	withIdentity(conn, next)
	i.makeLive(ctx, i.storage(), name, conn, found.session)
	return next, nil
}

// makeLive has readers get the session from now on, and stores it. The caller holds the name's lock.
func (b *backend) makeLive(
	ctx context.Context,
	storage logical.Storage,
	name string,
	conn *connection.Connection,
	s session.Session,
) {
	key, used := session.Key{Name: name}, newInUse(conn)
	b.sessions.Replace(key, s, func(_ session.Key, old *inUse) *inUse { return old.identifiedBy(conn) })
	(&sessionStore{locks: b.locks, log: b.Logger}).put(ctx, storage, key, used, s)
}

// swapUnproved stores the state that follows, and has the session in use go on, under one lock: a write of the
// connection in between would be undone in memory.
func (i identities) swapUnproved(ctx context.Context, name string, change renewal.Change) error {
	unlock, err := i.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	conn, state, err := i.both(ctx, name)
	if err != nil {
		return err
	}
	next, err := i.store(ctx, name, state, change)
	if err != nil {
		return err
	}
	withIdentity(conn, next)
	i.goOnWith(name, conn)
	return nil
}

// goOnWith has the session in use go on with another identity, which its refresh then uses. The caller holds the name's
// lock.
func (b *backend) goOnWith(name string, conn *connection.Connection) {
	key := session.Key{Name: name}
	if status, found := b.sessions.Status(key); found && status.Remaining > 0 {
		b.sessions.Replace(
			key,
			status.Session,
			func(_ session.Key, old *inUse) *inUse { return old.identifiedBy(conn) },
		)
		return
	}
	b.sessions.Drop(name) // what failed before is tried again
}

// dropIdentity deletes what is stored of the identity of a connection that is gone, unless it is back.
func (b *backend) dropIdentity(ctx context.Context, storage logical.Storage, name string) error {
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	conn, err := loadConfig(ctx, storage, name)
	if err != nil || conn != nil && conn.UsesRolesAnywhere() {
		return err
	}
	return b.deleteIdentity(ctx, storage, name)
}

// deleteIdentity deletes what is stored of an identity, also when the caller has hung up meanwhile: a private key must
// not stay in storage without its connection. The caller holds the name's lock.
func (b *backend) deleteIdentity(ctx context.Context, storage logical.Storage, name string) error {
	b.jobs.Remove(renewalOf(name))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), session.StorageWait)
	defer cancel()
	if err := storage.Delete(ctx, identityPrefix+name); err != nil {
		return fmt.Errorf("deleting the identity of connection %q from storage: %w", name, err)
	}
	return nil
}
