package source

import "time"

// Call is one try of a call to AWS, after the fact.
type Call struct {
	Operation string
	Waited    time.Duration // for its turn
	Took      time.Duration // from its turn to the service's answer
	Err       error         // nil: success
}

// Observer is called after each try of a call, from the goroutine that made it. It must not block. A nil Observer
// observes nothing.
type Observer func(Call)

func (o Observer) observe(call Call) {
	if o != nil {
		o(call)
	}
}
