package rolesanywheretest

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is something to go wrong. One with a Status, Code, Body, HugeBody, Redirect, Hang or Drop
// responds in the service's place and nothing is verified; with the others the request is judged as
// ever, and a session that is granted is delayed or spoilt.
type Fault struct {
	// Times is how many requests it befalls; 0 means every one until Clear.
	Times int
	// For limits it to requests that name this profile, role, trust anchor or role session name.
	For string

	// HeaderDelay passes before anything is sent, BodyDelay between the headers and the body.
	HeaderDelay, BodyDelay time.Duration

	// Status, Code and Message are an error in AWS's form. Status 0 means 400 with a Code, else 201.
	Status        int
	Code, Message string
	// Header is added to the response, for example Retry-After.
	Header http.Header
	// Body is sent as it is in the place of the JSON.
	Body []byte
	// HugeBody is a number of bytes to send, of a JSON string that never ends.
	HugeBody int64
	// Truncate promises the whole Body, sends half of it and closes the connection.
	Truncate bool
	// Redirect is a Location to send the client to, with 307 unless Status says otherwise.
	Redirect string

	// Hang never responds; the wait ends with the request's context or with Close.
	Hang bool
	// Drop closes the connection without a response.
	Drop bool

	// EmptyCredentialSet, NoExpiration and Expiration change the response to a granted session.
	EmptyCredentialSet bool
	NoExpiration       bool
	Expiration         time.Time
}

// answers reports whether f stands in for the service's own response.
func (f Fault) answers() bool {
	return f.Status != 0 || f.Code != "" || f.Body != nil || f.HugeBody > 0 || f.Redirect != "" || f.Hang || f.Drop
}

func (f Fault) normalize() Fault {
	switch {
	case f.Status != 0 || f.Hang || f.Drop:
	case f.Redirect != "":
		f.Status = http.StatusTemporaryRedirect
	case f.Code != "":
		f.Status = http.StatusBadRequest
	case f.answers():
		f.Status = http.StatusCreated
	}
	f.Header, f.Body = f.Header.Clone(), bytes.Clone(f.Body)
	return f
}

// faults is a queue: of those that fit a request the oldest befalls it.
type faults struct {
	mu    sync.Mutex
	queue []*Fault
}

func (q *faults) take(request Recorded) Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, fault := range q.queue {
		if fault.For != "" && !request.names(fault.For) {
			continue
		}
		taken := *fault
		if fault.Times == 1 {
			q.queue = append(q.queue[:i:i], q.queue[i+1:]...)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return taken
	}
	return Fault{}
}

// Inject adds f to the faults that wait; they befall requests in the order in which they were injected.
func (s *Service) Inject(f Fault) {
	f = f.normalize()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = append(s.faults.queue, &f)
}

// Clear removes all faults. Requests that already met one keep it.
func (s *Service) Clear() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = nil
}

// wait reports whether d passed before the client went away; Close ends it early.
func (s *Service) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closed:
		return true
	case <-ctx.Done():
		return false
	}
}

// pauseBody sends the headers and waits.
func (s *Service) pauseBody(w http.ResponseWriter, r *http.Request, fault Fault) {
	if fault.BodyDelay <= 0 {
		return
	}
	_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends all at the end
	if !s.wait(r.Context(), fault.BodyDelay) {
		panic(http.ErrAbortHandler)
	}
}

func (s *Service) answerFault(w http.ResponseWriter, r *http.Request, fault Fault) {
	switch {
	case fault.Hang:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		drop(w)
		return
	case fault.Drop:
		drop(w)
		return
	}
	body := fault.Body
	if body == nil && fault.HugeBody == 0 {
		body = marshal(map[string]string{"message": fault.Message})
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if fault.Code != "" {
		header.Set("X-Amzn-ErrorType", fault.Code)
	}
	if fault.Redirect != "" {
		header.Set("Location", fault.Redirect)
	}
	for name, values := range fault.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	if fault.Truncate {
		header.Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:len(body)/2]
	}
	w.WriteHeader(fault.Status)
	s.pauseBody(w, r, fault)
	_, _ = w.Write(body) // a client that went away is not the service's failure
	if fault.Truncate {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	writeHuge(w, fault.HugeBody)
}

// writeHuge sends n bytes, or fewer where the client stops reading.
func writeHuge(w http.ResponseWriter, n int64) {
	if n <= 0 {
		return
	}
	opening := []byte(`{"message":"`)
	chunk := bytes.Repeat([]byte("a"), 32<<10)
	next := opening
	for n > 0 {
		next = next[:min(int64(len(next)), n)]
		if _, err := w.Write(next); err != nil {
			return
		}
		n -= int64(len(next))
		next = chunk
	}
}

// drop closes the connection; where it cannot be taken over, as in HTTP/2, aborting does the same.
func drop(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = connection.Close()
}
