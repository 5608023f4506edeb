package rolesanywheretest

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxNames bounds what CallsFor can know: names come from clients.
const maxNames = 4096

// Recorded is one request and what became of it.
type Recorded struct {
	// Time is when it arrived, on the service's clock.
	Time time.Time
	// The parameters as far as they could be read; nothing vouches for those of a refused request.
	ProfileARN, RoleARN, TrustAnchorARN, RoleSessionName string
	// Duration is what was asked for; 0 if nothing was.
	Duration time.Duration
	// InstanceProperties are those sent; nil if none were.
	InstanceProperties map[string]string
	// Subject and SerialNumber (decimal) are the verified certificate's; empty where it was refused.
	Subject, SerialNumber string

	// Status, Code, Message and RequestID are what was sent.
	Status                   int
	Code, Message, RequestID string
	// Reason says which rule refused the request, in more detail than the service gives a client.
	Reason string
}

// describe reads the parameters without judging them.
func (e *Recorded) describe(r *http.Request, body []byte) {
	p, refusal := parseParameters(r.URL.RawQuery, body)
	if refusal != nil {
		return
	}
	e.ProfileARN, e.RoleARN, e.TrustAnchorARN = p.profileARN, p.roleARN, p.trustAnchorARN
	e.RoleSessionName, e.Duration, e.InstanceProperties = p.roleSessionName, p.duration(), p.instanceProperties
}

func (e *Recorded) names(name string) bool {
	return name != "" && slices.Contains([]string{e.ProfileARN, e.RoleARN, e.TrustAnchorARN, e.RoleSessionName}, name)
}

// recorder counts requests and keeps the latest.
type recorder struct {
	limit int

	mu       sync.Mutex
	calls    int
	sessions int
	requests []Recorded
	named    map[string]int
	arrival  chan struct{} // closed and replaced at every arrival
}

func newRecorder(limit int) recorder {
	return recorder{limit: limit, named: map[string]int{}, arrival: make(chan struct{})}
}

func (c *recorder) arrived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	close(c.arrival)
	c.arrival = make(chan struct{})
}

func (c *recorder) finished(e Recorded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Status == http.StatusCreated && e.Reason == "" {
		c.sessions++
	}
	c.requests = append(c.requests, e)
	if excess := len(c.requests) - c.limit; excess > 0 {
		c.requests = slices.Delete(c.requests, 0, excess)
	}
	for _, name := range []string{e.ProfileARN, e.RoleARN, e.TrustAnchorARN, e.RoleSessionName} {
		if _, known := c.named[name]; name != "" && (known || len(c.named) < maxNames) {
			c.named[name]++
		}
	}
}

// Calls returns how many requests arrived since Reset, answered or not.
func (s *Service) Calls() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.calls
}

// Sessions returns how many sessions were granted since Reset.
func (s *Service) Sessions() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.sessions
}

// CallsFor returns how many settled requests since Reset named this profile, role, trust anchor or
// role session name. It counts the first 4096 different names.
func (s *Service) CallsFor(name string) int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.named[name]
}

// Requests returns the latest requests whose outcome is settled, oldest first. A request is on record
// before its client has a response.
func (s *Service) Requests() []Recorded {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.requests)
}

// Reset forgets all requests and counts. Faults stay.
func (s *Service) Reset() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.calls, s.log.sessions, s.log.requests = 0, 0, nil
	clear(s.log.named)
}

// WaitCalls returns once at least n requests have arrived since Reset, or with ctx's error: a test that
// needs a request to be under way waits for it here and not for a time.
func (s *Service) WaitCalls(ctx context.Context, n int) error {
	for {
		s.log.mu.Lock()
		calls, arrival := s.log.calls, s.log.arrival
		s.log.mu.Unlock()
		if calls >= n {
			return nil
		}
		select {
		case <-arrival:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
