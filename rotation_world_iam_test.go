package s3conn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// worldIAM is the IAM of the world.
type worldIAM struct{ *rotationWorld }

func (i worldIAM) call(name string, as rotation.Key, effect func() error) error {
	return i.operation(name, func() error {
		if k := i.find(as.ID); k < 0 || !i.keys[k].Active || as.Secret.Reveal() != secretOf(as.ID) {
			return upstream.New(name, upstream.Permanent, "InvalidClientTokenId", &refusedCall{})
		}
		return effect()
	})
}

type refusedCall struct{}

func (*refusedCall) Error() string   { return "refused" }
func (*refusedCall) HTTPStatus() int { return 403 }

func (i worldIAM) Check(_ context.Context, as rotation.Key) error {
	return i.call("Check", as, func() error { return nil })
}

func (i worldIAM) List(_ context.Context, as rotation.Key) (listing rotation.Listing, err error) {
	err = i.call("List", as, func() error { listing.Keys = slices.Clone(i.keys); return nil })
	return listing, err
}

func (i worldIAM) Create(_ context.Context, as rotation.Key) (key rotation.Key, err error) {
	err = i.call("Create", as, func() error {
		if len(i.keys) > 1 {
			return upstream.New("Create", upstream.Permanent, "LimitExceeded", &refusedCall{})
		}
		i.made++
		key = rotation.Key{ID: fmt.Sprintf("AKIA%d", i.made)}
		key.Secret = secret.New(secretOf(key.ID))
		i.keys = append(i.keys, rotation.Listed{ID: key.ID, Active: true, Created: i.clock.Now()})
		return nil
	})
	if err != nil {
		return rotation.Key{}, err
	}
	return key, nil
}

func (i worldIAM) Deactivate(_ context.Context, as rotation.Key, id string) error {
	return i.call("Deactivate "+id, as, func() error {
		i.checkEnding(id)
		if k := i.find(id); k >= 0 {
			i.keys[k].Active = false
		}
		return nil
	})
}

func (i worldIAM) Delete(_ context.Context, as rotation.Key, id string) error {
	return i.call("Delete "+id, as, func() error {
		i.checkEnding(id)
		if k := i.find(id); k >= 0 {
			i.keys = slices.Delete(i.keys, k, k+1)
		}
		return nil
	})
}

func (i worldIAM) Accepted(_ context.Context, key rotation.Key) (accepted bool, err error) {
	i.clock.Advance(time.Second)
	err = i.operation("Accepted", func() error { accepted = i.find(key.ID) >= 0; return nil })
	return accepted && err == nil, err
}

// checkEnding holds the promise to the apps that have got the key: it works while it is the connection's, for ever
// where an operator took it from the connection, and for the grace where a rotation did, unless an operator has ended
// that by taking the next one.
func (i worldIAM) checkEnding(id string) {
	replaced, was := i.handed[id]
	switch {
	case id == i.stored():
		i.t.Errorf("the connection's key %s is ended after %v", id, i.calls)
	case i.taken[id]:
		i.t.Errorf("the key %s, which an operator took from the connection, is ended after %v", id, i.calls)
	case was && i.clock.Now().Sub(replaced) < 2*time.Hour && !i.endedByOperator():
		i.t.Errorf("the key %s is ended within its grace after %v", id, i.calls)
	}
}

func (i worldIAM) endedByOperator() bool {
	for _, taken := range i.taken {
		if taken {
			return true
		}
	}
	return false
}
