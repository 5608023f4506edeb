package budget

import (
	"math"
	"slices"
	"time"
)

const (
	// wireWindow is the time in which no more requests are written than the rate allows in a second, and 2 % more, so
	// that the clocks of both sides need not agree on a second's length.
	wireWindow = time.Second + 20*time.Millisecond

	// maxOnTheWay is how long after it was written a request that is not answered yet may still arrive.
	maxOnTheWay = 500 * time.Millisecond

	// maxWriting is how long the writing of one request keeps the next one waiting.
	maxWriting = time.Second

	// maxInLine is how many requests may wait to be written before no further turn begins.
	maxInLine = 4
)

// wire is the place at which the requests of a queue leave this process, one after the other. A turn says when a call
// begins; what lies between that and its request's arrival (the connection's setup, a host that keeps this process
// waiting, the network) differs from call to call and would let requests pile up at the service. So a request is
// written only when the one that is most requests before it has been at the service for a second. That is known from
// its answer; without one it is assumed half a second after the request was written.
//
// It knows no clock, no timer and no lock: they are the group's.
type wire struct {
	most    int        // requests in a second
	line    []*request // those that wait to be written, in order
	writing *request   // nil: none is
	sent    []*request // the last most requests that were let through, the first in front
}

// request is a call's request on its way to the service. The group's lock guards it.
type request struct {
	ready   chan struct{} // closed when it may be written
	begun   time.Time     // when it could be written
	written time.Time     // zero until it was
	arrived time.Time     // the latest time at which it can have arrived; zero while that is not known
}

// newWire returns the wire of a queue with this rate. A rate below one a second lets one through in a second.
func newWire(rate Rate) wire {
	return wire{most: max(1, int(math.Floor(rate.PerSecond+rate.TestsPerSecond)))}
}

// latestArrival is the latest time at which the request arrives, as far as that is known.
func (r *request) latestArrival() time.Time {
	switch {
	case !r.arrived.IsZero():
		return r.arrived
	case !r.written.IsZero():
		return r.written.Add(maxOnTheWay)
	}
	return r.begun.Add(maxWriting + maxOnTheWay)
}

// crowded says whether so many requests wait to be written that no further call should begin.
func (w *wire) crowded() bool { return len(w.line) >= maxInLine }

// opensIn is the time until the next request may be written, which is at least gap after the last one.
func (w *wire) opensIn(gap time.Duration, now time.Time) time.Duration {
	if len(w.sent) == 0 {
		return 0
	}
	wait := remaining(w.sent[len(w.sent)-1].written, gap, now)
	if w.writing != nil {
		wait = max(wait, remaining(w.writing.begun, maxWriting, now))
	}
	if len(w.sent) == w.most {
		wait = max(wait, remaining(w.sent[0].latestArrival(), wireWindow, now))
	}
	return wait
}

// restsIn is the time until a new wire would let nothing through earlier than this one.
func (w *wire) restsIn(now time.Time) time.Duration {
	var rest time.Duration
	for _, one := range w.sent {
		rest = max(rest, remaining(one.latestArrival(), wireWindow, now))
	}
	return rest
}

// serve lets the next request in line be written, if it may be now.
func (w *wire) serve(gap time.Duration, now time.Time) {
	if len(w.line) == 0 || w.opensIn(gap, now) > 0 {
		return
	}
	if w.writing != nil {
		w.wrote(w.writing, now) // it hangs, and the others do not wait for it any longer
	}
	next := w.line[0]
	w.line = slices.Delete(w.line, 0, 1)
	next.begun, w.writing = now, next
	if len(w.sent) == w.most {
		w.sent = slices.Delete(w.sent, 0, 1)
	}
	w.sent = append(w.sent, next)
	close(next.ready)
}

// leave takes a request out of the line, if it is still there.
func (w *wire) leave(r *request) {
	w.line = slices.DeleteFunc(w.line, func(one *request) bool { return one == r })
}

// wrote notes that the request has been written. The first note counts.
func (w *wire) wrote(r *request, now time.Time) {
	if w.writing == r {
		w.writing, r.written = nil, now
	}
}

// over notes that the request's call has ended: with an answer, or in a way after which it does not arrive any more.
func (w *wire) over(r *request, now time.Time) {
	w.leave(r)
	w.wrote(r, now)
	if latest := r.latestArrival(); now.Before(latest) {
		r.arrived = now
	} else {
		r.arrived = latest
	}
}

// follow keeps a clock that is set back from stopping the wire: what it would put into the future happens now.
func (w *wire) follow(now time.Time) {
	for _, one := range w.sent {
		for _, t := range []*time.Time{&one.begun, &one.written, &one.arrived} {
			if t.After(now) {
				*t = now
			}
		}
	}
}
