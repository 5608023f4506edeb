package session

import "time"

const (
	// MinRemaining is the life below which a session counts as ended: what is handed out has to last for at least one
	// more use.
	MinRemaining = 60 * time.Second

	// A request that fails is repeated after firstPause, then twice as long each time, up to maxPause: well within the
	// last third of any session that AWS issues. Until then readers without a live session get the last error.
	firstPause = 5 * time.Second
	maxPause   = time.Minute

	// maxReaderWait bounds what one reader waits for its session, everything included. A request in flight holds
	// Vault's state lock, so this is also how long a hanging service can delay a leader's step-down. The request for
	// the session goes on for readers that come later, and clients of Vault's API repeat theirs by themselves.
	maxReaderWait = 12 * time.Second

	// maxRefreshWait bounds what a reader waits for a session that lasts longer than the live one: botocore gives up
	// after 2 s.
	maxRefreshWait = 1500 * time.Millisecond

	// clockTolerance is how far a stored session may come from the future: it was requested by another node, whose
	// clock is a little ahead. A session from further ahead was requested before this host's clock was set back, and
	// what life it has left is not known. MinRemaining covers the error.
	clockTolerance = MinRemaining

	// StorageWait bounds one use of storage, and one wait for a lock, on behalf of a session, which can be requested
	// again.
	StorageWait = 2 * time.Second

	// Settings in use are compared with the stored ones by the first reader after confirmAfter, in the background. A
	// reader that comes after confirmBy, because nobody has read for so long, waits for the comparison.
	confirmAfter = 50 * time.Second
	confirmBy    = time.Minute

	// maxConfirms bounds how many comparisons run at once.
	maxConfirms = 16

	// maxLoads bounds how often a reader starts again because the settings change under it.
	maxLoads = 5
)

// refreshDue says whether a live session should be replaced: in the last third of its usable life, which ends
// MinRemaining before it expires.
func refreshDue(lifetime, remaining time.Duration) bool {
	return remaining <= MinRemaining+(lifetime-MinRemaining)/3
}

// lastsFor says whether a live session has the life that a reader wants. The wanted life is capped at half of the
// session's lifetime, so that short sessions are not replaced at every read.
func lastsFor(want, lifetime, remaining time.Duration) bool {
	return remaining >= min(want, lifetime/2)
}

// pauseAfter is the pause after so many failures in a row.
func pauseAfter(failures int) time.Duration {
	pause := firstPause
	for range failures - 1 {
		if pause *= 2; pause >= maxPause {
			return maxPause
		}
	}
	return pause
}
