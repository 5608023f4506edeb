package s3conn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// configPrefix is where connections are stored, by name.
const configPrefix = "config/"

// maxNameLength is the most bytes of a connection's name.
const maxNameLength = 128

// loadConnection returns a connection with its identity in it, and nil when there is no connection of that name. An
// entry that this plugin cannot read is a *connection.UnreadableError or an *identity.UnreadableError.
func loadConnection(ctx context.Context, storage logical.Storage, name string) (*connection.Connection, error) {
	conn, _, err := loadWithIdentity(ctx, storage, name)
	return conn, err
}

func loadWithIdentity(ctx context.Context, storage logical.Storage, name string) (*connection.Connection,
	identity.State, error) {
	conn, err := loadConfig(ctx, storage, name)
	if err != nil || conn == nil || !conn.UsesRolesAnywhere() {
		return conn, identity.State{}, err
	}
	state, err := loadIdentity(ctx, storage, name, conn)
	if err != nil {
		return nil, identity.State{}, err
	}
	withIdentity(conn, state)
	return conn, state, nil
}

// loadConfig returns what is stored of a connection itself, and nil when there is no connection of that name.
func loadConfig(ctx context.Context, storage logical.Storage, name string) (*connection.Connection, error) {
	if err := refuseName(name); err != nil {
		return nil, err
	}
	entry, err := storage.Get(ctx, configPrefix+name)
	if err != nil {
		return nil, fmt.Errorf("reading connection %q from storage: %w", name, err)
	}
	if entry == nil {
		return nil, nil
	}
	conn, err := connection.Decode(entry.Value)
	if err != nil {
		return nil, fmt.Errorf("reading connection %q: %w", name, err)
	}
	return conn, nil
}

// refuseName is the error about a name that Vault's storage does not accept, or nil.
func refuseName(name string) error {
	if !strings.Contains(name, "..") {
		return nil
	}
	problems := &problem.List{}
	checkName(problems, "name", name)
	return problems.Err("looking for connection "+problem.Quote(name), "")
}

func saveConnection(ctx context.Context, storage logical.Storage, name string, conn *connection.Connection) error {
	encoded, err := conn.Encode()
	if err != nil {
		return fmt.Errorf("encoding connection %q: %w", name, err)
	}
	if err := storage.Put(ctx, &logical.StorageEntry{Key: configPrefix + name, Value: encoded}); err != nil {
		return fmt.Errorf("storing connection %q: %w", name, err)
	}
	return nil
}

// deleteStored deletes what is stored of a connection. It returns what is left to be done of its rotation, nil where
// that is nothing, and warnings about keys that stay in IAM.
func (b *backend) deleteStored(ctx context.Context, storage logical.Storage, name string) (
	left *leftRotation, warnings []string, err error,
) {
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	before, err := loadConfig(ctx, storage, name)
	var unreadable *connection.UnreadableError
	if err != nil && !errors.As(err, &unreadable) { // what cannot be read can be deleted all the same
		return nil, nil, err
	}
	if err != nil {
		warnings = warnOfUnknownKeys(ctx, storage, name)
	} else if left, warnings, err = b.handOver(ctx, storage, name, before, nil); err != nil {
		return nil, nil, err
	}
	// First, so that a crash in between leaves a connection without its session, and not a session without its
	// connection.
	b.forget(ctx, storage, name)
	defer b.drop(name) // also after an error: the storage may have deleted it all the same
	if err := deleteScopes(ctx, storage, name); err != nil {
		return nil, nil, err
	}
	if err := storage.Delete(ctx, configPrefix+name); err != nil {
		return nil, nil, fmt.Errorf("deleting connection %q from storage: %w", name, err)
	}
	b.monitor.records.Forget(name)
	err = errors.Join(b.settleRotation(ctx, storage, name, before, nil), b.deleteIdentity(ctx, storage, name))
	return left, warnings, err
}
