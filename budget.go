package s3conn

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"golang.org/x/time/rate"
)

// AWS allows 10 CreateSession calls a second for an account in a region. With one call at once of each kind, and these
// many more in the second after it, any second holds fewer than that.
//
// https://docs.aws.amazon.com/general/latest/gr/rolesanywhere.html
const (
	callsPerSecond = 7
	testsPerSecond = 0.5 // beside those, so that a connection can be tested while others use up everything
)

// budget keeps CreateSession calls below the service's quota. The mounts of one process share one. It is safe for
// concurrent use.
type budget struct {
	mu       sync.Mutex
	accounts map[string]*turns // by account and region
}

// turns are an account's in a region.
type turns struct{ calls, tests *rate.Limiter }

func newBudget() *budget { return &budget{accounts: map[string]*turns{}} }

// of returns the turns of the connection's account and region.
func (b *budget) of(conn *connection.Connection) *turns {
	key := conn.AWSRegion()
	if role, err := arn.Parse(conn.RoleARN); err == nil {
		key = role.AccountID + "/" + key
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.accounts[key]
	if t == nil {
		b.forgetIdle()
		t = &turns{rate.NewLimiter(callsPerSecond, 1), rate.NewLimiter(testsPerSecond, 1)}
		b.accounts[key] = t
	}
	return t
}

// maxAccounts is far more accounts and regions than one Vault serves; tests of settings can name any.
const maxAccounts = 1024

// forgetIdle makes room: an account that has its whole budget left needs no record of it.
func (b *budget) forgetIdle() {
	if len(b.accounts) < maxAccounts {
		return
	}
	for key, t := range b.accounts {
		if t.calls.Tokens() >= 1 && t.tests.Tokens() >= 1 {
			delete(b.accounts, key)
		}
	}
}

// queue is where a call waits for its turn. Wait returns an error at once when the turn would come after ctx's deadline.
type queue interface {
	Wait(ctx context.Context) error
}

func (b *budget) forReads(conn *connection.Connection) queue { return b.of(conn).calls }

func (b *budget) forTests(conn *connection.Connection) queue { return testQueue{b.of(conn)} }

// testQueue takes the turns that are kept for tests first, and when all of the others are taken.
type testQueue struct{ *turns }

func (q testQueue) Wait(ctx context.Context) error {
	if q.tests.Allow() || q.calls.Wait(ctx) == nil {
		return ctx.Err()
	}
	return q.tests.Wait(ctx)
}
