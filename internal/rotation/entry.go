package rotation

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// version is that of the stored form.
const version = 1

// ErrUnreadable is a stored state that is damaged or of a newer version.
var ErrUnreadable = errors.New("the stored state of its rotation cannot be read")

// entry is the stored form of a State. The tags never change.
type entry struct {
	Version   int        `json:"version"`
	Since     *time.Time `json:"since,omitempty"`
	Phase     Phase      `json:"phase,omitempty"`
	OldID     string     `json:"old_access_key,omitempty"`
	OldSecret string     `json:"old_secret_key,omitempty"`
	NewID     string     `json:"new_access_key,omitempty"`
	NewSecret string     `json:"new_secret_key,omitempty"`
	Known     []string   `json:"known,omitempty"`
	Began     *time.Time `json:"began,omitempty"`
	Tried     *time.Time `json:"tried,omitempty"`
	Tries     []Try      `json:"tries,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	Made      string     `json:"made_access_key,omitempty"`
	Failures  int        `json:"failures,omitempty"`
	LastError string     `json:"last_error,omitempty"`
	LastTry   *time.Time `json:"last_try,omitempty"`
	NextTry   *time.Time `json:"next_try,omitempty"`
}

// Encode returns the stored form, which holds secrets.
func (s State) Encode() ([]byte, error) {
	return json.Marshal(entry{
		Version: version, Phase: s.Phase, Known: s.Known, Tries: s.Tries, Made: s.Made,
		OldID: s.Old.ID, OldSecret: s.Old.Secret.Reveal(), NewID: s.New.ID, NewSecret: s.New.Secret.Reveal(),
		Since: stamp(s.Since), Began: stamp(s.Began), Tried: stamp(s.Tried), Until: stamp(s.Until),
		Failures: s.Failures, LastError: s.LastError, LastTry: stamp(s.LastTry), NextTry: stamp(s.NextTry),
	})
}

// Decode reads a stored state. The error quotes nothing of it.
func Decode(stored []byte) (State, error) {
	var e entry
	if err := json.Unmarshal(stored, &e); err != nil || e.Version < 1 || !e.Phase.known() {
		return State{}, fmt.Errorf("%w: it is damaged", ErrUnreadable)
	}
	if e.Version > version {
		return State{}, fmt.Errorf("%w: it was written as version %d by a newer plugin", ErrUnreadable, e.Version)
	}
	return State{
		Phase: e.Phase, Known: e.Known, Tries: e.Tries, Made: e.Made,
		Old: Key{e.OldID, secret.New(e.OldSecret)}, New: Key{e.NewID, secret.New(e.NewSecret)},
		Since: instant(e.Since), Began: instant(e.Began), Tried: instant(e.Tried), Until: instant(e.Until),
		Failures: e.Failures, LastError: e.LastError, LastTry: instant(e.LastTry), NextTry: instant(e.NextTry),
	}, nil
}

func (p Phase) known() bool {
	switch p {
	case Idle, Creating, Confirming, Discarding, Grace, Inactive:
		return true
	}
	return false
}

func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Round(0)
	return &t
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
