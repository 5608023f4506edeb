package s3conn

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// turnsLeasesOn says whether reads come with a lease from this write on.
func turnsLeasesOn(before, after *connection.Connection) bool {
	leased := func(c *connection.Connection) bool { return c != nil && c.UsesRolesAnywhere() && c.GenerateLease }
	return leased(after) && !leased(before)
}

// refuseConnectionOperation keeps a write to what Vault has authorised it for: create and update are different
// capabilities, and the connection may have come or gone since Vault looked.
func refuseConnectionOperation(operation logical.Operation, exists bool, name string) error {
	switch {
	case operation == logical.CreateOperation && exists:
		return &conflictError{name, "it was created by another request meanwhile, and this one may only create; it " +
			"is unchanged; write again to change it"}
	case operation == logical.UpdateOperation && !exists:
		return &conflictError{name, "it was deleted meanwhile, and this request may only update; nothing was stored; " +
			"write again to create it"}
	case operation == logical.PatchOperation && !exists:
		return &missingError{name}
	}
	return nil
}

// prepareConnection returns the connection that is to be stored: merged, validated and, where asked to, tested. It
// holds no lock, because a test waits for the network.
func (b *backend) prepareConnection(ctx context.Context, req *logical.Request, name string,
	before *connection.Connection, verifyUntil time.Time) (connection.Connection, []string, error) {
	base, outcome := connection.New(), "nothing was stored"
	if before != nil {
		base, outcome = *before, "the stored connection is unchanged"
	}
	subject := "writing connection " + problem.Quote(name)
	p := requestProblems(ctx)
	if len(name) > maxNameLength {
		p.Add("name", "is %d bytes long; at most %d are accepted", len(name), maxNameLength)
	}
	field.RefuseUnknown(p, req.Data, append(field.Names(connection.Table().Rows()), "name"))
	conn := connection.Merge(base, req.Data, p)
	warnings, err := b.validate(ctx, &conn, p)
	if err != nil {
		return connection.Connection{}, nil, fmt.Errorf("%s: %w", subject, err)
	}
	if err := p.Err(subject, outcome); err != nil {
		return connection.Connection{}, nil, err
	}
	conn.Revision = connection.NewRevision()
	conn.NoteKey(before, b.now())
	if verify, _ := req.Data[connection.VerifyField].(bool); verify {
		ctx, cancel := context.WithDeadline(ctx, verifyUntil)
		defer cancel()
		if _, err := b.probe(ctx, &conn); err != nil {
			return connection.Connection{}, nil, fmt.Errorf("%s: testing it first: %w; %s", subject, err, outcome)
		}
	}
	return conn, warnings, nil
}

// replaced is a write that was stored, if the stored connection was still that from which it was made.
type replaced struct {
	stored   bool
	left     *leftRotation // of the key that was the connection's before
	warnings []string
}

// replaceConnection stores the connection if the stored one is still that from which it was made.
func (b *backend) replaceConnection(ctx context.Context, storage logical.Storage, name string, before,
	conn *connection.Connection) (done replaced, err error) {
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return replaced{}, err
	}
	defer unlock()
	now, err := loadConnection(ctx, storage, name)
	if err != nil {
		return replaced{}, err
	}
	if (now == nil) != (before == nil) || now != nil && now.Revision != before.Revision ||
		!carryIdentity(before, now, conn) {
		return replaced{}, nil
	}
	if err := b.settleScopes(ctx, storage, name, before, conn); err != nil {
		return replaced{}, err
	}
	if err := importIdentity(ctx, storage, name, now, conn); err != nil {
		return replaced{}, err
	}
	if done.left, done.warnings, err = b.handOver(ctx, storage, name, now, conn); err != nil {
		return replaced{}, err
	}
	defer b.forget(ctx, storage, name)
	if err := saveConnection(ctx, storage, name, conn); err != nil {
		return replaced{}, err
	}
	if err := b.settleRotation(ctx, storage, name, now, conn); err != nil {
		return replaced{}, fmt.Errorf("%w; the connection is stored", err)
	}
	done.stored = true
	return done, b.settleIdentity(ctx, storage, name, now, conn)
}

// forget ends the sessions of an earlier configuration, also when the client has closed the connection meanwhile: a
// session must not stay in storage without its connection. The caller holds the name's lock.
func (b *backend) forget(ctx context.Context, storage logical.Storage, name string) {
	b.drop(name)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), session.StorageWait)
	defer cancel()
	b.deleteSession(ctx, storage, session.Key{Name: name})
	b.forgetScopes(ctx, storage, name)
}
