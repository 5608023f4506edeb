// Package session keeps the sessions that many readers share: one live session a key, requested once however many wait
// for it, replaced ahead of its end, kept over restarts, and dropped when the settings it was requested with change.
// It knows neither who issues sessions nor where they are stored.
package session

import (
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// Key says what a session is of: a name, a scope of that name, and the scope's variant. The zero Scope is the name
// itself. Sessions with a Variant are as many as there are variants, so they are kept in memory only, and the least
// recently used leave when there are more than [Config.MaxVariants].
type Key struct{ Name, Scope, Variant string }

// durable says whether sessions of the key are stored.
func (k Key) durable() bool { return k.Variant == "" }

// Session holds temporary credentials and when they were issued and end. Its zero value is no session.
type Session struct {
	AccessKey    string
	SecretKey    secret.Text
	SessionToken secret.Text
	ARN          string // of the assumed role's session

	// Issued is when the session was requested, and Expiration when it ends, both by this host's clock. Whoever
	// obtains a session sees to it that Expiration is not later than Issued and the requested duration.
	Issued, Expiration time.Time

	// PackedPolicySize is the share of the size allowed for session policies and tags that is used up, in percent.
	PackedPolicySize int

	// issuedAt is the uptime at Issued. The pool sets it when the session comes in.
	issuedAt time.Duration
}

// anchored returns the session with its issue placed on the monotonic clock.
func (s Session) anchored(now Instant) Session {
	s.Issued, s.Expiration = s.Issued.Round(0), s.Expiration.Round(0)
	// A session that another host has requested a moment ago may seem to come from the future.
	s.issuedAt = now.Uptime - max(now.Wall.Round(0).Sub(s.Issued), 0)
	return s
}

// Remaining is the life that is left until Expiration, by the wall clock and by the monotonic clock, whichever is
// less: a clock that is set back while a session lives does not prolong it. Only sessions from a [Pool] count on the
// monotonic clock.
func (s *Session) Remaining(now Instant) time.Duration {
	return min(s.Expiration.Sub(now.Wall), s.lifetime()-(now.Uptime-s.issuedAt))
}

// UptimeAtEnd is the uptime at which the session ends by the monotonic clock. It means something in this process alone.
func (s *Session) UptimeAtEnd() time.Duration { return s.issuedAt + s.lifetime() }

func (s *Session) lifetime() time.Duration { return s.Expiration.Sub(s.Issued) }

// none says whether there is no session.
func (s *Session) none() bool { return s.Expiration.IsZero() }

// Live says whether the session may be handed out: it has at least [MinRemaining] left.
func (s *Session) Live(now Instant) bool { return !s.none() && s.Remaining(now) >= MinRemaining }

// Instant is one reading of the clocks.
type Instant struct {
	Wall   time.Time
	Uptime time.Duration // since some moment, by a clock that nobody sets
}

// Clock reads the clocks. It is safe for concurrent use.
type Clock func() Instant

// NewClock returns a Clock from a function like time.Now, whose readings hold the monotonic clock's too.
func NewClock(now func() time.Time) Clock {
	start := now()
	return func() Instant {
		t := now()
		return Instant{Wall: t, Uptime: t.Sub(start)}
	}
}
