package schedule

import "time"

// The pauses after failures.
const (
	FirstPause = time.Minute
	MaxPause   = time.Hour
	// minPause is for what would end before a minute is over.
	minPause = 5 * time.Second
	// tries is how many more tries there shall at least be in the time that is left.
	tries = 6
)

// Pause returns how long to wait after so many failures in a row, at least 1: a minute, doubled up to an hour. Where
// what the job keeps alive ends in left, the pause is a sixth of that at most and 5 seconds at least; left of 0 or less
// means that it has ended or that nothing ends, and sets no bound. random in [0, 1) takes up to a quarter off, so that
// jobs that failed together do not return together.
func Pause(failures int, left time.Duration, random float64) time.Duration {
	pause := FirstPause
	for range min(failures, 10) - 1 {
		pause *= 2
	}
	pause = Shorten(min(pause, MaxPause), left)
	return pause - time.Duration(random*float64(pause)/4)
}

// Shorten returns a pause that leaves room for more tries in the time that is left, as [Pause] does.
func Shorten(pause, left time.Duration) time.Duration {
	if left <= 0 {
		return pause
	}
	return min(pause, max(left/tries, minPause))
}
