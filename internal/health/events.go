package health

import (
	"context"
	"errors"
	"sync"
	"time"
)

// EventType is the name of an event, as its subscribers know it.
type EventType string

// The events of the engine.
const (
	SessionObtained    EventType = "s3conn/session-obtained"
	SessionFailed      EventType = "s3conn/session-failed"
	CertificateSwapped EventType = "s3conn/certificate-swapped"
	CertificateEnding  EventType = "s3conn/certificate-ending"
	KeyRotated         EventType = "s3conn/key-rotated"
)

// Event is something that happened to a connection.
type Event struct {
	Type     EventType
	Metadata map[string]string // "connection" and more of what status shows; no secrets
}

// ErrEventsUnsupported is what a [Sender] returns where the server has no events.
var ErrEventsUnsupported = errors.New("the server has no events")

// Sender hands an event to the server, and ends when ctx does. Its error is [ErrEventsUnsupported] where no later event
// can be sent either.
type Sender interface {
	Send(ctx context.Context, event Event) error
}

const (
	// maxEvents is how many events wait to be sent. More are dropped: whoever watches loses news, and no request waits.
	maxEvents = 64
	// eventTimeout bounds the sending of one event.
	eventTimeout = 5 * time.Second
)

// Events sends the events of a mount one after the other, in the background. Nothing that happens to an event fails or
// delays its cause. A goroutine runs only while there is something to send. It is safe for concurrent use.
type Events struct {
	ctx    context.Context
	sender Sender

	mu          sync.Mutex
	waiting     []Event
	sending     bool // a goroutine sends
	unsupported bool
	dropped     uint64
}

// NewEvents returns the events of a mount, which are sent until ctx ends.
func NewEvents(ctx context.Context, sender Sender) *Events { return &Events{ctx: ctx, sender: sender} }

// Send has the event sent and waits for nothing.
func (e *Events) Send(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.unsupported || e.ctx.Err() != nil:
		return
	case len(e.waiting) >= maxEvents:
		e.dropped++
		return
	}
	e.waiting = append(e.waiting, event)
	if !e.sending {
		e.sending = true
		go e.run()
	}
}

// Dropped returns how many events have been lost: because too many waited, or because sending them failed.
func (e *Events) Dropped() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropped
}

// run sends what waits and ends when nothing does.
func (e *Events) run() {
	for {
		event, ok := e.next()
		if !ok {
			return
		}
		e.sent(e.send(event))
	}
}

func (e *Events) next() (Event, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) == 0 || e.unsupported || e.ctx.Err() != nil {
		e.waiting, e.sending = nil, false
		return Event{}, false
	}
	event := e.waiting[0]
	e.waiting = e.waiting[1:]
	return event, true
}

var errSenderPanicked = errors.New("sending an event ended in a defect of the sender")

func (e *Events) send(event Event) (err error) {
	ctx, cancel := context.WithTimeout(e.ctx, eventTimeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = errSenderPanicked
		}
	}()
	return e.sender.Send(ctx, event)
}

func (e *Events) sent(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case errors.Is(err, ErrEventsUnsupported):
		e.unsupported = true
	case err != nil:
		e.dropped++
	}
}
