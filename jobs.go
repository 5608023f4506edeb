package s3conn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/renewal"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

// What is done at its time and not at a request is a job: see package schedule. Jobs run on the active node alone.

// The kinds of jobs.
const (
	renewalJob  = "renewal"
	rotationJob = "rotation"
	leftJob     = "rotation-left"
)

const (
	// maxJobLoads is how many entries are read at a time when the jobs are looked for.
	maxJobLoads = 4
	// afterPanic is when a job that panicked runs again.
	afterPanic = time.Hour
)

func renewalOf(name string) schedule.Key  { return schedule.Key{Kind: renewalJob, Name: name} }
func rotationOf(name string) schedule.Key { return schedule.Key{Kind: rotationJob, Name: name} }

func (b *backend) newJobs() *schedule.Scheduler {
	return schedule.New(schedule.Config{Run: b.runJob, Now: b.now})
}

// runJob runs what is due of one kind. A panic must not end the plugin with all its mounts.
func (b *backend) runJob(ctx context.Context, key schedule.Key) (next time.Time) {
	defer func() {
		if recover() != nil {
			b.Logger().Error("a job panicked", "kind", key.Kind, "connection", key.Name, "stack", string(debug.Stack()))
			next = b.now().Add(afterPanic)
		}
	}()
	switch key.Kind {
	case renewalJob:
		return b.renewer.Run(ctx, key.Name)
	case rotationJob:
		return b.rotator.Run(ctx, key.Name)
	case leftJob:
		return b.runLeft(ctx, key.Name)
	}
	return time.Time{}
}

// initialize is called when the mount is ready, on every node.
func (b *backend) initialize(context.Context, *logical.InitializationRequest) error {
	if b.System() == nil || b.onStandby() {
		return nil // a plugin that is only looked at, as at its registration, or a standby
	}
	b.jobs.Start(b.background)
	b.search.begin(b.findJobs)
	return nil
}

// periodic is called once a minute, on every node, with a lock of Vault's held: it only starts work.
func (b *backend) periodic(context.Context, *logical.Request) error {
	if b.System() == nil || b.onStandby() {
		return nil
	}
	b.jobs.Start(b.background) // if the server has not called initialize, after it restarted a plugin that was killed
	b.jobs.Poke()
	b.search.begin(b.findJobs)
	return nil
}

// jobSearch is the search for jobs in storage, once in the life of a backend unless it fails. Its zero value has not
// begun.
type jobSearch struct {
	mutex         sync.Mutex
	running, done bool
}

// begin runs find in the background, unless it runs already or has succeeded.
func (s *jobSearch) begin(find func() error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.running || s.done {
		return
	}
	s.running = true
	go func() {
		err := find()
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.running, s.done = false, err == nil
	}()
}

// findJobs reads from storage what is due and when. From then on every write says so.
func (b *backend) findJobs() (err error) {
	defer func() {
		if recover() != nil {
			err = errPanicked
			b.Logger().Error("looking for jobs panicked", "stack", string(debug.Stack()))
		}
		if err != nil {
			b.Logger().Warn("looking for certificates to renew and keys to rotate; the next try is in a minute",
				"error", err)
		}
	}()
	loads := errgroup.Group{}
	loads.SetLimit(maxJobLoads)
	for _, kind := range []struct {
		prefix string
		find   func(name string) error
	}{{identityPrefix, b.findRenewal}, {rotationPrefix, b.findRotation}, {leftPrefix, b.findLeft}} {
		names, err := b.storage.List(b.background, kind.prefix)
		if err != nil {
			return errors.Join(fmt.Errorf("listing %s: %w", kind.prefix, err), loads.Wait())
		}
		for _, name := range names {
			loads.Go(func() error { return b.findJob(kind.find, name) })
		}
	}
	return loads.Wait()
}

var errPanicked = errors.New("a defect of this plugin; the log has the place")

// findJob is find without its panics, which would end the process from a goroutine of its own.
func (b *backend) findJob(find func(name string) error, name string) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanicked
			b.Logger().Error("looking for a job panicked", "connection", name, "stack", string(debug.Stack()))
		}
	}()
	return find(name)
}

func (b *backend) findRenewal(name string) error {
	state, err := identities{b, nil}.Load(b.background, name)
	var unreadable *identity.UnreadableError
	switch {
	case errors.Is(err, renewal.ErrGone):
		return b.dropIdentity(b.background, b.storage, name)
	case errors.As(err, &unreadable):
		b.Logger().Error("reading an identity; its certificate is not renewed", "connection", name, "error", err)
		return nil
	case err != nil:
		return err
	}
	if record := state.Record; record.Failures > 0 {
		b.monitor.records.Of(name).Failed(health.Renewal, record.LastTry, record.LastError, record.NextTry)
	}
	if _, waiting := b.jobs.Due(renewalOf(name)); !waiting { // a write meanwhile knows better
		b.jobs.Set(renewalOf(name), state.Due())
	}
	return nil
}

func (b *backend) newRenewer() *renewal.Renewer {
	return renewal.New(renewal.Config{
		Connections: identities{b, nil},
		MakeKey:     b.makeKey,
		NewIssuer:   func(s enroll.Settings) (enroll.Issuer, error) { return b.newIssuer(s) },
		Now:         b.now,
		Random:      rand.Float64,
		Describe:    describeRenewal,
		Permanent:   permanentProof,
		Observer:    renewalLog{b},
	})
}
