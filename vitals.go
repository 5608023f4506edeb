package s3conn

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// vitals is what the health of a connection follows from, of all that is stored about it. It never changes.
type vitals struct {
	authType    string
	region      string
	accessKey   string                    // ID of the access key
	rotates     bool                      // the access key, by itself
	permanent   bool                      // access keys, which are handed out as they are
	hasIdentity bool                      // an access key, or a certificate with its key
	end         connection.CertificateEnd // zero for access keys
	renewed     bool                      // the certificate is renewed automatically
	failures    storedFailures
	unreadable  bool          // the stored entry cannot be read; all else is zero
	readAt      time.Duration // uptime
}

// storedFailures are those whose count outlives the process and is the same on every node. Those of a session, which
// stand for themselves on each node, are never among them.
type storedFailures map[health.Activity]health.Failure

// failure is the last failure of an activity, as it is stored or, where nothing fails any more, as this node saw it.
func (v *vitals) failure(activity health.Activity, record *health.Record) health.Failure {
	if stored := v.failures[activity]; stored.Failing() {
		return stored
	}
	return record.Failure(activity)
}

// ended says whether AWS does not accept the certificate any more.
func (v *vitals) ended(now time.Time) bool {
	return !v.end.NotAfter.IsZero() && !now.Before(v.end.NotAfter)
}

// readVitals reads the vitals of one connection. It returns nil when there is none of that name.
func (b *backend) readVitals(ctx context.Context, storage logical.Storage, name string) (*vitals, error) {
	readAt := b.clock().Uptime
	conn, state, err := loadWithIdentity(ctx, storage, name)
	var unreadable *connection.UnreadableError
	var unreadableIdentity *identity.UnreadableError
	switch {
	case errors.As(err, &unreadable), errors.As(err, &unreadableIdentity): // one damaged entry must not hide the others
		return &vitals{unreadable: true, readAt: readAt}, nil
	case conn == nil || err != nil:
		return nil, err
	}
	v := &vitals{authType: conn.AuthType, region: conn.AWSRegion(), readAt: readAt}
	if conn.UsesRolesAnywhere() {
		v.hasIdentity, v.end, v.renewed = conn.Certificate != "", conn.CertificateEnd(), conn.Renewed
		v.failures = renewalFailures(state)
		return v, nil
	}
	v.permanent, v.hasIdentity = true, true
	v.accessKey, v.rotates = conn.AccessKey, conn.RotationPeriod > 0
	v.failures, err = b.rotationFailures(ctx, storage, name, conn)
	return v, err
}

func renewalFailures(state identity.State) storedFailures {
	record := state.Record
	if state.Issuer == nil || record.Failures == 0 {
		return nil
	}
	return storedFailures{health.Renewal: {Time: record.LastTry, Error: record.LastError, Count: record.Failures,
		NextTry: record.NextTry}}
}

// rotationFailures reads the state of a connection's rotations where it has any. While that cannot be read, the key is
// not rotated.
func (b *backend) rotationFailures(ctx context.Context, storage logical.Storage, name string,
	conn *connection.Connection) (storedFailures, error) {
	if period, _ := conn.Rotation(); period == 0 {
		return nil, nil
	}
	stored, err := loadRotation(ctx, storage, name, conn)
	switch state := stored.State; {
	case errors.Is(err, rotation.ErrUnreadable):
		return storedFailures{health.Rotation: {Time: b.now(), Error: err.Error(), Count: 1}}, nil
	case err != nil:
		return nil, err
	case state.Failures > 0:
		return storedFailures{health.Rotation: {Time: state.LastTry, Error: state.LastError, Count: state.Failures,
			NextTry: state.NextTry}}, nil
	}
	return nil, nil
}

const (
	// vitalsAge is when vitals are read again, in case the notice of a change was lost.
	vitalsAge = 10 * time.Minute
	// maxRereads is how many are read again at a time, so that a status stays quick.
	maxRereads = 256
)

// vitalsIndex keeps the vitals of all connections, so that a status need not read and parse every one. It is empty
// until somebody asks; the names are listed anew each time. It is safe for concurrent use.
type vitalsIndex struct {
	clock session.Clock
	read  func(ctx context.Context, storage logical.Storage, name string) (*vitals, error)
	gone  func(name string) // called for a name that is in the index and not in storage
	turn  chan struct{}     // one reader of many at a time: the next finds what it has read
	seed  maphash.Seed

	mu       sync.Mutex
	byName   map[string]indexed
	listings uint64 // how many listings have begun
	// drops counts, for the names that share a slot, how often one was dropped: what was read before a drop must not be
	// kept after it.
	drops [256]uint64
}

