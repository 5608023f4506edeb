package s3conn

import "time"

const (
	// minRemaining is the life below which a session counts as expired: what is handed out has to last for at
	// least one more use.
	minRemaining = 60 * time.Second

	// coolDown is how long readers of a connection without a live session get the last error without a call. After
	// refusals, which stay until somebody changes something, the pauses grow as those of refreshes do.
	coolDown = 5 * time.Second

	// A refresh that fails, or a call that is refused, is tried again after firstBackoff, then twice as long each time, up to maxBackoff:
	// well within the last third of any session that AWS issues.
	firstBackoff = 5 * time.Second
	maxBackoff   = time.Minute
)

// session is what CreateSession gave, and when.
type session struct {
	credentials
	issued time.Time
}

func (s *session) live(now time.Time) bool { return s.expires() && s.remaining(now) >= minRemaining }

// inLastThird says whether a live session should be replaced: in the last third of its usable life, which ends
// minRemaining before it expires.
func inLastThird(issued, expiration, now time.Time) bool {
	return expiration.Sub(now) <= minRemaining+(expiration.Sub(issued)-minRemaining)/3
}

// lastsFor says whether a live session has the life that a reader wants. A wish counts for up to half of the
// session's lifetime, so that short sessions are not bought at every read.
func lastsFor(want time.Duration, issued, expiration, now time.Time) bool {
	return expiration.Sub(now) >= min(want, expiration.Sub(issued)/2)
}

// backoff is the pause after so many failures in a row.
func backoff(failures int) time.Duration {
	pause := firstBackoff
	for range failures - 1 {
		if pause *= 2; pause >= maxBackoff {
			return maxBackoff
		}
	}
	return pause
}

// leaseTTL ends a lease minRemaining before its credentials. It is never zero, which Vault would take for the
// mount's default of weeks.
func leaseTTL(expiration, now time.Time) time.Duration {
	return max(expiration.Sub(now).Truncate(time.Second)-minRemaining, time.Second)
}
