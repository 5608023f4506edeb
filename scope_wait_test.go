package s3conn

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// longestRead is what every read promises: a request in flight holds Vault's state lock.
const longestRead = 12 * time.Second

// slowStorage takes so long to read a key.
type slowStorage struct {
	logical.Storage
	key  string
	took time.Duration
}

func (s slowStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if key == s.key {
		select {
		case <-time.After(s.took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Storage.Get(ctx, key)
}

// slowly has each step of a templated scope's read take so long, and Roles Anywhere never answer until it is released.
func (s *scopeTest) slowly(storage, vault time.Duration) (release func()) {
	gate := make(chan struct{})
	s.storage.Storage = slowStorage{s.storage.Storage, scopeKey("orders", templated), storage}
	s.backend.entities = newEntities(bubbleNow, func(id string) (*logical.Entity, error) {
		time.Sleep(vault)
		return s.entities.ask(id)
	})
	s.aws.set(func(aws *service) { aws.gate, aws.deaf = gate, true })
	return func() { close(gate) }
}

// A read of a templated scope waits for storage, for what Vault knows of the entity, and for a session: for all of
// them together no longer than any read.
func TestScoped_AllThatATemplatedReadWaitsForEndsInTime(t *testing.T) {
	for _, row := range []struct {
		name           string
		storage, vault time.Duration
		is             error
	}{
		{"the session is slow", 0, 0, session.ErrPending},
		{"Vault is slow, then the session", 0, 8 * time.Second, session.ErrPending},
		{"storage is slow, then Vault, then the session", 5 * time.Second, 5 * time.Second, session.ErrPending},
		{"storage is slow, then Vault never answers", 9 * time.Second, time.Hour, errEntityPending},
	} {
		t.Run(row.name, func(t *testing.T) {
			withScopes(t, func(t *testing.T, s *scopeTest) {
				s.writeTemplated()
				release := s.slowly(row.storage, row.vault)
				start := time.Now()
				_, err := s.readAs("e-1", "creds/orders/"+templated)
				if took := time.Since(start); took > longestRead {
					t.Errorf("the read took %s, want %s at most", took, longestRead)
				}
				var coded logical.HTTPCodedError
				if !errors.As(err, &coded) || coded.Code() != http.StatusServiceUnavailable ||
					err.Error() != row.is.Error() {
					t.Errorf("the read ended with %v, want a 503 with %q", err, row.is)
				}
				release()
				elapse(2 * time.Hour)
			})
		})
	}
}

// What the reader of a hanging storage waits for ends as well, and the next reader gets what has come meanwhile.
func TestScoped_AStorageThatHangsEndsATemplatedRead(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.storage.hangOn(scopePrefix)
		start := time.Now()
		if _, err := s.readAs("e-1", "creds/orders/"+templated); err == nil || time.Since(start) > longestRead {
			t.Errorf("the read ended with %v after %s", err, time.Since(start))
		}
		s.storage.hangOn("")
		if key := s.keyFor("e-1", "creds/orders/"+templated); key == "" {
			t.Error("a later read got nothing")
		}
	})
}