// indexed are vitals with the number of the last listing that had begun before they were kept.
type indexed struct {
	*vitals
	listing uint64
}

func (b *backend) newVitalsIndex() *vitalsIndex {
	return &vitalsIndex{
		clock:  func() session.Instant { return b.clock() },
		read:   b.readVitals,
		gone:   b.monitor.records.Forget,
		turn:   make(chan struct{}, 1),
		seed:   maphash.MakeSeed(),
		byName: map[string]indexed{},
	}
}

// drop is called when what is stored under the name may have changed.
func (x *vitalsIndex) drop(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byName, name)
	x.drops[x.slot(name)]++
}

func (x *vitalsIndex) slot(name string) uint64 {
	return maphash.String(x.seed, name) % uint64(len(x.drops))
}

// one reads the vitals of one connection from storage; nil when there is none of that name.
func (x *vitalsIndex) one(ctx context.Context, storage logical.Storage, name string) (*vitals, error) {
	x.mu.Lock()
	drops := x.drops[x.slot(name)]
	x.mu.Unlock()
	v, err := x.read(ctx, storage, name)
	if v == nil || err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.drops[x.slot(name)] == drops {
		x.byName[name] = indexed{v, x.listings}
	}
	return v, nil
}

// sharing returns, of the connections that are in the index, one that has the same access key as another that was
// written, and "" where there is none or neither rotates by itself.
func (x *vitalsIndex) sharing(name string, written *connection.Connection) (other string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for other, v := range x.byName {
		if other != name && v.accessKey == written.AccessKey && (v.rotates || written.RotationPeriod > 0) {
			return other
		}
	}
	return ""
}

// namedVitals is one connection of the index.
type namedVitals struct {
	name   string
	vitals *vitals
}

// all returns every connection, by name. It reads those that are not in the index, many at a time, and of those that
// have been in it for long some again.
func (x *vitalsIndex) all(ctx context.Context, storage logical.Storage) ([]namedVitals, error) {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	listing := x.beginListing()
	names, err := storage.List(ctx, configPrefix)
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	found, err := x.readThose(ctx, storage, x.due(names, listing))
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]namedVitals, 0, len(names))
	for _, name := range names {
		if v := x.byName[name].vitals; v != nil {
			all = append(all, namedVitals{name, v})
		} else if v := found[name]; v != nil { // it has changed just now, and the next status shows how
			all = append(all, namedVitals{name, v})
		}
	}
	return all, nil
}

func (x *vitalsIndex) beginListing() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.listings++
	return x.listings
}

// due forgets the names that are not stored any more, and returns which ones are to be read. What was kept since the
// listing began may have been created after it, and is not forgotten.
func (x *vitalsIndex) due(names []string, listing uint64) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	uptime, rereads := x.clock().Uptime, 0
	var due []string
	for _, name := range names {
		switch v := x.byName[name].vitals; {
		case v == nil:
			due = append(due, name)
		case uptime-v.readAt >= vitalsAge && rereads < maxRereads:
			rereads++
			due = append(due, name)
		}
	}
	if len(x.byName)+len(due)-rereads > len(names) {
		for _, name := range slices.Collect(maps.Keys(x.byName)) {
			if _, stored := slices.BinarySearch(names, name); !stored && x.byName[name].listing < listing {
				delete(x.byName, name)
				x.gone(name)
			}
		}
	}
	return due
}

// readThose reads the vitals of the names, many at a time, and keeps them.
func (x *vitalsIndex) readThose(ctx context.Context, storage logical.Storage, names []string) (
	map[string]*vitals, error,
) {
	read := make([]*vitals, len(names))
	reads, reading := errgroup.WithContext(ctx)
	reads.SetLimit(maxListLoads)
	for i, name := range names {
		if reading.Err() != nil {
			break // one has failed, or the caller has hung up
		}
		reads.Go(func() (err error) {
			defer func() {
				if recover() != nil { // what was recovered may quote what was being read
					err = fmt.Errorf("reading connection %q ended in a defect of this plugin", name)
				}
			}()
			read[i], err = x.one(reading, storage, name)
			return err
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := make(map[string]*vitals, len(names))
	for i, name := range names {
		found[name] = read[i]
	}
	return found, nil
}
