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
	assumeRole time.Duration
}

// probeScope tests a scope with a session of its own: what lies inside has to be open, and what lies outside shut.
func (b *backend) probeScope(ctx context.Context, conn *connection.Connection, narrowed *scope.Rendered) (*scopeProbe,
	error) {
	ctx, cancel := context.WithTimeout(ctx, maxProbeWait)
	defer cancel()
	caller := ownCredentials(conn)
	if conn.UsesRolesAnywhere() {
		var err error
		if caller, err = b.obtain(ctx, conn, budget.Test); err != nil {
			return nil, err
		}
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
	return probe, store.tryFence(ctx, callCredentials(&s), probe.fence)
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

// refusedOutside returns nil for a call outside the scope that was refused for want of a permission, and only then.
func refusedOutside(operation string, target scope.Target, err error) error {
	var refusal *awscall.Refusal
	switch {
	case awscall.IsAccessDenied(err):
		return nil
	case err == nil, awscall.IsNotFound(err) && errors.As(err, &refusal) && refusal.Code != "NoSuchBucket":
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
