package health_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

// server stands for Vault, as far as events go.
type server struct {
	send func(ctx context.Context, nth int) error

	mu   sync.Mutex
	sent []health.EventType
}

func (s *server) Send(ctx context.Context, event health.Event) error {
	s.mu.Lock()
	s.sent = append(s.sent, event.Type)
	nth := len(s.sent)
	s.mu.Unlock()
	if s.send == nil {
		return nil
	}
	return s.send(ctx, nth)
}

func (s *server) got() []health.EventType {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// eventsTest ends with all goroutines gone: synctest sees to that.
func eventsTest(t *testing.T, s *server, test func(t *testing.T, events *health.Events, cancel func())) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		test(t, health.NewEvents(ctx, s), cancel)
	})
}

func TestEvents_AreSentInOrder(t *testing.T) {
	s := &server{}
	eventsTest(t, s, func(t *testing.T, events *health.Events, _ func()) {
		want := []health.EventType{health.SessionObtained, health.SessionFailed, health.CertificateSwapped,
			health.CertificateEnding, health.KeyRotated}
		for _, event := range want {
			events.Send(health.Event{Type: event})
		}
		synctest.Wait()
		if got := s.got(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if n := events.Dropped(); n != 0 {
			t.Errorf("%d events are said to be lost", n)
		}
	})
}

func TestEvents_HangingServerDelaysNobody(t *testing.T) {
	s := &server{send: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
	eventsTest(t, s, func(t *testing.T, events *health.Events, _ func()) {
		start := time.Now()
		events.Send(health.Event{Type: health.SessionFailed})
		synctest.Wait() // it is being sent
		const more = 10_000
		for range more {
			events.Send(health.Event{Type: health.SessionFailed})
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("sending took %s of the caller's time", took)
		}
		if n := events.Dropped(); n != more-health.MaxEvents {
			t.Errorf("%d events are said to be lost, want %d", n, more-health.MaxEvents)
		}
		time.Sleep((health.MaxEvents + 1) * 5 * time.Second)
		synctest.Wait()
		if n := len(s.got()); n != health.MaxEvents+1 {
			t.Errorf("%d events were tried in that time, want %d", n, health.MaxEvents+1)
		}
		if n := events.Dropped(); n != more+1 {
			t.Errorf("%d events are said to be lost, want all %d", n, more+1)
		}
	})
}

func TestEvents_FailureIsCountedAndTheNextIsSent(t *testing.T) {
	s := &server{send: func(_ context.Context, nth int) error {
		switch nth {
		case 1:
			return errors.New("no")
		case 2:
			panic("a defect")
		}
		return nil
	}}
	eventsTest(t, s, func(t *testing.T, events *health.Events, _ func()) {
		for range 3 {
			events.Send(health.Event{Type: health.KeyRotated})
			synctest.Wait()
		}
		if sent, dropped := len(s.got()), events.Dropped(); sent != 3 || dropped != 2 {
			t.Errorf("%d events tried and %d lost, want 3 and 2", sent, dropped)
		}
	})
}

func TestEvents_AreSilentWhereTheServerHasNone(t *testing.T) {
	s := &server{send: func(context.Context, int) error { return health.ErrEventsUnsupported }}
	eventsTest(t, s, func(t *testing.T, events *health.Events, _ func()) {
		for range 5 {
			events.Send(health.Event{Type: health.SessionObtained})
			synctest.Wait()
		}
		if sent, dropped := len(s.got()), events.Dropped(); sent != 1 || dropped != 0 {
			t.Errorf("%d events tried and %d lost, want 1 and 0", sent, dropped)
		}
	})
}

func TestEvents_EndWithTheMount(t *testing.T) {
	s := &server{send: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
	eventsTest(t, s, func(t *testing.T, events *health.Events, cancel func()) {
		start := time.Now()
		for range 3 {
			events.Send(health.Event{Type: health.SessionObtained})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		events.Send(health.Event{Type: health.SessionObtained})
		synctest.Wait()
		if n := len(s.got()); n != 1 || time.Since(start) != 0 {
			t.Errorf("%d events tried within %s, want the first alone at once", n, time.Since(start))
		}
	})
}
