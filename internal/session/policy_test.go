package session

import (
	"testing"
	"time"
)

func TestRefreshDue_InTheLastThirdOfTheUsableLife(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lifetime, left time.Duration
		want           bool
	}{
		{3600 * time.Second, 3600 * time.Second, false},
		{3600 * time.Second, 1241 * time.Second, false},
		{3600 * time.Second, 1240 * time.Second, true},
		{3600 * time.Second, 60 * time.Second, true},
		{900 * time.Second, 341 * time.Second, false},
		{900 * time.Second, 340 * time.Second, true},
		{43200 * time.Second, 14441 * time.Second, false},
		{43200 * time.Second, 14440 * time.Second, true},
		{80 * time.Second, 67 * time.Second, false},
		{80 * time.Second, 66 * time.Second, true},
		{3600 * time.Second, -time.Second, true},
	} {
		if got := refreshDue(test.lifetime, test.left); got != test.want {
			t.Errorf("a session of %s with %s left: refreshDue = %v, want %v", test.lifetime, test.left, got, test.want)
		}
	}
}

func TestLastsFor_CapsTheWantedLifeAtHalfOfTheLifetime(t *testing.T) {
	t.Parallel()
	const want = 15 * time.Minute
	for _, test := range []struct {
		lifetime, left time.Duration
		lasts          bool
	}{
		{3600 * time.Second, 900 * time.Second, true},
		{3600 * time.Second, 899 * time.Second, false},
		{1800 * time.Second, 899 * time.Second, false},
		{900 * time.Second, 450 * time.Second, true},
		{900 * time.Second, 449 * time.Second, false},
	} {
		if got := lastsFor(want, test.lifetime, test.left); got != test.lasts {
			t.Errorf("a session of %s with %s left: lastsFor(%s) = %v, want %v", test.lifetime, test.left, want, got,
				test.lasts)
		}
	}
}

func TestPauseAfter_DoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 4: 40 * time.Second,
		5: time.Minute, 6: time.Minute, 1 << 30: time.Minute,
	} {
		if got := pauseAfter(failures); got != want {
			t.Errorf("pauseAfter(%d) = %s, want %s", failures, got, want)
		}
	}
}

// A session of an hour, requested at noon. The host's clock is set while it lives, or the session comes from storage.
func TestSession_RemainingIsBoundedByBothClocks(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const up = 1000 * time.Hour // the host's uptime at noon
	for _, row := range []struct {
		name                string
		passed, set         time.Duration // since the request; the clock is set by this much then
		lifetime, remaining time.Duration
	}{
		{"at once", 0, 0, time.Hour, time.Hour},
		{"half way", 30 * time.Minute, 0, time.Hour, 30 * time.Minute},
		{"set back by hours", 30 * time.Minute, -6 * time.Hour, time.Hour, 30 * time.Minute},
		{"set back by minutes", 30 * time.Minute, -5 * time.Minute, time.Hour, 30 * time.Minute},
		{"set back after its end", 90 * time.Minute, -6 * time.Hour, time.Hour, -30 * time.Minute},
		{"set forward by minutes", 30 * time.Minute, 5 * time.Minute, time.Hour, 25 * time.Minute},
		{"set forward by hours", 30 * time.Minute, 6 * time.Hour, time.Hour, -330 * time.Minute},
		{"shortened by the service", 10 * time.Minute, -time.Hour, 15 * time.Minute, 5 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := Session{Issued: noon, Expiration: noon.Add(row.lifetime)}.anchored(Instant{Wall: noon, Uptime: up})
			now := Instant{Wall: noon.Add(row.passed + row.set), Uptime: up + row.passed}
			if got := s.Remaining(now); got != row.remaining {
				t.Errorf("Remaining = %s, want %s", got, row.remaining)
			}
			if got := s.Live(now); got != (row.remaining >= MinRemaining) {
				t.Errorf("Live = %v with %s left", got, row.remaining)
			}
		})
	}
}

func TestSession_LivesDownToSixtySeconds(t *testing.T) {
	t.Parallel()
	end := bubbleStart.Add(time.Hour)
	s := Session{Issued: bubbleStart, Expiration: end}
	for left, want := range map[time.Duration]bool{
		time.Hour: true, 60 * time.Second: true, 60*time.Second - 1: false, 59 * time.Second: false,
		0: false, -time.Hour: false,
	} {
		if got := s.Live(Instant{Wall: end.Add(-left), Uptime: time.Hour - left}); got != want {
			t.Errorf("with %s left: live = %v, want %v", left, got, want)
		}
	}
	if none := (Session{}); none.Live(Instant{Wall: bubbleStart}) {
		t.Error("no session counts as live")
	}
}

// time.Now's readings hold the monotonic clock's, which nobody sets.
func TestNewClock_CountsTheUptimeOfItsReadings(t *testing.T) {
	t.Parallel()
	readings := []time.Time{bubbleStart, bubbleStart, bubbleStart.Add(time.Minute)}
	clock := NewClock(func() time.Time {
		next := readings[0]
		readings = readings[1:]
		return next
	})
	if at := clock(); at.Uptime != 0 || !at.Wall.Equal(bubbleStart) {
		t.Errorf("the first reading is %+v", at)
	}
	if at := clock(); at.Uptime != time.Minute || !at.Wall.Equal(bubbleStart.Add(time.Minute)) {
		t.Errorf("a minute later the reading is %+v", at)
	}
}

func TestMemo_KeepsWhatWasMadeFromOneSession(t *testing.T) {
	t.Parallel()
	var memo Memo[int]
	made := 0
	fresh := func() int { made++; return made }
	one, other := session(1, bubbleStart, time.Hour, 0, "role"), session(1, bubbleStart, time.Hour, 0, "role")
	for _, row := range []struct {
		s    *Session
		want int
	}{{&one, 1}, {&one, 1}, {&other, 2}, {&other, 2}, {&one, 3}} {
		copied := *row.s
		if got := memo.Of(&copied, fresh); got != row.want {
			t.Errorf("Of = %d, want what was made at try %d", got, row.want)
		}
	}
}
