package s3conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

const (
	opListObjects = "ListObjectsV2"
	opHeadObject  = "HeadObject"
)

// scopeProbe is what a test of a scope that passed found out.
type scopeProbe struct {
	session    session.Session
	fence      scope.Fence
	verdict    string // of the fence
	assumeRole time.Duration
}

// probeScope tests a scope with a session of its own: what lies inside has to be open, and what lies outside shut. A
// second session shows whether the role itself would have been let in there.
func (b *backend) probeScope(ctx context.Context, conn *connection.Connection, narrowed *scope.Rendered) (*scopeProbe,
	error) {
	ctx, cancel := context.WithTimeout(ctx, maxProbeWait)
	defer cancel()
	caller, err := b.testCaller(ctx, conn)
	if err != nil {
		return nil, err
	}
	start := b.now()
	s, err := b.assume(ctx, conn, caller, narrowed, budget.Test)
	if err != nil {
		return nil, err
	}
	probe := &scopeProbe{session: s, assumeRole: b.now().Sub(start)}
	store, err := b.newStore(conn)
	if err != nil {
		return nil, err
	}
	defer store.close()
	var others []string
	if len(narrowed.Prefixes) == 0 {
		// What lies outside a whole bucket is another one. A connection that may not list its buckets has none to try.
		list, err := store.client.ListBuckets(ctx, store.address, callCredentials(&caller))
		switch {
		case err == nil:
			others = list.Names
		case errors.Is(err, awscall.ErrBusy):
			return nil, describeListBuckets(err)
		}
	}
	probe.fence = narrowed.Fence(others)
	if err := store.tryFence(ctx, callCredentials(&s), probe.fence); err != nil {
		return nil, err
	}
	counterpart, places := narrowed.Counterpart(probe.fence.Outside)
	if len(places) == 0 {
		probe.verdict = probe.fence.Verdict(false, false)
		return probe, nil
	}
	other, err := b.assume(ctx, conn, caller, counterpart, budget.Test)
	if err != nil {
		return nil, err
	}
	lists, reads, err := store.openPlaces(ctx, callCredentials(&other), places)
	probe.verdict = probe.fence.Verdict(lists, reads)
	return probe, err
}

// testCaller returns the credentials that a test assumes roles with: a session of its own, or the access key.
func (b *backend) testCaller(ctx context.Context, conn *connection.Connection) (session.Session, error) {
	if conn.UsesRolesAnywhere() {
		return b.obtain(ctx, conn, budget.Test)
	}
	return ownCredentials(conn), nil
}

// ownCredentials are the connection's access key.
func ownCredentials(conn *connection.Connection) session.Session {
	return session.Session{AccessKey: conn.AccessKey, SecretKey: conn.SecretKey}
}

// objectStore is a connection's S3 and the way there.
type objectStore struct {
	client  *awscall.Client
	address awscall.S3
	close   func()
}

func (b *backend) newStore(conn *connection.Connection) (*objectStore, error) {
	httpClient, err := network.NewClient(conn.Network())
	if err != nil {
		return nil, err
	}
	return &objectStore{
		client:  &awscall.Client{HTTP: httpClient, Now: b.now, EnterLarge: b.costs.largeResponses.Enter},
		address: storeOf(conn),
		close:   httpClient.CloseIdleConnections,
	}, nil
}

// tryFence tries everything in the plan. It returns the first thing that is not as it has to be.
func (s *objectStore) tryFence(ctx context.Context, creds awscall.Credentials, fence scope.Fence) error {
	for _, target := range fence.Inside {
		if err := s.client.ListObjects(ctx, s.address, creds, target.Bucket, target.Key); err != nil {
			return fmt.Errorf("testing the scope: listing what it opens, %s: %w", targetName(target),
				upstream.Describe(opListObjects, err))
		}
	}
	for _, target := range fence.Outside {
		err := s.client.ListObjects(ctx, s.address, creds, target.Bucket, target.Key)
		if err := refusedOutside(opListObjects, target, err); err != nil {
			return err
		}
		err = s.client.HeadObject(ctx, s.address, creds, target.Bucket, target.Key)
		if err := refusedOutside(opHeadObject, target, err); err != nil {
			return err
		}
	}
	return nil
}

// openPlaces says whether the credentials may list and read at one of the places.
func (s *objectStore) openPlaces(ctx context.Context, creds awscall.Credentials, places []scope.Target) (
	lists, reads bool, err error,
) {
	calls := []struct {
		operation string
		try       func(ctx context.Context, store awscall.S3, creds awscall.Credentials, bucket, key string) error
		allowed   *bool
	}{{opListObjects, s.client.ListObjects, &lists}, {opHeadObject, s.client.HeadObject, &reads}}
	for _, call := range calls {
		for _, place := range places {
			err := call.try(ctx, s.address, creds, place.Bucket, place.Key)
			if *call.allowed = err == nil || isMissingKey(err); *call.allowed {
				break
			}
			if !awscall.IsAccessDenied(err) {
				return false, false, fmt.Errorf("testing the scope: trying what the role itself may do at %s: %w",
					targetName(place), upstream.Describe(call.operation, err))
			}
		}
	}
	return lists, reads, nil
}

// isMissingKey says whether a store has looked for a key that does not exist.
func isMissingKey(err error) bool {
	var refusal *awscall.Refusal
	return awscall.IsNotFound(err) && errors.As(err, &refusal) && refusal.Code != "NoSuchBucket"
}

// refusedOutside returns nil for a call outside the scope that was refused for want of a permission, and only then.
func refusedOutside(operation string, target scope.Target, err error) error {
	switch {
	case awscall.IsAccessDenied(err):
		return nil
	case err == nil, isMissingKey(err):
		return &openFenceError{operation, target}
	}
	return fmt.Errorf("testing the scope: trying what lies outside, %s: %w", targetName(target),
		upstream.Describe(operation, err))
}

// openFenceError is a store that allows more than the session policy.
type openFenceError struct {
	operation string
	target    scope.Target
}

func (e *openFenceError) Error() string {
	return fmt.Sprintf("testing the scope: %s of %s, outside the scope, was not refused: this store ignores session "+
		"policies, so that a scope's credentials are not narrower than the connection's; do not hand them "+
		"out", e.operation,
		targetName(e.target))
}

func targetName(target scope.Target) string { return problem.Quote(target.Bucket + "/" + target.Key) }

func targetNames(targets []scope.Target) []string {
	names := []string{}
	for _, target := range targets {
		names = append(names, target.Bucket+"/"+target.Key)
	}
	return names
}
