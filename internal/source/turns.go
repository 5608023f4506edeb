package source

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// turns gives every try of one call a turn of its own, and reports how each ended. It is the call's aws.Retryer: where
// no turn comes in time there is no retry, and the call ends with what the service said.
type turns struct {
	*retry.Standard
	group   *budget.Group
	mount   *budget.Mount
	key     budget.Key
	now     func() time.Time
	observe Observer

	mu    sync.Mutex
	turn  *budget.Turn // of the try that is under way; nil: none is
	began time.Time    // when that was given
}

func newTurns(r *RolesAnywhere, key budget.Key) *turns {
	return &turns{
		Standard: retry.NewStandard(),
		group:    r.Turns,
		mount:    r.Mount,
		key:      key,
		now:      r.Now,
		observe:  r.Observe,
	}
}

// wait waits for the turn of the next try.
func (t *turns) wait(ctx context.Context, lane budget.Lane) error {
	turn, err := t.group.Wait(ctx, t.key, budget.Caller{Mount: t.mount, Lane: lane})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn, t.began = turn, t.now()
	return nil
}

// current returns the turn of the try that is under way, or nil.
func (t *turns) current() *budget.Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.turn
}

// done reports how the try that is under way ended; nil is success. A try is reported once, also where no other came.
func (t *turns) done(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turn == nil {
		return
	}
	defer func() { t.turn = nil }()
	ended := outcome(err)
	t.turn.Done(ended)
	if ended != budget.NotCalled {
		t.observe.observe(Call{Operation: CreateSession, Waited: t.turn.Waited(), Took: t.now().Sub(t.began), Err: err})
	}
}

func outcome(err error) budget.Outcome {
	var refusal *rolesanywhere.APIError
	switch {
	case err == nil, errors.Is(err, rolesanywhere.ErrInvalidResponse):
		return budget.Answered
	case errors.As(err, &refusal):
		if refusal.StatusCode == http.StatusTooManyRequests || refusal.Code == "ThrottlingException" {
			return budget.Throttled
		}
		return budget.Answered
	case errors.Is(err, rolesanywhere.ErrCertificateExpired), errors.Is(err, rolesanywhere.ErrCertificateNotYetValid),
		errors.Is(err, rolesanywhere.ErrInvalidInput):
		return budget.NotCalled
	}
	return budget.NoAnswer
}

// GetRetryToken implements aws.Retryer.
func (t *turns) GetRetryToken(ctx context.Context, failed error) (func(error) error, error) {
	release, err := t.Standard.GetRetryToken(ctx, failed)
	if err != nil {
		return nil, err
	}
	t.done(failed)
	if err := t.wait(ctx, budget.Retry); err != nil {
		_ = release(failed) // it only feeds the retryer's own budget, which ends with this call
		return nil, err
	}
	return release, nil
}
