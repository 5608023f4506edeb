package s3conn

import (
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"golang.org/x/time/rate"
)

// AWS allows 10 CreateSession calls a second for an account in a region. With one call at once and this many more
// in the second after it, any second holds fewer than that.
//
// https://docs.aws.amazon.com/general/latest/gr/rolesanywhere.html
const callsPerSecond = 8

// budget keeps CreateSession calls below the service's quota. The mounts of one process share one. It is safe for
// concurrent use.
type budget struct {
	mu    sync.Mutex
	turns map[string]*rate.Limiter
}

func newBudget() *budget { return &budget{turns: map[string]*rate.Limiter{}} }

// of returns the turns of the connection's account and region.
func (b *budget) of(conn *connection) *rate.Limiter {
	key := conn.region()
	if role, err := arn.Parse(conn.RoleARN); err == nil {
		key = role.AccountID + "/" + key
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter := b.turns[key]
	if limiter == nil {
		b.forgetIdle()
		limiter = rate.NewLimiter(callsPerSecond, 1)
		b.turns[key] = limiter
	}
	return limiter
}

// maxTurns is far more accounts and regions than one Vault serves; tests of settings can name any.
const maxTurns = 1024

// forgetIdle makes room: an account that has its whole budget left needs no record of it.
func (b *budget) forgetIdle() {
	if len(b.turns) < maxTurns {
		return
	}
	for key, limiter := range b.turns {
		if limiter.Tokens() >= 1 {
			delete(b.turns, key)
		}
	}
}
