package rotation

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

var errPanicked = errors.New("rotating the access key ended in a defect of this plugin; the key in use is unchanged")

const (
	// answerWithin is how long whoever asks for a rotation waits for its end.
	answerWithin = 14 * time.Second
	// driveTimeout bounds a rotation that somebody has asked for, with all its calls.
	driveTimeout = acceptWithin + time.Minute
	// runTimeout bounds one run of the scheduler's: others shall have their turns while IAM takes its time.
	runTimeout = 30 * time.Second
	// noteTimeout bounds the write of what became of a try, which takes place after a cancelled one too.
	noteTimeout = 5 * time.Second
	// busyPause is when a rotation is looked at again that is under way already.
	busyPause = 30 * time.Second
)

// IAM is what a rotation asks of IAM, signed with a key of the user's. Each call is bounded by itself.
type IAM interface {
	// Check returns an error for keys that cannot be rotated, such as those of the account's root user.
	Check(ctx context.Context, as Key) error
	List(ctx context.Context, as Key) (Listing, error)
	// Create makes a key. Only an error with an HTTPStatus of 4xx says that none was made.
	Create(ctx context.Context, as Key) (Key, error)
	// Deactivate and Delete return nil for a key that is not there.
	Deactivate(ctx context.Context, as Key, id string) error
	Delete(ctx context.Context, as Key, id string) error
	// Accepted says whether the service accepts the key. An error means that this is not known.
	Accepted(ctx context.Context, key Key) (bool, error)
}

// Connections is where connections are stored. All methods are called with a bounded context, and concurrently for
// different names.
type Connections interface {
	// Load returns what is stored, or [ErrGone]; the IAM is that of the connection's settings.
	Load(ctx context.Context, name string) (Stored, IAM, error)
	// Save replaces the state, if the connection is there and its key and state are still those that Load has returned;
	// otherwise it returns [ErrChanged].
	Save(ctx context.Context, name string, before Stored, after State) error
	// Swap stores the new key in the connection, and has it handed out, if the connection's key is still the old one;
	// otherwise it returns [ErrChanged].
	Swap(ctx context.Context, name, old string, key Key) error
	// SharedWith returns the name of another connection that has the key with this ID, or "".
	SharedWith(ctx context.Context, name, id string) (other string, err error)
}

// Observer is called after the fact. It must not block.
type Observer interface {
	Rotated(name, old, key string)
	// RotationFailed says when the next try is; zero: never.
	RotationFailed(name string, err error, next time.Time)
}

// Config is what a Rotator is made of. Every field is needed but AcceptEvery.
type Config struct {
	Connections Connections
	Observer    Observer
	Now         func() time.Time
	Random      func() float64    // in [0, 1)
	Describe    func(error) error // in words that may be stored and shown
	AcceptEvery time.Duration     // the pause between two checks of a new key; 0: a second
}

// Rotator rotates the keys of connections, one step at a time of each. It is safe for concurrent use.
type Rotator struct {
	Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mutex   sync.Mutex
	flights map[string]*flight
	driving sync.WaitGroup
}

// flight is a rotation that somebody has asked for, or a run of the scheduler's.
type flight struct {
	asked bool
	done  chan struct{}
	state State
	err   error
}

// New returns a Rotator. It starts nothing.
func New(config Config) *Rotator {
	if config.AcceptEvery == 0 {
		config.AcceptEvery = acceptEvery
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Rotator{Config: config, ctx: ctx, cancel: cancel, flights: map[string]*flight{}}
}

// Close ends what goes on in the background and waits for it. What is stored is gone on from elsewhere.
func (r *Rotator) Close() {
	r.cancel()
	r.driving.Wait()
}

// Run does what is due for the connection, and returns when something is due again: it is what a [schedule.Scheduler]
// runs. What fails is noted in the state and tried again after a pause.
func (r *Rotator) Run(ctx context.Context, name string) (next time.Time) {
	mine := r.enter(name, false)
	if mine == nil {
		return r.Now().Add(busyPause)
	}
	defer r.leave(name, mine)
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	_, err := r.advance(ctx, name, false)
	if errors.Is(err, ErrGone) {
		return time.Time{}
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	stored, _, loadErr := r.Connections.Load(ctx, name)
	switch {
	case errors.Is(loadErr, ErrGone):
		return time.Time{}
	case loadErr != nil || errors.Is(err, errUnstored):
		return r.Now().Add(schedule.Pause(1, 0, r.Random()))
	}
	return stored.Due()
}

// Rotate replaces the connection's key now. It returns the state after it, or [ErrPending] where that takes longer than
// 14 seconds: it goes on then, and asking again joins it. A refusal changes nothing.
func (r *Rotator) Rotate(ctx context.Context, name string) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for r.ctx.Err() == nil {
		one, begun := r.join(name)
		if begun {
			r.driving.Add(1)
			go r.drive(name, one)
		}
		select {
		case <-one.done:
			if one.asked {
				return one.state, one.err
			}
			// A run of the scheduler's was under way, which had other things to do.
		case <-ctx.Done():
			return State{}, ErrPending
		case <-r.ctx.Done():
		}
	}
	return State{}, ErrClosing
}

// drive goes on until the new key is the connection's or given up.
func (r *Rotator) drive(name string, mine *flight) {
	defer r.driving.Done()
	defer r.leave(name, mine)
	ctx, cancel := context.WithTimeout(r.ctx, driveTimeout)
	defer cancel()
	defer func() {
		if recover() != nil { // in a goroutine of its own, where a panic would end the process
			mine.state, mine.err = State{}, errPanicked
			r.Observer.RotationFailed(name, errPanicked, time.Time{})
		}
	}()
	mine.state, mine.err = r.advance(ctx, name, true)
	if errors.Is(mine.err, errLater) {
		mine.err = ErrPending
	}
}

// enter returns nil where something is under way for the connection.
func (r *Rotator) enter(name string, asked bool) *flight {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.flights[name] != nil || r.ctx.Err() != nil {
		return nil
	}
	mine := &flight{asked: asked, done: make(chan struct{}), err: ErrClosing}
	r.flights[name] = mine
	return mine
}

// join returns what is under way, or begins.
func (r *Rotator) join(name string) (one *flight, begun bool) {
	if mine := r.enter(name, true); mine != nil {
		return mine, true
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if one := r.flights[name]; one != nil {
		return one, false
	}
	ended := &flight{done: make(chan struct{})} // it has just ended: try again
	close(ended.done)
	return ended, false
}

func (r *Rotator) leave(name string, mine *flight) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.flights, name)
	close(mine.done)
}
