package source

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// The operations that errors name.
const (
	createAccessKey   = "CreateAccessKey"
	listAccessKeys    = "ListAccessKeys"
	updateAccessKey   = "UpdateAccessKey"
	deleteAccessKey   = "DeleteAccessKey"
	getCallerIdentity = "GetCallerIdentity"
	listBuckets       = "ListBuckets"
)

// AccessKeys makes and deletes access keys of the IAM user that a connection's key is of. It is a [rotation.IAM]: each
// call waits for its turn and then has awscall.Timeout; nothing is retried. Its errors are *upstream.Error. Its fields
// do not change; it is safe for concurrent use.
type AccessKeys struct {
	Conn  *connection.Connection
	Now   func() time.Time
	Turns *budget.Group
	Mount *budget.Mount
	// Observe is called after each call.
	Observe Observer
}

// ErrCannotRotate is wrapped by the refusal of keys that no IAM can replace.
var ErrCannotRotate = errors.New("the access key cannot be rotated")

func cannotRotate(text string) error {
	return upstream.New("", upstream.Permanent, text, ErrCannotRotate)
}

// Check implements rotation.IAM.
func (a *AccessKeys) Check(ctx context.Context, as rotation.Key) error {
	if !a.Conn.CanRotate() {
		return cannotRotate(
			"rotating the access key: s3_endpoint is not AWS's, and iam_endpoint does not say where its " +
				"IAM is; AWS and Ceph's object gateway have an IAM that manages access keys, MinIO and Garage have " +
				"none",
		)
	}
	if !a.hasSTS() {
		return nil
	}
	var caller string
	err := a.call(ctx, budget.STS, getCallerIdentity, func(ctx context.Context, c *awscall.Client) error {
		identity, err := c.GetCallerIdentity(ctx, stsOf(a.Conn), keyCredentials(as))
		if err == nil {
			caller = identity.ARN
		}
		return err
	})
	if err == nil && strings.HasSuffix(caller, ":root") {
		return cannotRotate(
			"rotating the access key: it is of the account's root user, and rotation is for IAM users; " +
				"make a user with the permissions that the connection needs",
		)
	}
	return err
}

// List implements rotation.IAM.
func (a *AccessKeys) List(ctx context.Context, as rotation.Key) (listing rotation.Listing, err error) {
	err = a.call(ctx, budget.IAM, listAccessKeys, func(ctx context.Context, c *awscall.Client) error {
		start := a.Now()
		c.Date = func(date time.Time) { listing.Ahead, listing.Within = aheadBy(date, start, a.Now()) }
		listed, err := c.ListAccessKeys(ctx, a.iam(), keyCredentials(as))
		for _, one := range listed {
			active := one.Status == awscall.StatusActive
			listing.Keys = append(listing.Keys, rotation.Listed{ID: one.ID, Active: active, Created: one.Created})
		}
		return err
	})
	return listing, err
}

// aheadBy returns by how much a service's clock is ahead of this host's, and how far that may be off. The service's
// clock has shown the date, rounded down to a second, at some time between start and end.
func aheadBy(date, start, end time.Time) (ahead, within time.Duration) {
	within = (end.Sub(start) + time.Second) / 2
	return date.Sub(end) + within, within
}

// Create implements rotation.IAM.
func (a *AccessKeys) Create(ctx context.Context, as rotation.Key) (key rotation.Key, err error) {
	err = a.call(ctx, budget.IAM, createAccessKey, func(ctx context.Context, c *awscall.Client) error {
		made, err := c.CreateAccessKey(ctx, a.iam(), keyCredentials(as))
		if err == nil {
			key = rotation.Key{ID: made.ID, Secret: made.Secret}
		}
		return err
	})
	return key, err
}

// Deactivate implements rotation.IAM.
func (a *AccessKeys) Deactivate(ctx context.Context, as rotation.Key, id string) error {
	return ignoreGone(a.call(ctx, budget.IAM, updateAccessKey, func(ctx context.Context, c *awscall.Client) error {
		return c.UpdateAccessKey(ctx, a.iam(), keyCredentials(as), id, awscall.StatusInactive)
	}))
}

