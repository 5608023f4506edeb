package rolesanywheretest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecorder_Counts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{MaxRecorded: 2})
	named := func(u *unsigned) { u.body = with("roleSessionName", "orders", "durationSeconds", 1800) }
	w.call(t, named)
	w.clock.advance(time.Minute)
	w.call(t, func(u *unsigned) { named(u); u.serial += "1" })
	w.clock.advance(time.Minute)
	w.call(t, func(u *unsigned) { u.body = "" })
	if w.Calls() != 3 || w.Sessions() != 1 {
		t.Errorf("%d sessions of %d calls, want 1 of 3", w.Sessions(), w.Calls())
	}
	for name, want := range map[string]int{testProfile: 2, testRole: 2, testAnchor: 2, "orders": 2, "other": 0, "": 0} {
		if got := w.CallsFor(name); got != want {
			t.Errorf("CallsFor(%q) is %d, want %d", name, got, want)
		}
	}
	requests := w.Requests()
	if len(requests) != 2 {
		t.Fatalf("%d requests kept, want the last 2", len(requests))
	}
	if got := requests[0]; !got.Time.Equal(testTime().Add(time.Minute)) || got.Duration != 30*time.Minute ||
		got.Status != 403 ||
		got.Code != "AccessDeniedException" || got.Message != messageSignature || got.Subject != "" ||
		got.RequestID == "" {
		t.Errorf("recorded %+v", got)
	}
	w.Reset()
	if w.Calls() != 0 || w.Sessions() != 0 || w.CallsFor(testRole) != 0 || len(w.Requests()) != 0 {
		t.Error("Reset left something")
	}
}

// TestRecorder_NamesBounded: a client that invents names must not fill the memory.
func TestRecorder_NamesBounded(t *testing.T) {
	t.Parallel()
	c := newRecorder(1)
	for i := range 2 * maxNames {
		c.finished(Recorded{RoleSessionName: string(rune('a' + i%26)), RoleARN: time.Duration(i).String()})
	}
	if len(c.named) != maxNames || len(c.requests) != 1 {
		t.Errorf("%d names and %d requests kept, want %d and 1", len(c.named), len(c.requests), maxNames)
	}
}

// TestRecorder_RecordedBeforeAnswer: a test that has its answer must find the request on record.
func TestRecorder_RecordedBeforeAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  Fault
		serial string
		status int
	}{
		"session": {status: http.StatusCreated},
		"refusal": {serial: "1", status: http.StatusForbidden},
		"fault":   {fault: Fault{Status: http.StatusBadGateway}, status: http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.Inject(c.fault)
			u := newUnsigned(w.issued)
			u.serial += c.serial
			answer := &witness{ResponseRecorder: httptest.NewRecorder(), service: w.Service}
			w.ServeHTTP(answer, u.sign(t))
			if len(answer.recorded) != 1 || answer.recorded[0].Status != c.status || answer.Code != c.status {
				t.Fatalf("on record when status %d is sent: %+v", answer.Code, answer.recorded)
			}
			if got, want := answer.recorded[0].RequestID, answer.Header().Get("X-Amzn-RequestId"); got != want ||
				want == "" {
				t.Errorf("request id %q on record, %q sent", got, want)
			}
			if got := len(w.Requests()); got != 1 {
				t.Errorf("%d requests on record, want 1", got)
			}
		})
	}
}

// witness keeps what was on record when the answer began.
type witness struct {
	*httptest.ResponseRecorder
	service  *Service
	recorded []Recorded
}

func (w *witness) WriteHeader(status int) {
	w.recorded = w.service.Requests()
	w.ResponseRecorder.WriteHeader(status)
}

func TestWaitCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		done := make(chan error, 1)
		go func() { done <- w.WaitCalls(t.Context(), 2) }()
		for calls := 1; calls <= 2; calls++ {
			select {
			case err := <-done:
				t.Fatalf("WaitCalls returned %v before call %d", err, calls)
			default:
			}
			w.call(t, nil)
			synctest.Wait()
		}
		if err := <-done; err != nil {
			t.Errorf("WaitCalls: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.WaitCalls(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitCalls for a call that never comes: %v, want DeadlineExceeded", err)
		}
	})
}

func TestService_ConcurrentUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{RatePerSecond: 1000})
	const workers, each = 8, 5
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				w.Inject(Fault{Times: 1, Status: http.StatusServiceUnavailable})
				if got := w.call(t, nil).Code; got != http.StatusServiceUnavailable && got != http.StatusCreated {
					t.Errorf("status %d", got)
				}
				_, _, _, _ = w.Calls(), w.Sessions(), w.CallsFor(testRole), w.Requests()
			}
		})
	}
	group.Wait()
	if w.Calls() != workers*each || w.CallsFor(testRole) != workers*each {
		t.Errorf("%d calls, want %d", w.Calls(), workers*each)
	}
}
