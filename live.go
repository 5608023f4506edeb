package s3conn

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
)

// liveConnection is a connection in use: its settings, read once, and its session. A change of the settings drops
// it, with a session that is just being bought, and the next reader starts another.
type liveConnection struct {
	backend *backend
	name    string
	conn    *connection.Connection // never changes
	// certificateEnd is zero for access keys.
	certificateEnd connection.CertificateEnd

	ctx    context.Context // ends when the connection is dropped or the backend closed
	cancel context.CancelFunc

	credsAnswer perSession[map[string]any] // what creds/NAME returns, but for its ttl; not to be changed
	sdkAnswer   perSession[[]byte]         // what sdk/NAME returns for a session

	mu         sync.Mutex
	session    session
	flight     *flight // nil: nothing is being bought
	failures   int     // in a row
	failure    error
	failedAt   time.Time
	failedLive bool // the failure came while a session still lived
}

func (l *liveConnection) dropped() bool { return l.ctx.Err() != nil }

// liveConnections holds the connections that are in use, by name. It is safe for concurrent use.
type liveConnections struct {
	mu     sync.RWMutex
	byName map[string]*liveConnection
	// drops counts, for the names that share a lock, how often one was dropped: settings that were read before a
	// drop must not be kept after it.
	drops [locksutil.LockCount]uint64
}

func newLiveConnections() *liveConnections {
	return &liveConnections{byName: map[string]*liveConnection{}}
}

// look returns the connection that is in use under the name, or nil.
func (c *liveConnections) look(name string) *liveConnection {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byName[name]
}

// dropsOf is to be read before the settings are, and given to keep with them.
func (c *liveConnections) dropsOf(name string) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.drops[locksutil.LockIndexForKey(name)]
}

// keep adds a connection whose settings were read at the given count of drops. It returns what is kept under the
// name then, or nil when the settings may be outdated.
func (c *liveConnections) keep(live *liveConnection, drops uint64) *liveConnection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.byName[live.name]; other != nil {
		return other
	}
	if c.drops[locksutil.LockIndexForKey(live.name)] != drops {
		return nil
	}
	c.byName[live.name] = live
	return live
}

func (c *liveConnections) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops[locksutil.LockIndexForKey(name)]++
	if live := c.byName[name]; live != nil {
		live.cancel()
		delete(c.byName, name)
	}
}

var (
	errDropped         = errors.New("the connection was changed meanwhile")
	errUnsettled error = &unsettledError{"the connection is being changed again and again; try again"}
	errClosing   error = &unsettledError{"the mount is closing; try again"}
)

// maxLoads bounds how often a reader starts again because the settings change under it.
const maxLoads = 5

// liveConnection returns the connection in use under the name, reading its settings if need be.
func (b *backend) liveConnection(ctx context.Context, storage logical.Storage, name string) (*liveConnection, error) {
	for range maxLoads {
		if live := b.live.look(name); live != nil {
			return live, nil
		}
		drops := b.live.dropsOf(name)
		conn, err := loadConnection(ctx, storage, name)
		if err != nil {
			return nil, err
		}
		if conn == nil {
			return nil, &missingError{name}
		}
		fresh := &liveConnection{backend: b, name: name, conn: conn}
		if conn.UsesRolesAnywhere() {
			fresh.certificateEnd = conn.CertificateEnd()
		}
		fresh.ctx, fresh.cancel = context.WithCancel(b.ctx)
		kept := b.live.keep(fresh, drops)
		if kept != fresh {
			fresh.cancel()
		}
		if kept != nil {
			return kept, nil
		}
	}
	return nil, errUnsettled
}

// credentialsFor returns what a reader of the connection gets: with at least the wanted life, where its session's
// lifetime allows that.
func (b *backend) credentialsFor(ctx context.Context, storage logical.Storage, name string, want time.Duration) (*liveConnection, credentials, error) {
	var reader patience
	for range maxLoads {
		live, err := b.liveConnection(ctx, storage, name)
		if err != nil {
			return nil, credentials{}, err
		}
		if !live.conn.UsesRolesAnywhere() {
			return live, credentials{accessKey: live.conn.AccessKey, secretKey: live.conn.SecretKey}, nil
		}
		s, err := live.currentSession(ctx, storage, want, &reader)
		if err == nil {
			return live, s.credentials, nil
		}
		if b.ctx.Err() != nil {
			return nil, credentials{}, errClosing
		}
		if !live.dropped() {
			return nil, credentials{}, err
		}
	}
	return nil, credentials{}, errUnsettled
}
