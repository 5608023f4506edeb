package rotation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

var errCrash = errors.New("the process has ended")

// refusal is IAM's.
type refusal struct {
	status int
	code   string
}

func (r *refusal) Error() string   { return r.code }
func (r *refusal) HTTPStatus() int { return r.status }

// world is IAM with one user, the storage of one connection, and whoever rotates its key. Its clock is the bubble's.
type world struct {
	t *testing.T

	mutex sync.Mutex
	keys  []*userKey
	made  int
	calls []string // operations, also those that failed

	current  Key
	state    []byte // nil: none
	gone     bool
	settings Settings

	// Faults. An operation fails before it has had an effect, or after.
	crashAt    int // counted from 1; 0: never
	crashAfter bool
	transient  bool // the operation fails and the process goes on
	crashed    bool
	operations int
	fail       map[string][]error // by operation, one after the other
	lose       map[string]int     // how many responses are lost
	checkRoot  error
	acceptLag  time.Duration // until IAM accepts a new key
	flapFor    time.Duration // in which it accepts every second check
	listLag    time.Duration
	checks     int
	ahead      time.Duration // of IAM's clock
	showsClock bool
	sharedWith string // another connection
	panics     bool

	rotated, failures []string
}

type userKey struct {
	Key
	active  bool
	created time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, settings: Settings{Grace: 2 * time.Hour}, fail: map[string][]error{}, lose: map[string]int{}}
	w.current = w.addKey(time.Now().Add(-24 * time.Hour))
	return w
}

// inBubble runs a test on a clock of its own, and fails it when a goroutine is left behind.
func inBubble(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { run(t, newWorld(t)) })
}

func (w *world) rotator() *Rotator {
	r := New(Config{Connections: w, Observer: w, Now: time.Now, Random: func() float64 { return 0.5 },
		Describe: func(err error) error { return err }})
	w.t.Cleanup(r.Close)
	return r
}

func (w *world) addKey(created time.Time) Key {
	w.made++
	key := Key{fmt.Sprintf("AKIA%d", w.made), secret.New(fmt.Sprintf("secret-%d", w.made))}
	w.keys = append(w.keys, &userKey{key, true, created})
	return key
}

// operation counts, and says what goes wrong. effect takes place unless it fails before.
func (w *world) operation(name string, effect func() error) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.crashed {
		return errCrash
	}
	w.calls = append(w.calls, name)
	w.operations++
	crashes := w.operations == w.crashAt
	if crashes && !w.crashAfter {
		w.crashed = !w.transient
		return errCrash
	}
	if faults := w.fail[name]; len(faults) > 0 {
		w.fail[name] = faults[1:]
		if faults[0] != nil {
			return faults[0]
		}
	}
	err := effect()
	w.checkLocked()
	if crashes {
		w.crashed = !w.transient
		return errCrash
	}
	if err == nil && w.lose[name] > 0 {
		w.lose[name]--
		return errors.New("the connection broke")
	}
	return err
}

// checkLocked holds the promise that never has an exception: the connection's key is one that works.
func (w *world) checkLocked() {
	if w.gone {
		return
	}
	i := slices.IndexFunc(w.keys, func(k *userKey) bool { return k.ID == w.current.ID })
	if i < 0 || !w.keys[i].active || w.keys[i].Secret.Reveal() != w.current.Secret.Reveal() {
		w.t.Errorf("the connection's key %s does not work after %v", w.current.ID, w.calls)
	}
}

func (w *world) authenticate(as Key) error {
	i := slices.IndexFunc(w.keys, func(k *userKey) bool { return k.ID == as.ID })
	if i < 0 || !w.keys[i].active || w.keys[i].Secret.Reveal() != as.Secret.Reveal() {
		return &refusal{403, "InvalidClientTokenId"}
	}
	return nil
}

func (w *world) Check(_ context.Context, as Key) error {
	if w.panics {
		panic("CANARY")
	}
	return w.operation("check", func() error { return errors.Join(w.authenticate(as), w.checkRoot) })
}

func (w *world) List(_ context.Context, as Key) (listing Listing, err error) {
	err = w.operation("list", func() error {
		for _, one := range w.keys {
			if time.Since(one.created) >= w.listLag {
				listing.Keys = append(listing.Keys, Listed{one.ID, one.active, one.created.Add(w.ahead)})
			}
		}
		if w.showsClock {
			listing.Ahead, listing.Within = w.ahead, time.Second
		}
		return w.authenticate(as)
	})
	return listing, err
}

func (w *world) Create(_ context.Context, as Key) (key Key, err error) {
	err = w.operation("create", func() error {
		if err := w.authenticate(as); err != nil {
			return err
		}
		if len(w.keys) > 1 {
			return &refusal{409, "LimitExceeded"}
		}
		key = w.addKey(time.Now())
		return nil
	})
	if err != nil {
		return Key{}, err
	}
	return key, nil
}

func (w *world) Deactivate(_ context.Context, as Key, id string) error {
	return w.operation("deactivate", func() error {
		for _, one := range w.keys {
			if one.ID == id {
				one.active = false
			}
		}
		return w.authenticate(as)
	})
}

func (w *world) Delete(_ context.Context, as Key, id string) error {
	return w.operation("delete", func() error {
		if err := w.authenticate(as); err != nil {
			return err
		}
		w.keys = slices.DeleteFunc(w.keys, func(k *userKey) bool { return k.ID == id })
		return nil
	})
}

func (w *world) Accepted(_ context.Context, key Key) (accepted bool, err error) {
	err = w.operation("accepted", func() error {
		for _, one := range w.keys {
			age := time.Since(one.created)
			if one.ID == key.ID && age >= w.acceptLag {
				w.checks++
				accepted = age >= w.acceptLag+w.flapFor || w.checks%2 == 0
			}
		}
		return nil
	})
	return accepted && err == nil, err
}

func (w *world) load() Stored {
	stored := Stored{Current: w.current, Settings: w.settings}
	if w.state != nil {
		var err error
		if stored.State, err = Decode(w.state); err != nil {
			w.t.Error(err)
		}
	}
	return stored
}

func (w *world) Load(context.Context, string) (stored Stored, iam IAM, err error) {
	err = w.operation("load", func() error {
		if w.gone {
			return ErrGone
		}
		stored = w.load()
		return nil
	})
	return stored, w, err
}

func (w *world) SharedWith(context.Context, string, string) (other string, err error) {
	return w.sharedWith, w.operation("shared", func() error { return nil })
}

func (w *world) Save(_ context.Context, _ string, before Stored, after State) error {
	return w.operation("save", func() error {
		was, _ := before.State.Encode()
		now, _ := w.load().State.Encode()
		switch {
		case w.gone:
			return ErrGone
		case !bytes.Equal(was, now) || before.Current.ID != w.current.ID:
			return ErrChanged
		}
		var err error
		w.state, err = after.Encode()
		return err
	})
}

func (w *world) Swap(_ context.Context, _, old string, key Key) error {
	return w.operation("swap", func() error {
		switch {
		case w.gone:
			return ErrGone
		case w.current.ID != old:
			return ErrChanged
		}
		w.current = key
		return nil
	})
}

func (w *world) Rotated(_, old, key string) {
	w.rotated = append(w.rotated, old+" to "+key)
}

func (w *world) RotationFailed(_ string, err error, _ time.Time) {
	w.failures = append(w.failures, err.Error())
}
