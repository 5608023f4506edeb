package s3conn

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/vault/sdk/logical"
)

// AWS may answer a call after the connection was deleted, and the session must not be stored then: nothing would ever
// remove it.
func TestSession_AnsweredAfterTheDropIsNotStored(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, aws *service) {
				m.storage.Storage = deafStorage{m.storage.Storage}
				m.writeConnections(1)
				gate := make(chan struct{})
				aws.set(func(s *service) { s.gate, s.deaf = gate, true })
				waiting := m.readers(1, "orders-0")
				synctest.Wait()
				aws.set(func(s *service) { s.err = errors.New("down") }) // so that nothing else is stored
				change(m)
				close(gate)
				waiting()
				synctest.Wait()
				if entry, err := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); err != nil || entry != nil {
					t.Errorf("an outdated session was stored: %s (%v)", entry.Value, err)
				}
			})
		})
	}
}

// deafStorage stores also when the caller has gone: a write may be on its way by then.
type deafStorage struct{ logical.Storage }

func (s deafStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	return s.Storage.Put(context.WithoutCancel(ctx), entry)
}

// hangingUp is a storage whose caller goes as soon as the connection is deleted or replaced.
type hangingUp struct {
	logical.Storage
	hangUp context.CancelFunc
}

func (s hangingUp) Delete(ctx context.Context, key string) error {
	err := s.Storage.Delete(ctx, key)
	if key == configPrefix+"orders-0" {
		s.hangUp()
	}
	return err
}

func TestSession_OfADeletedConnectionGoesAlsoWhenTheCallerHasHungUp(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		ctx, cancel := context.WithCancel(t.Context())
		m.storage.Storage = hangingUp{m.storage.Storage, cancel}
		if _, err := m.do(ctx, logical.DeleteOperation, "config/orders-0", nil); err != nil {
			t.Errorf("deleting: %v", err)
		}
		if entry, err := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); err != nil || entry != nil {
			t.Errorf("the deleted connection's session is still stored (%v)", err)
		}
	})
}

// Between the look at the connection and the store, a write or delete must not come: it removes the stored session.
func TestSession_IsStoredUnderTheNamesLock(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		stored := 0
		m.storage.beforePut = func(key string) {
			if key != sessionPrefix+"orders-0" {
				return
			}
			stored++
			select {
			case m.locks.of("orders-0") <- struct{}{}:
				t.Error("a write or delete could come between")
			default:
			}
		}
		m.readCreds(t.Context(), "orders-0")
		if stored != 1 {
			t.Errorf("the session was stored %d times, want once", stored)
		}
	})
}

// dyingStorage deletes once and then never again, as a plugin that is killed.
type dyingStorage struct {
	logical.Storage
	deletes int
}

func (s *dyingStorage) Delete(ctx context.Context, key string) error {
	if s.deletes++; s.deletes > 1 {
		return errStorage
	}
	return s.Storage.Delete(ctx, key)
}

func TestSession_OfADeletedConnectionGoesFirst(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		whole := m.storage.Storage
		m.storage.Storage = &dyingStorage{Storage: whole}
		if _, err := m.do(t.Context(), logical.DeleteOperation, "config/orders-0", nil); !errors.Is(err, errStorage) {
			t.Errorf("deleting ended with %v", err)
		}
		if entry, err := whole.Get(t.Context(), sessionPrefix+"orders-0"); entry != nil || err != nil {
			t.Errorf("after a crash in between, the session is still stored: %v, %v", entry, err)
		}
	})
}
