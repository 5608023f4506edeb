package s3conn

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	configPrefix = "config/"

	// connectionVersion is the form of a stored connection. 1: the first.
	connectionVersion = 1
)

// storedConnection is a connection as Vault's storage holds it, encrypted and seal wrapped: the one place where its
// secrets are written out.
type storedConnection struct {
	Version  int    `json:"version"`
	Revision string `json:"revision"`
	settings
	SecretKey  string `json:"secret_key,omitempty"`
	PrivateKey string `json:"private_key,omitempty"` // PEM, PKCS#8
	ProxyURL   string `json:"proxy_url,omitempty"`
}

// unreadableError is about what one connection's entry holds, and not about the storage.
type unreadableError struct{ text string }

func (e *unreadableError) Error() string { return e.text }

// loadConnection returns nil when there is no connection of that name.
func loadConnection(ctx context.Context, storage logical.Storage, name string) (*connection, error) {
	entry, err := storage.Get(ctx, configPrefix+name)
	if err != nil {
		return nil, fmt.Errorf("reading connection %q from storage: %w", name, err)
	}
	if entry == nil {
		return nil, nil
	}
	var form struct {
		Version int `json:"version"`
	}
	if entry.DecodeJSON(&form) == nil && form.Version > connectionVersion {
		return nil, &unreadableError{fmt.Sprintf("reading connection %q: it was stored in form %d by a newer plugin, and this one knows forms up to %d; "+
			"run the newer plugin", name, form.Version, connectionVersion)}
	}
	var stored storedConnection
	if err := entry.DecodeJSON(&stored); err != nil || stored.Version < 1 || stored.Revision == "" {
		return nil, &unreadableError{fmt.Sprintf("reading connection %q: the stored entry is damaged; delete the connection and write it again", name)}
	}
	return &connection{
		revision:   stored.Revision,
		settings:   stored.settings,
		secretKey:  secret.New(stored.SecretKey),
		privateKey: secret.New(stored.PrivateKey),
		proxyURL:   secret.New(stored.ProxyURL),
	}, nil
}

func saveConnection(ctx context.Context, storage logical.Storage, name string, c *connection) error {
	entry, err := logical.StorageEntryJSON(configPrefix+name, &storedConnection{
		Version:    connectionVersion,
		Revision:   c.revision,
		settings:   c.settings,
		SecretKey:  c.secretKey.Reveal(),
		PrivateKey: c.privateKey.Reveal(),
		ProxyURL:   c.proxyURL.Reveal(),
	})
	if err != nil {
		return fmt.Errorf("encoding connection %q: %w", name, err)
	}
	if err := storage.Put(ctx, entry); err != nil {
		return fmt.Errorf("storing connection %q: %w", name, err)
	}
	return nil
}
