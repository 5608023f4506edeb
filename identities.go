package s3conn

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/renewal"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// identityPrefix is where identities are stored, by the connection's name.
const identityPrefix = "identity/"

// loadIdentity returns the state of a connection's identity. The connection may hold one itself, as those of version
// 0.1.0 do.
func loadIdentity(
	ctx context.Context,
	storage logical.Storage,
	name string,
	conn *connection.Connection,
) (identity.State, error) {
	stored, err := storage.Get(ctx, identityPrefix+name)
	if err != nil {
		return identity.State{}, fmt.Errorf("reading the identity of connection %q from storage: %w", name, err)
	}
	var entry *identity.Entry
	if stored != nil {
		if entry, err = identity.Decode(stored.Value); err != nil {
			return identity.State{}, fmt.Errorf("reading the identity of connection %q: %w", name, err)
		}
	}
	if conn.IdentityID != "" {
		return identity.Resolve(entry, conn.IdentityID, nil), nil
	}
	return identity.Resolve(entry, conn.Revision, pairOf(conn)), nil
}

// pairOf returns the certificate and key that were written to config, nil where there are none.
func pairOf(conn *connection.Connection) *identity.Pair {
	if conn.Certificate == "" {
		return nil
	}
	return &identity.Pair{Certificate: conn.Certificate, PrivateKey: conn.PrivateKey, Origin: identity.OriginImported}
}

// withIdentity puts the current certificate and key into the connection.
func withIdentity(conn *connection.Connection, state identity.State) {
	conn.Certificate, conn.PrivateKey = "", secret.Text{}
	if pair := state.Current; pair != nil {
		conn.Certificate, conn.PrivateKey = pair.Certificate, pair.PrivateKey
	}
	conn.Renewed = state.Issuer != nil && state.Record.Failures == 0
}

func saveIdentity(ctx context.Context, storage logical.Storage, name string, entry *identity.Entry) error {
	encoded, err := entry.Encode()
	if err != nil {
		return err
	}
	if err := storage.Put(ctx, &logical.StorageEntry{Key: identityPrefix + name, Value: encoded}); err != nil {
		return fmt.Errorf("storing the identity of connection %q: %w", name, err)
	}
	return nil
}

// importIdentity prepares the write of a connection whose certificate and key came from config, or go away there. It is
// called before the connection is stored, which then refers to what is stored here: a crash between the two leaves the
// connection with the identity that it had. before is nil for a new connection. The caller holds the name's lock.
func importIdentity(
	ctx context.Context,
	storage logical.Storage,
	name string,
	before, conn *connection.Connection,
) error {
	conn.IdentityID = ""
	if !conn.UsesRolesAnywhere() {
		return nil
	}
	split := before != nil && before.UsesRolesAnywhere() && before.IdentityID != ""
	if split && sameIdentity(before, conn) {
		conn.IdentityID = before.IdentityID
		return nil
	}
	conn.IdentityID = conn.Revision
	if before == nil || !before.UsesRolesAnywhere() {
		if conn.Certificate == "" {
			return nil // there is nothing to store yet
		}
		first := identity.State{ID: conn.IdentityID, Current: pairOf(conn)}
		return saveIdentity(ctx, storage, name, &identity.Entry{State: first})
	}
	state, err := loadIdentity(ctx, storage, name, before)
	if err != nil {
		return err
	}
	pair := pairOf(conn)
	if sameIdentity(before, conn) {
		pair = state.Current // with its origin
	}
	return saveIdentity(ctx, storage, name, state.WithImport(conn.IdentityID, pair))
}

// carryIdentity sees to it that a write that leaves certificate and key alone keeps those that are stored now, which
// may have been renewed since the write began. It returns false where the write changes them and others have meanwhile:
// it has to begin again.
func carryIdentity(before, now, conn *connection.Connection) bool {
	switch {
	case before == nil || !before.UsesRolesAnywhere() || !conn.UsesRolesAnywhere():
		return true
	case sameIdentity(before, conn):
		conn.Certificate, conn.PrivateKey = now.Certificate, now.PrivateKey
		return true
	}
	return sameIdentity(before, now)
}

// settleIdentity follows a connection that has been stored: its renewal, or the end of its identity. The caller holds
// the name's lock.
func (b *backend) settleIdentity(
	ctx context.Context,
	storage logical.Storage,
	name string,
	before, conn *connection.Connection,
) error {
	if !conn.UsesRolesAnywhere() { // also where there was none: an earlier write may have failed in the middle
		return b.deleteIdentity(ctx, storage, name)
	}
	if before != nil && before.IdentityID == conn.IdentityID {
		return nil
	}
	state, err := loadIdentity(ctx, storage, name, conn)
	if err != nil {
		return err
	}
	b.jobs.Set(renewalOf(name), state.Due())
	return nil
}

func sameIdentity(a, b *connection.Connection) bool {
	return a.Certificate == b.Certificate && a.PrivateKey.Reveal() == b.PrivateKey.Reveal()
}

// identities is how renewals reach storage and AWS: it implements [renewal.Connections].
type identities struct {
	*backend
	request logical.Storage // that of a request; nil: the mount's
}

func (i identities) storage() logical.Storage {
	if i.request != nil {
		return i.request
	}
	return i.backend.storage
}

// Load implements renewal.Connections.
func (i identities) Load(ctx context.Context, name string) (identity.State, error) {
	_, state, err := i.both(ctx, name)
	return state, err
}

// both returns a connection with its identity in it, and the identity's state.
func (i identities) both(ctx context.Context, name string) (*connection.Connection, identity.State, error) {
	conn, state, err := loadWithIdentity(ctx, i.storage(), name)
	switch {
	case err != nil:
		return nil, identity.State{}, err
	case conn == nil || !conn.UsesRolesAnywhere():
		return nil, identity.State{}, renewal.ErrGone
	}
	return conn, state, nil
}

// Update implements renewal.Connections.
func (i identities) Update(ctx context.Context, name string, change renewal.Change) (identity.State, error) {
	unlock, err := i.locks.lock(ctx, name)
	if err != nil {
		return identity.State{}, err
	}
	defer unlock()
	_, state, err := i.both(ctx, name)
	if err != nil {
		return identity.State{}, err
	}
	return i.store(ctx, name, state, change)
}

// store writes the state that follows, in one write. The caller holds the name's lock.
func (i identities) store(
	ctx context.Context,
	name string,
	state identity.State,
	change renewal.Change,
) (identity.State, error) {
	next, err := change(state)
	if err != nil {
		return identity.State{}, err
	}
	if err := saveIdentity(ctx, i.storage(), name, &identity.Entry{State: next}); err != nil {
		return identity.State{}, err
	}
	i.vitals.drop(name)
	i.jobs.Set(renewalOf(name), next.Due())
	return next, nil
}
