package s3conn

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// setClock sets the host's clock by a jump; the uptime goes on.
func (m *mount) setClock(jump time.Duration) {
	now := m.now
	m.now = func() time.Time { return now().Add(jump) }
	clock := m.backend.clock
	m.backend.clock = func() session.Instant {
		at := clock()
		at.Wall = at.Wall.Add(jump)
		return at
	}
}

func TestLease_OutlivesItsSessionByNoClock(t *testing.T) {
	for _, jump := range []time.Duration{0, -5 * time.Minute, 5 * time.Minute, -6 * time.Hour, 6 * time.Hour} {
		for _, when := range []string{"before the read", "after the read"} {
			t.Run(fmt.Sprintf("clock set by %s %s", jump, when), func(t *testing.T) {
				sessionTest(t, func(t *testing.T, m *mount, aws *service) {
					m.writeConnections(1)
					m.readCreds(t.Context(), "orders-0")
					requested := time.Now()
					end := requested.Add(time.Hour)
					pass(10 * time.Minute)
					aws.set(func(s *service) { s.err = errors.New("down") })
					if when == "before the read" {
						m.setClock(jump)
					}
					resp, err := m.do(t.Context(), logical.ReadOperation, "creds/orders-0", nil)
					if err != nil {
						if jump > time.Hour {
							return // by this clock the session has ended
						}
						t.Fatal(err)
					}
					if over := time.Now().Add(resp.Secret.TTL).Sub(end); over > -time.Minute {
						t.Errorf("the lease of %s ends %s after the session", resp.Secret.TTL, over)
					}
					if left := time.Duration(resp.Data["ttl"].(int64)) * time.Second; time.Now().Add(left).After(end) {
						t.Errorf("the response has a ttl of %s, %s after the request", left, time.Since(requested))
					}
					lease := &heldLease{m: m, secret: *resp.Secret, issued: bubbleNow()}
					if when == "after the read" {
						m.setClock(jump)
					}
					for range 70 {
						pass(time.Minute)
						resp, err := lease.request(logical.RenewOperation, 0)
						if err != nil {
							continue
						}
						if over := time.Now().Add(resp.Secret.TTL).Sub(end); over > -time.Minute {
							t.Fatalf("%s after the request the lease is renewed until %s after its session",
								time.Since(requested), over)
						}
					}
					if _, err := lease.request(logical.RenewOperation, 0); err == nil {
						t.Error("the lease is renewed after its session")
					}
				})
			})
		}
	}
}

// Another process knows nothing of the uptime; a lease is then never renewed for more than its session's lifetime.
func TestLeaseRenew_AfterARestartGivesTheLifetimeAtMost(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		lease := m.hold("orders-0")
		m.Cleanup(t.Context())
		m.start()
		pass(10 * time.Minute)
		if got := lease.renew(0); got != 49*time.Minute {
			t.Errorf("after a restart renewing gives %s, want what is left, 49m", got)
		}
		m.setClock(-6 * time.Hour)
		resp, err := lease.request(logical.RenewOperation, 0)
		if err != nil || resp.Secret.TTL != 59*time.Minute {
			t.Errorf("with the clock set back by 6h: %+v, %v; want the session's lifetime, 59m", resp, err)
		}
	})
}
