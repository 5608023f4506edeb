package s3conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

var errFate = errors.New("the process has ended, or the operation has failed")

// fault is what goes wrong at an operation that changes storage or calls IAM.
type fault struct {
	at    int  // counted from 1; 0: nothing goes wrong
	after bool // the operation has had its effect
	ends  bool // the process ends there; otherwise the operation fails alone
}

func (f fault) String() string { return fmt.Sprintf("at %d, after %t, ends %t", f.at, f.after, f.ends) }

// rotationWorld is the storage of a mount and an IAM user, which outlive processes, and who has got which key.
type rotationWorld struct {
	*mount
	inner logical.Storage

	mutex    sync.Mutex
	fault    fault
	count    int
	ended    bool // the process has ended: no operation has an effect
	calls    []string
	keys     []rotation.Listed
	made     int // keys
	operator bool
	handed   map[string]time.Time // the keys that apps have got, and when a rotation took them from the connection
	taken    map[string]bool      // the keys that an operator took from the connection
	warnings []string
}

// secretOf is the secret of a key.
func secretOf(id string) string { return "secret-of-" + id }

func newRotationWorld(t *testing.T) *rotationWorld {
	t.Helper()
	w := &rotationWorld{mount: newMount(t), inner: &logical.InmemStorage{}, handed: map[string]time.Time{},
		taken: map[string]bool{}}
	w.mount.storage.Storage = worldStorage{w}
	w.keys = []rotation.Listed{{ID: "AKIA1", Active: true, Created: testTime.Add(-time.Hour)}}
	w.made = 1
	w.restart()
	w.operate("update", "config/reports", w.key("AKIA1"))
	w.fault, w.count, w.calls = fault{}, 0, nil
	return w
}

func (w *rotationWorld) key(id string) map[string]any {
	return map[string]any{"access_key": id, "secret_key": secretOf(id)}
}

// restart has another process go on.
func (w *rotationWorld) restart() {
	w.rotator.Close()
	w.mutex.Lock()
	w.ended, w.fault = false, fault{}
	w.mutex.Unlock()
	w.start()
	w.rotator.AcceptEvery = time.Nanosecond
	w.backend.iam = func(*connection.Connection) rotation.IAM { return worldIAM{w} }
}

// operate sends an operator's request, also where it fails.
func (w *rotationWorld) operate(op logical.Operation, path string, data map[string]any) bool {
	w.mutex.Lock()
	w.operator = true
	w.mutex.Unlock()
	resp, err := w.do(w.t.Context(), op, path, data)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.operator = false
	if resp != nil && !w.ended {
		w.warnings = append(w.warnings, resp.Warnings...)
	}
	return err == nil && !resp.IsError()
}

// settle runs the jobs, as the scheduler does, until none is due for a month.
func (w *rotationWorld) settle() {
	w.t.Helper()
	if err := w.findJobs(); err != nil {
		w.t.Fatal(err)
	}
	end := w.clock.Now().Add(30 * 24 * time.Hour)
	for range 100 {
		key, due := w.nextJob()
		if due.IsZero() || due.After(end) {
			return
		}
		w.clock.Advance(max(due.Sub(w.clock.Now()), 0))
		next := w.runJob(w.t.Context(), key)
		w.jobs.Set(key, next)
	}
	w.t.Errorf("it never settles: %v", w.calls)
}

func (w *rotationWorld) nextJob() (first schedule.Key, due time.Time) {
	keys := []schedule.Key{rotationOf("reports")}
	left, err := w.inner.List(w.t.Context(), leftPrefix)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range left {
		keys = append(keys, leftOf(id))
	}
	for _, key := range keys {
		if at, waiting := w.jobs.Due(key); waiting && (due.IsZero() || at.Before(due)) {
			first, due = key, at
		}
	}
	return first, due
}

// operation counts, and says what goes wrong. effect takes place unless it fails before.
func (w *rotationWorld) operation(name string, effect func() error) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.ended {
		return errFate
	}
	w.calls = append(w.calls, name)
	changes := !strings.HasPrefix(name, "get ") && !strings.HasPrefix(name, "list ") && name != "Accepted"
	if changes {
		w.count++
	}
	befallen := changes && w.count == w.fault.at
	if befallen && !w.fault.after {
		w.ended = w.fault.ends
		return errFate
	}
	err := effect()
	if befallen {
		w.ended = w.fault.ends
		return errFate
	}
	return err
}

// stored returns the ID of the key that the connection has.
func (w *rotationWorld) stored() string {
	conn, err := loadConfig(context.Background(), w.inner, "reports")
	if err != nil || conn == nil || conn.UsesRolesAnywhere() {
		return ""
	}
	if conn.SecretKey.Reveal() != secretOf(conn.AccessKey) {
		w.t.Errorf("the connection has another secret than that of %s", conn.AccessKey)
	}
	return conn.AccessKey
}

// changing runs a change of the storage, and notes which key it takes from the connection.
func (w *rotationWorld) changing(change func() error) error {
	before := w.stored()
	err := change()
	if after := w.stored(); before != after {
		w.handed[before] = w.clock.Now()
		w.taken[before] = w.operator
		delete(w.taken, after)
		delete(w.handed, after)
	}
	return err
}

func (w *rotationWorld) find(id string) int {
	return slices.IndexFunc(w.keys, func(one rotation.Listed) bool { return one.ID == id })
}

// checkEnd holds the promises at the end.
func (w *rotationWorld) checkEnd() {
	w.t.Helper()
	current, said := w.stored(), strings.Join(w.warnings, "\n")
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "stays in IAM") || strings.Contains(line, "is given up") {
			said += line
		}
	}
	if i := w.find(current); current != "" && current != "OPERATORS" && (i < 0 || !w.keys[i].Active) {
		w.t.Errorf("the connection's key %s does not work", current)
	}
	for _, one := range w.keys {
		byRotation := one.ID != "AKIA1"
		replaced := !w.handed[one.ID].IsZero() && !w.taken[one.ID]
		if (byRotation || replaced) && one.ID != current && !strings.Contains(said, one.ID) {
			w.t.Errorf("IAM has %s, which nobody knows", one.ID)
		}
	}
	for _, prefix := range []string{leftPrefix, rotationPrefix} {
		entries, err := w.inner.List(context.Background(), prefix)
		if err != nil || len(entries) > 0 && (prefix == leftPrefix || current == "") {
			w.t.Errorf("at the end there is %s: %v, %v", prefix, entries, err)
		}
	}
	if w.t.Failed() {
		w.t.Logf("the connection has %q, IAM %+v, warnings %q after %v\n%s", current, w.keys, w.warnings, w.calls,
			w.log.String())
	}
}

// worldStorage is the storage of the world.
type worldStorage struct{ *rotationWorld }

func (s worldStorage) Get(ctx context.Context, key string) (entry *logical.StorageEntry, err error) {
	err = s.operation("get "+key, func() (err error) { entry, err = s.inner.Get(ctx, key); return err })
	return entry, err
}

func (s worldStorage) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = s.operation("list "+prefix, func() (err error) { keys, err = s.inner.List(ctx, prefix); return err })
	return keys, err
}

func (s worldStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	return s.operation("put "+entry.Key, func() error {
		return s.changing(func() error { return s.inner.Put(ctx, entry) })
	})
}

func (s worldStorage) Delete(ctx context.Context, key string) error {
	return s.operation("delete "+key, func() error {
		return s.changing(func() error { return s.inner.Delete(ctx, key) })
	})
}
