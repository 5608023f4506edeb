package connection

import (
	"encoding/json"
	"fmt"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// The forms of a stored connection. 1 is the first. 2 is of connections that version 0.1.0 of the plugin must not use
// and so refuses: those whose certificate and private key are in the identity that they name, and those whose own
// credentials are not handed out, which it would do.
const (
	inlineVersion = 1
	entryVersion  = 2
)

// entry is a connection as Vault's storage holds it, encrypted and seal wrapped. Nothing but storage sees its secrets
// in this form.
type entry struct {
	Version  int    `json:"version"`
	Revision string `json:"revision"`
	Identity string `json:"identity,omitempty"`
	Settings
	SecretKey  string `json:"secret_key,omitempty"`
	PrivateKey string `json:"private_key,omitempty"` // PEM, PKCS#8
	ProxyURL   string `json:"proxy_url,omitempty"`
}

// UnreadableError says why a stored entry is not one that [Decode] understands. It repeats nothing of the entry.
type UnreadableError struct{ text string }

func (e *UnreadableError) Error() string { return e.text }

// Encode returns the connection in its stored form, which holds its secrets in the clear. The certificate and private
// key are left out where the connection has an IdentityID.
func (c *Connection) Encode() ([]byte, error) {
	e := entry{
		Version:    inlineVersion,
		Revision:   c.Revision,
		Settings:   c.Settings,
		SecretKey:  c.SecretKey.Reveal(),
		PrivateKey: c.PrivateKey.Reveal(),
		ProxyURL:   c.ProxyURL.Reveal(),
	}
	if !c.AllowUnscoped {
		e.Version = entryVersion
	}
	if c.IdentityID != "" {
		e.Version, e.Identity, e.Certificate, e.PrivateKey = entryVersion, c.IdentityID, "", ""
	}
	return json.Marshal(&e)
}

// Decode reads what [Connection.Encode] or an earlier version of the plugin has written. Every error is an
// *[UnreadableError].
func Decode(stored []byte) (*Connection, error) {
	var form struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(stored, &form) == nil && form.Version > entryVersion {
		return nil, &UnreadableError{fmt.Sprintf("the entry was stored in version %d by a newer plugin, and this "+
			"plugin knows versions up to %d; run the newer plugin", form.Version, entryVersion)}
	}
	e := entry{Settings: Settings{AllowUnscoped: true}} // entries of version 0.1.0 do not have the field
	if err := json.Unmarshal(stored, &e); err != nil || e.Version < 1 || e.Revision == "" {
		return nil, &UnreadableError{"the stored entry is damaged; delete the connection and write it again"}
	}
	return &Connection{
		Revision:   e.Revision,
		IdentityID: e.Identity,
		Settings:   e.Settings,
		SecretKey:  secret.New(e.SecretKey),
		PrivateKey: secret.New(e.PrivateKey),
		ProxyURL:   secret.New(e.ProxyURL),
	}, nil
}
