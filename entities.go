package s3conn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/singleflight"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	// entityAge is how long what is known of an entity is used: asking Vault is a round trip.
	entityAge = time.Minute

	// maxEntities bounds how many entities are known at a time.
	maxEntities = 20_000
)

// errEntityPending is returned when Vault does not answer in time. It is temporary.
var errEntityPending = errors.New("asking Vault for the token's entity takes too long; try again")

// entities remembers what Vault knows of the entities that read. It is safe for concurrent use.
type entities struct {
	ask func(id string) (*logical.Entity, error)
	now func() time.Time

	asking singleflight.Group

	mu    sync.Mutex
	byID  map[string]knownEntity
	swept time.Time // when those that are too old to be used were last forgotten
}

type knownEntity struct {
	entity *scope.Entity
	asked  time.Time
}

func newEntities(now func() time.Time, ask func(id string) (*logical.Entity, error)) *entities {
	return &entities{ask: ask, now: now, byID: map[string]knownEntity{}}
}

// of returns the entity, not to be changed, or nil for the empty id of a token without one. What it returns is at most
// a minute old. It waits for Vault, whose answer has no deadline of its own, no longer than the reader has patience.
func (e *entities) of(ctx context.Context, id string, patience *session.Patience) (*scope.Entity, error) {
	if id == "" {
		return nil, nil
	}
	if known := e.known(id); known != nil {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience.Left())
	defer cancel()
	answered := e.asking.DoChan(id, func() (any, error) { return e.askVault(id) })
	select {
	case answer := <-answered:
		if answer.Err != nil {
			return nil, answer.Err
		}
		return answer.Val.(*scope.Entity), nil
	case <-ctx.Done():
		return nil, errEntityPending
	}
}

func (e *entities) known(id string) *scope.Entity {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	known, found := e.byID[id]
	if age := now.Sub(known.asked); !found || age < 0 || age >= entityAge {
		return nil
	}
	return known.entity
}

// askVault runs detached from whoever asked first.
func (e *entities) askVault(id string) (entity *scope.Entity, err error) {
	defer func() {
		if recover() != nil { // in a goroutine of its own, where a panic would end the process
			entity, err = nil, errors.New("asking Vault for the token's entity ended in a defect of this plugin")
		}
	}()
	asked := e.now()
	info, err := e.ask(id)
	if err != nil {
		return nil, fmt.Errorf("asking Vault for the token's entity: %w", err)
	}
	if info == nil || info.Disabled {
		problems := &problem.List{}
		problems.Add("token", "its entity is not known to Vault any more, or is disabled; log in again")
		return nil, problems.Err("looking for the token's entity", "no session was requested")
	}
	entity = entityFacts(info)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.makeRoom(asked)
	e.byID[id] = knownEntity{entity, asked}
	return entity, nil
}

// makeRoom forgets, once a minute, entities that are too old to be used, and half of the others where there are too
// many. The caller holds the lock.
func (e *entities) makeRoom(now time.Time) {
	full := len(e.byID) >= maxEntities
	if age := now.Sub(e.swept); !full && age >= 0 && age < entityAge {
		return
	}
	e.swept = now
	for id, known := range e.byID {
		if now.Sub(known.asked) >= entityAge {
			delete(e.byID, id)
		}
	}
	if len(e.byID) < maxEntities {
		return
	}
	for id := range e.byID {
		if len(e.byID) <= maxEntities/2 {
			return
		}
		delete(e.byID, id)
	}
}

// entityFacts is what templates can use of an entity.
func entityFacts(info *logical.Entity) *scope.Entity {
	entity := &scope.Entity{ID: info.ID, Name: info.Name, Metadata: info.Metadata, Aliases: map[string]scope.Alias{}}
	for _, alias := range info.Aliases {
		if _, found := entity.Aliases[alias.MountAccessor]; !found { // the first counts, as in Vault's own templates
			entity.Aliases[alias.MountAccessor] = scope.Alias{Name: alias.Name, Metadata: alias.Metadata}
		}
	}
	return entity
}
