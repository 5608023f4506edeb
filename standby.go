package s3conn

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// nodeRole is whether this node is a standby that answers reads. Such a node obtains, writes and refreshes nothing:
// where a read needs that, the plugin returns logical.ErrReadOnly before any side effect, and the server sends the
// request on to the active node. OpenBao's standbys and Vault Enterprise's performance standbys are such nodes; they
// set the role before they make a backend, and make new ones when it changes. It is safe for concurrent use.
type nodeRole struct {
	ask func() consts.ReplicationState // a round trip to the server

	state   atomic.Int64 // the consts.ReplicationState that the server has named; 0 is none
	askedAt atomic.Int64 // uptime; 0: not yet
}

// askAgain is when a server that named no state is asked once more. That is also what a failed round trip looks like.
const askAgain = time.Minute

// isStandby asks the server at first need and remembers what it says.
func (r *nodeRole) isStandby(now session.Instant) bool {
	state := consts.ReplicationState(r.state.Load())
	askedAt := time.Duration(r.askedAt.Load())
	if state == consts.ReplicationUnknown && (askedAt == 0 || now.Uptime-askedAt >= askAgain) {
		state = r.ask()
		r.state.Store(int64(state))
		r.askedAt.Store(int64(max(now.Uptime, 1))) // after the state: until it is known, everybody asks
	}
	return state.HasState(consts.ReplicationPerformanceStandby)
}

func (b *backend) onStandby() bool { return b.role.isStandby(b.clock()) }

// forwarded returns logical.ErrReadOnly for an error that the active node may not have, and the error itself otherwise:
// on a standby there may be no session yet, and a connection or scope may have been written a moment ago.
func (b *backend) forwarded(err error) error {
	var (
		missing       *missingError
		missingScoped *missingScopeError
	)
	switch {
	case errors.Is(err, session.ErrReadOnly):
		return logical.ErrReadOnly
	case errors.Is(err, identity.ErrNoCertificate) && b.onStandby():
		return logical.ErrReadOnly
	case (errors.As(err, &missing) || errors.As(err, &missingScoped)) && b.onStandby():
		return logical.ErrReadOnly
	}
	return err
}
