package awstest

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Fault is something to go wrong with a request.
type Fault struct {
	// Operation limits it to one, such as "CreateAccessKey"; empty befalls every one.
	Operation string
	// Times is how many requests it befalls; 0 means every one until Clear.
	Times int

	// Delay passes before anything else.
	Delay time.Duration
	// Hang never responds; the wait ends with the request or with Close. Drop closes the connection. Neither does the
	// operation.
	Hang, Drop bool
	// Lose does the operation and closes the connection instead of responding.
	Lose bool

	// Status, Code and Message are an error in AWS's form, in the operation's place.
	Status        int
	Code, Message string
	// Body, with Status (200 where that is 0), is a response that is sent as it is, in the operation's place.
	Body string
}

// Throttling returns STS's and IAM's own way to say that there were too many calls.
func Throttling(operation string, times int) Fault {
	return Fault{
		Operation: operation,
		Times:     times,
		Status:    http.StatusBadRequest,
		Code:      "Throttling",
		Message:   "Rate exceeded",
	}
}

type faults struct {
	mu    sync.Mutex
	queue []*Fault
}

// Inject adds a fault to those that wait; of those that fit a request the oldest befalls it.
func (s *Server) Inject(f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = append(s.faults.queue, &f)
}

// Clear removes all faults. Requests that already met one keep it.
func (s *Server) Clear() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = nil
}

func (q *faults) take(operation string) Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, fault := range q.queue {
		if fault.Operation != "" && fault.Operation != operation {
			continue
		}
		taken := *fault
		switch {
		case fault.Times == 1:
			q.queue = append(q.queue[:i:i], q.queue[i+1:]...)
		case fault.Times > 1:
			fault.Times--
		}
		return taken
	}
	return Fault{}
}

// befall returns what is sent in the operation's place, or nil where the operation is done. It panics with
// http.ErrAbortHandler where the connection is to be dropped.
func (s *Server) befall(ctx context.Context, fault Fault, entry *Recorded) *reply {
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		case <-s.closed:
		}
	}
	switch {
	case fault.Hang:
		select {
		case <-ctx.Done():
		case <-s.closed:
		}
		panic(http.ErrAbortHandler)
	case fault.Drop:
		panic(http.ErrAbortHandler)
	case fault.Code != "":
		refusal := &Refusal{max(fault.Status, http.StatusBadRequest), fault.Code, fault.Message}
		entry.Code = refusal.Code
		return refusal.reply(entry.Service, entry.RequestID)
	case fault.Status != 0:
		return &reply{fault.Status, fault.Body}
	case fault.Body != "":
		return &reply{http.StatusOK, fault.Body}
	}
	return nil
}
