package scope

import (
	"encoding/json"
	"errors"
	"fmt"
)

// storedVersion is the form of a stored scope. 1: the first.
const storedVersion = 1

type stored struct {
	Version  int    `json:"version"`
	Revision string `json:"revision"`
	Settings
}

// ErrDamaged is returned for a stored entry that is no scope.
var ErrDamaged = errors.New("the stored entry is damaged; delete the scope and write it again")

// NewerError is returned for an entry that a newer version of the plugin has stored.
type NewerError struct{ Version int }

// Error says which form the entry has and what to do.
func (e *NewerError) Error() string {
	return fmt.Sprintf("it was stored in form %d by a newer plugin, and this one knows forms up to %d; run the "+
		"newer plugin",
		e.Version, storedVersion)
}

// Encode returns the scope as storage holds it.
func Encode(s *Scope) ([]byte, error) {
	return json.Marshal(stored{storedVersion, s.Revision, s.Settings})
}

// Decode reads what Encode has written. Its error is [ErrDamaged] or a *[NewerError].
func Decode(entry []byte) (Scope, error) {
	var form struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(entry, &form) == nil && form.Version > storedVersion {
		return Scope{}, &NewerError{form.Version}
	}
	var s stored
	if err := json.Unmarshal(entry, &s); err != nil || s.Version < 1 || s.Revision == "" {
		return Scope{}, ErrDamaged
	}
	return Scope{s.Revision, s.Settings}, nil
}