// Delete implements rotation.IAM.
func (a *AccessKeys) Delete(ctx context.Context, as rotation.Key, id string) error {
	return ignoreGone(a.call(ctx, budget.IAM, deleteAccessKey, func(ctx context.Context, c *awscall.Client) error {
		return c.DeleteAccessKey(ctx, a.iam(), keyCredentials(as), id)
	}))
}

// Accepted implements rotation.IAM: it asks STS, and S3 where there is no STS. Who may not list buckets is known all
// the same.
func (a *AccessKeys) Accepted(ctx context.Context, key rotation.Key) (bool, error) {
	api, operation := budget.STS, getCallerIdentity
	if !a.hasSTS() {
		operation = listBuckets
	}
	err := a.call(ctx, api, operation, func(ctx context.Context, c *awscall.Client) error {
		if operation == listBuckets {
			store := awscall.S3{Endpoint: a.Conn.S3Endpoint, Region: a.Conn.SigningRegion()}
			_, err := c.ListBuckets(ctx, store, keyCredentials(key))
			return err
		}
		_, err := c.GetCallerIdentity(ctx, stsOf(a.Conn), keyCredentials(key))
		return err
	})
	var refusal *awscall.Refusal
	switch {
	case err == nil, awscall.IsAccessDenied(err):
		return true, nil
	case errors.As(err, &refusal) && slices.Contains(unknownKey(), refusal.Code):
		return false, nil
	}
	return false, err
}

// unknownKey returns the codes with which S3, STS and stores refuse a key that they do not know.
func unknownKey() []string {
	return []string{"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "AuthFailure"}
}

// hasSTS says whether an STS is known: AWS's, or the one of sts_endpoint. A store's own may know AssumeRole alone.
func (a *AccessKeys) hasSTS() bool { return a.Conn.STSEndpoint != "" || !a.Conn.OwnStore() }

func (a *AccessKeys) iam() awscall.IAM {
	place := awscall.IAM{Endpoint: a.Conn.IAMEndpoint, Region: a.Conn.AWSRegion()}
	if a.Conn.OwnStore() {
		place.Region = a.Conn.SigningRegion()
	}
	return place
}

// queue names the queue of calls: AWS counts them by account, which an access key does not name.
func (a *AccessKeys) queue(api budget.API) budget.Key {
	key := stsQueue(a.Conn)
	key.API = api
	return key
}

// call waits for a turn, has send make the call, and reports how it ended.
func (a *AccessKeys) call(
	ctx context.Context,
	api budget.API,
	operation string,
	send func(context.Context, *awscall.Client) error,
) error {
	httpClient, err := network.NewClient(a.Conn.Network())
	if err != nil {
		return err
	}
	defer httpClient.CloseIdleConnections()
	turn, err := a.Turns.Wait(ctx, a.queue(api), budget.Caller{Mount: a.Mount, Lane: budget.Refresh})
	if err != nil {
		return upstream.Describe(operation, err)
	}
	ctx, cancel := context.WithTimeout(ctx, awscall.Timeout)
	defer cancel()
	start := a.Now()
	err = send(onWire(ctx, always(turn)), &awscall.Client{HTTP: httpClient, Now: a.Now})
	turn.Done(stsOutcome(err))
	a.Observe.observe(Call{Operation: operation, Waited: turn.Waited(), Took: a.Now().Sub(start), Err: err})
	if err != nil {
		return upstream.Describe(operation, err)
	}
	return nil
}

// ignoreGone takes a key that IAM does not know, or whose user it does not know, for deleted.
func ignoreGone(err error) error {
	var refusal *awscall.Refusal
	if errors.As(err, &refusal) && refusal.Code == "NoSuchEntity" {
		return nil
	}
	return err
}

func keyCredentials(key rotation.Key) awscall.Credentials {
	return awscall.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}
}
