package s3conn

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// configPrefix is where connections are stored, by name.
const configPrefix = "config/"

// maxNameLength is the most bytes of a connection's name.
const maxNameLength = 128

// loadConnection returns nil when there is no connection of that name. An entry that this plugin cannot read is a
// *connection.UnreadableError.
func loadConnection(ctx context.Context, storage logical.Storage, name string) (*connection.Connection, error) {
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
