package schedule

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduler_KindThatHangsDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rotations atomic.Int32
		s := New(Config{Now: time.Now, Run: func(ctx context.Context, key Key) time.Time {
			if key.Kind == "rotate" {
				rotations.Add(1)
				return time.Time{}
			}
			<-ctx.Done() // an issuer that does not respond
			return time.Time{}
		}})
		for i := range 2 * DefaultLimit {
			s.Set(named(fmt.Sprint(i)), time.Now())
		}
		s.Start(t.Context())
		defer s.Stop()
		synctest.Wait()
		s.Set(Key{"rotate", "0"}, time.Now().Add(10*time.Second))
		time.Sleep(10*time.Second + time.Millisecond)
		if rotations.Load() != 1 || s.Len() != 2*DefaultLimit {
			t.Errorf("%d rotations while %d renewals hang", rotations.Load(), s.Len())
		}
	})
}

func TestScheduler_Due(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		s := New(Config{Now: time.Now, Run: func(context.Context, Key) time.Time { <-end; return time.Time{} }})
		due := time.Now().Add(time.Hour)
		s.Set(named("a"), due)
		if got, waiting := s.Due(named("a")); !waiting || !got.Equal(due) {
			t.Errorf("it waits: %t, due at %s", waiting, got)
		}
		s.Remove(named("unknown")) // does nothing
		if _, waiting := s.Due(named("unknown")); waiting || s.Len() != 1 {
			t.Errorf("%d jobs; a job that was never set waits: %t", s.Len(), waiting)
		}
		s.Start(t.Context())
		defer s.Stop()
		time.Sleep(2 * time.Hour)
		if _, waiting := s.Due(named("a")); waiting || s.Len() != 1 {
			t.Errorf("%d jobs; one that runs waits: %t", s.Len(), waiting)
		}
		close(end)
	})
}
