package identity

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// entryVersion is the form of a stored identity. 1: the first.
const entryVersion = 1

// Entry is what storage holds of an identity: its state, and where a write to the connection's configuration has
// imported another one, that one too, until the configuration refers to it. So the write of the identity's entry before
// that of the configuration changes nothing yet, and a crash between them leaves the identity as it was.
type Entry struct {
	State    State
	Imported *Import
}

// Import is a pair that came with a write to the configuration; nil when the write took the pair away.
type Import struct {
	ID   string
	Pair *Pair
}

// Resolve returns the state of the identity that a configuration refers to by id. entry may be nil. inline is the pair
// that a configuration of v0.1.0 holds in itself, with its revision as id; nil otherwise. An entry of another id is
// what a deleted connection has left behind.
func Resolve(entry *Entry, id string, inline *Pair) State {
	switch {
	case entry != nil && entry.State.ID == id:
		return entry.State
	case entry != nil && entry.Imported != nil && entry.Imported.ID == id:
		return State{ID: id, Current: entry.Imported.Pair, Waiting: entry.State.Waiting, Issuer: entry.State.Issuer}
	}
	return State{ID: id, Current: inline}
}

// WithImport returns the entry to store before a configuration that refers to the pair by id. The pair may be nil.
func (s State) WithImport(id string, pair *Pair) *Entry {
	return &Entry{State: s, Imported: &Import{id, pair}}
}

// The stored form. The secrets are in the clear: Vault's storage is what encrypts them.
type (
	storedEntry struct {
		Version  int            `json:"version"`
		ID       string         `json:"id"`
		Current  *storedPair    `json:"current,omitempty"`
		Waiting  *storedWaiting `json:"waiting,omitempty"`
		Issuer   *storedIssuer  `json:"issuer,omitempty"`
		Renewal  *storedRenewal `json:"renewal,omitempty"`
		Record   Record         `json:"record"`
		Imported *storedImport  `json:"imported,omitempty"`
	}
	storedPair struct {
		Certificate string `json:"certificate"`
		PrivateKey  string `json:"private_key"`
		Origin      Origin `json:"origin"`
	}
	storedImport struct {
		ID   string      `json:"id"`
		Pair *storedPair `json:"pair,omitempty"`
	}
	storedWaiting struct {
		KeyType    string    `json:"key_type"`
		PrivateKey string    `json:"private_key"`
		CSR        string    `json:"csr"`
		Since      time.Time `json:"since"`
	}
	storedIssuer struct {
		Issuer
		ProxyURL string `json:"proxy_url,omitempty"`
	}
	storedRenewal struct {
		PrivateKey  string    `json:"private_key"`
		Origin      Origin    `json:"origin"`
		KeepsKey    bool      `json:"keeps_key,omitempty"`
		CSR         string    `json:"csr"`
		Certificate string    `json:"certificate,omitempty"`
		Since       time.Time `json:"since"`
	}
)

// UnreadableError says why an entry cannot be read. It is about what the entry holds, not about storage.
type UnreadableError struct{ text string }

func (e *UnreadableError) Error() string { return e.text }

// Encode returns the entry's stored form, in which the secrets are in the clear.
func (e *Entry) Encode() ([]byte, error) {
	s := e.State
	stored := storedEntry{Version: entryVersion, ID: s.ID, Current: storePair(s.Current), Record: s.Record}
	if w := s.Waiting; w != nil {
		stored.Waiting = &storedWaiting{w.KeyType, w.PrivateKey.Reveal(), w.CSR, w.Since}
	}
	if s.Issuer != nil {
		stored.Issuer = &storedIssuer{*s.Issuer, s.Issuer.ProxyURL.Reveal()}
	}
	if r := s.Renewal; r != nil {
		stored.Renewal = &storedRenewal{r.PrivateKey.Reveal(), r.Origin, r.KeepsKey, r.CSR, r.Certificate, r.Since}
	}
	if e.Imported != nil {
		stored.Imported = &storedImport{e.Imported.ID, storePair(e.Imported.Pair)}
	}
	text, err := json.Marshal(&stored)
	if err != nil {
		return nil, fmt.Errorf("encoding the identity: %w", err)
	}
	return text, nil
}

func storePair(p *Pair) *storedPair {
	if p == nil {
		return nil
	}
	return &storedPair{p.Certificate, p.PrivateKey.Reveal(), p.Origin}
}

// Decode reads what [Entry.Encode] has written. Its error is an *[UnreadableError] and quotes nothing.
func Decode(text []byte) (*Entry, error) {
	var form struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(text, &form) == nil && form.Version > entryVersion {
		return nil, &UnreadableError{
			fmt.Sprintf("the identity was stored in form %d by a newer plugin, and this one knows forms "+
				"up to %d; run the newer plugin", form.Version, entryVersion),
		}
	}
	var stored storedEntry
	if json.Unmarshal(text, &stored) != nil || stored.Version < 1 || stored.ID == "" {
		return nil, &UnreadableError{"the stored identity is damaged; delete the connection and write it again"}
	}
	entry := &Entry{State: State{ID: stored.ID, Current: stored.Current.pair(), Record: stored.Record}}
	if w := stored.Waiting; w != nil {
		entry.State.Waiting = &Waiting{w.KeyType, secret.New(w.PrivateKey), w.CSR, w.Since}
	}
	if stored.Issuer != nil {
		issuer := stored.Issuer.Issuer
		issuer.ProxyURL = secret.New(stored.Issuer.ProxyURL)
		entry.State.Issuer = &issuer
	}
	if r := stored.Renewal; r != nil {
		entry.State.Renewal = &Renewal{secret.New(r.PrivateKey), r.Origin, r.KeepsKey, r.CSR, r.Certificate, r.Since}
	}
	if stored.Imported != nil {
		entry.Imported = &Import{stored.Imported.ID, stored.Imported.Pair.pair()}
	}
	return entry, nil
}

func (p *storedPair) pair() *Pair {
	if p == nil {
		return nil
	}
	return &Pair{p.Certificate, secret.New(p.PrivateKey), p.Origin}
}
