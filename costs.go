package s3conn

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/gate"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// costs bounds the work whose cost others choose: whoever requests or has encrypted a private key, and whoever responds
// as S3. Without it a few requests at once would take the memory and the processors of all mounts. The mounts of one
// factory share it.
type costs struct {
	keys           *gate.Gate // private keys being made: one of RSA with 4,096 bits takes a processor a second or more
	derivations    *gate.Gate // of keys from passphrases: up to a second and 32 MiB each, and as much garbage after it
	largeResponses *gate.Gate // of S3, up to 8 MiB
}

// maxKeys is how many private keys are made at a time.
const maxKeys = 2

func newCosts() *costs {
	return &costs{keys: gate.New(maxKeys), derivations: gate.New(1), largeResponses: gate.New(2)}
}

// What is kept back of a request's time for the work itself and for what follows it.
const (
	makingTime     = 4 * time.Second // of a private key
	derivationTime = 2 * time.Second
)

var (
	errMakingKey = errors.New("making a private key: others are being made, a few at a time; no key was made; " +
		"try again")
	errDeriving = errors.New("opening the encrypted private key: others are being opened, one at a time; nothing was " +
		"changed; try again")
)

// enter is g.Enter for a request that keeps so much of its time back.
func enter(ctx context.Context, g *gate.Gate, keptBack time.Duration) (leave func(), err error) {
	if end, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-keptBack))
		defer cancel()
	}
	return g.Enter(ctx)
}

// makeKey is identity.NewKey, a few at a time. It returns errMakingKey when the request's time has passed before its
// turn.
func (b *backend) makeKey(ctx context.Context, keyType string) (crypto.Signer, error) {
	leave, err := enter(ctx, b.costs.keys, makingTime)
	if err != nil {
		return nil, errMakingKey
	}
	defer leave()
	return identity.NewKey(keyType)
}

// validate is conn.Validate, one at a time where a private key is decrypted. It returns errDeriving when the request's
// time has passed before its turn.
func (b *backend) validate(ctx context.Context, conn *connection.Connection, problems *problem.List) (
	warnings []string, err error,
) {
	if !conn.DecryptsKey() {
		return conn.Validate(b.now(), problems), nil
	}
	leave, err := enter(ctx, b.costs.derivations, derivationTime)
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
