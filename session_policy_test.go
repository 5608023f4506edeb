package s3conn

import (
	"testing"
	"time"
)

func TestInLastThird_OfTheUsableLife(t *testing.T) {
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
		expiration := testTime.Add(test.lifetime)
		if got := inLastThird(testTime, expiration, expiration.Add(-test.left)); got != test.want {
			t.Errorf("a session of %s with %s left: inLastThird = %v, want %v", test.lifetime, test.left, got, test.want)
		}
	}
}

func TestLastsFor_WishCountsForHalfOfTheLifetime(t *testing.T) {
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
		expiration := testTime.Add(test.lifetime)
		if got := lastsFor(want, testTime, expiration, expiration.Add(-test.left)); got != test.lasts {
			t.Errorf("a session of %s with %s left: lastsFor(%s) = %v, want %v", test.lifetime, test.left, want, got, test.lasts)
		}
	}
}

func TestBackoff_DoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 4: 40 * time.Second, 5: time.Minute, 6: time.Minute, 1 << 30: time.Minute,
	} {
		if got := backoff(failures); got != want {
			t.Errorf("backoff(%d) = %s, want %s", failures, got, want)
		}
	}
}

func TestSession_LivesDownToSixtySeconds(t *testing.T) {
	t.Parallel()
	s := session{credentials: credentials{expiration: testTime.Add(time.Hour)}, issued: testTime}
	for left, want := range map[time.Duration]bool{
		time.Hour: true, 60 * time.Second: true, 60*time.Second - 1: false, 59 * time.Second: false, 0: false, -time.Hour: false,
	} {
		if got := s.live(s.expiration.Add(-left)); got != want {
			t.Errorf("with %s left: live = %v, want %v", left, got, want)
		}
	}
	if none := (session{}); none.live(testTime) {
		t.Error("no session counts as live")
	}
}

func TestLeaseTTL_EndsAMinuteBeforeAndIsNeverZero(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{
		time.Hour:                   3540 * time.Second,
		time.Hour - time.Nanosecond: 3539 * time.Second,
		61 * time.Second:            time.Second,
		60 * time.Second:            time.Second,
	} {
		if got := leaseTTL(testTime.Add(left), testTime); got != want {
			t.Errorf("with %s left: TTL = %s, want %s", left, got, want)
		}
	}
}
