package s3conn

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"
)

var errStorage = errors.New("storage is broken")

// brokenStorage fails the operations whose names it is given.
type brokenStorage struct {
	logical.Storage
	mu   sync.Mutex
	fail map[string]error
	hang string // prefix of the keys that are never answered

	failAt, used int // the operation that fails, counted from 1, and how many there have been; 0: none fails

	// failPut returns an error for a put that fails; nil: none does.
	failPut func(key string) error

	// afterGet is called with what was read before it is returned, beforePut before something is stored. They are
	// set before the storage is used and see calls of all goroutines.
	afterGet, beforePut func(key string)
}

func (s *brokenStorage) hangOn(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = prefix
}

func (s *brokenStorage) wait(ctx context.Context, key string) error {
	s.mu.Lock()
	hangs := s.hang != "" && strings.HasPrefix(key, s.hang)
	s.mu.Unlock()
	if !hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *brokenStorage) breakOn(err error, operations ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = map[string]error{}
	for _, op := range operations {
		s.fail[op] = err
	}
}

func (s *brokenStorage) failure(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used++; s.used == s.failAt {
		return errStorage
	}
	return s.fail[op]
}

// failOnce has the operation of that number fail, counted from now on. 0 has none fail.
func (s *brokenStorage) failOnce(at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failAt, s.used = at, 0
}

// hasFailed says whether the operation that failOnce named has been reached.
func (s *brokenStorage) hasFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failAt > 0 && s.used >= s.failAt
}

func (s *brokenStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if err := s.failure("get"); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, key); err != nil {
		return nil, err
	}
	entry, err := s.Storage.Get(ctx, key)
	if s.afterGet != nil {
		s.afterGet(key)
	}
	return entry, err
}

func (s *brokenStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if err := s.failure("put"); err != nil {
		return err
	}
	if err := s.wait(ctx, entry.Key); err != nil {
		return err
	}
	if s.beforePut != nil {
		s.beforePut(entry.Key)
	}
	s.mu.Lock()
	failPut := s.failPut
	s.mu.Unlock()
	if failPut != nil {
		if err := failPut(entry.Key); err != nil {
			return err
		}
	}
	return s.Storage.Put(ctx, entry)
}

func (s *brokenStorage) List(ctx context.Context, prefix string) ([]string, error) {
	if err := s.failure("list"); err != nil {
		return nil, err
	}
	return s.Storage.List(ctx, prefix)
}

func (s *brokenStorage) Delete(ctx context.Context, key string) error {
	if err := s.failure("delete"); err != nil {
		return err
	}
	return s.Storage.Delete(ctx, key)
}
