package s3conn

import (
	"context"
	"errors"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/gate"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// costs bounds the work whose cost others choose: whoever encrypted a private key, and whoever responds as S3. Without
// it a few requests at once would take the memory and the processors of all mounts. The mounts of one factory share it.
type costs struct {
	derivations    *gate.Gate // of keys from passphrases: up to a second and 32 MiB each, and as much garbage after it
	largeResponses *gate.Gate // of S3, up to 8 MiB
}

func newCosts() *costs { return &costs{derivations: gate.New(1), largeResponses: gate.New(2)} }

// derivationTime is kept back of a request's time for the derivation itself.
const derivationTime = 2 * time.Second

var errDeriving = errors.New("opening the encrypted private key: others are being opened, one at a time; nothing was " +
	"changed; try again")

// validate is conn.Validate, one at a time where a private key is decrypted. It returns errDeriving when the request's
// time has passed before its turn.
func (b *backend) validate(ctx context.Context, conn *connection.Connection, problems *problem.List) (
	warnings []string, err error,
) {
	if !conn.DecryptsKey() {
		return conn.Validate(b.now(), problems), nil
	}
	if end, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-derivationTime))
		defer cancel()
	}
	leave, err := b.costs.derivations.Enter(ctx)
	if err != nil {
		return nil, errDeriving
	}
	defer leave()
	return conn.Validate(b.now(), problems), nil
}

// describeListBuckets is upstream.Describe for ListBuckets, whose response may have to wait for others.
func describeListBuckets(err error) error {
	if errors.Is(err, awscall.ErrBusy) {
		busy := upstream.New(opListBuckets, upstream.Unavailable, awscall.ErrBusy.Error(), err)
		busy.Busy = true
		return busy
	}
	return upstream.Describe(opListBuckets, err)
}
