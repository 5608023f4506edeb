package s3conn

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// nameLocks are held while what is stored under a connection's name is compared and replaced. Names share locks. It is
// safe for concurrent use.
type nameLocks struct {
	seed  maphash.Seed
	locks [256]chan struct{}
}

func newNameLocks() *nameLocks {
	l := &nameLocks{seed: maphash.MakeSeed()}
	for i := range l.locks {
		l.locks[i] = make(chan struct{}, 1)
	}
	return l
}

func (l *nameLocks) of(name string) chan struct{} {
	return l.locks[maphash.String(l.seed, name)%uint64(len(l.locks))]
}

// lock returns the function that releases the name's lock, or errLocked when ctx ends before the lock is free: its
// holder may be waiting for storage that does not answer.
func (l *nameLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	lock := l.of(name)
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, errLocked
	}
}

// lockForSession is lock for whoever keeps a reader waiting.
func (l *nameLocks) lockForSession(ctx context.Context, name string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, session.StorageWait)
	defer cancel()
	return l.lock(ctx, name)
}

// maxRequestWait bounds a request that calls nobody but Vault's storage. A request in flight holds Vault's state lock,
// so this is also how long storage that does not answer can delay a leader's step-down.
const maxRequestWait = 12 * time.Second
