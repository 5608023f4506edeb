package s3conn

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
)

func (b *backend) writeScope(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response,
	error) {
	name, scopeName := namesOf(data)
	if err := refuseScopeNames(name, scopeName); err != nil {
		return nil, err
	}
	for range maxWriteAttempts {
		conn, err := loadConnection(ctx, req.Storage, name)
		if err != nil {
			return nil, err
		}
		if conn == nil {
			return nil, &missingError{name}
		}
		before, err := loadScope(ctx, req.Storage, name, scopeName)
		if err != nil {
			return nil, err
		}
		if err := refuseOperation(req.Operation, before != nil, name, scopeName); err != nil {
			return nil, err
		}
		s, warnings, err := prepareScope(ctx, req, scopeFacts(name, scopeName, conn), before)
		if err != nil {
			return nil, err
		}
		stored, err := b.replaceScope(ctx, req.Storage, scopeWrite{name, scopeName, conn, before, &s})
		if err != nil {
			return nil, err
		}
		if stored && len(warnings) == 0 {
			return nil, nil
		}
		if stored {
			return &logical.Response{Warnings: warnings}, nil
		}
	}
	return nil, &scopeConflictError{name, scopeName,
		"others changed it or its connection again and again meanwhile; what is stored is theirs; read it and " +
			"write again"}
}

// refuseOperation keeps a write to what Vault has authorised it for: create and update are different capabilities, and
// the scope may have come or gone since Vault looked.
func refuseOperation(operation logical.Operation, exists bool, name, scopeName string) error {
	switch {
	case operation == logical.CreateOperation && exists:
		return &scopeConflictError{name, scopeName,
			"it was created by another request meanwhile, and this one may only create; it is unchanged; write again " +
				"to change it"}
	case operation == logical.UpdateOperation && !exists:
		return &scopeConflictError{name, scopeName,
			"it was deleted meanwhile, and this request may only update; nothing was stored; write again to create it"}
	case operation == logical.PatchOperation && !exists:
		return &missingScopeError{name, scopeName}
	}
	return nil
}

// prepareScope merges and validates what is to be stored.
func prepareScope(ctx context.Context, req *logical.Request, facts scope.Facts, before *scope.Scope) (
	scope.Scope, []string, error,
) {
	base, outcome := scope.New(), "nothing was stored"
	if before != nil {
		base, outcome = *before, "the stored scope is unchanged"
	}
	problems := requestProblems(ctx)
	field.RefuseUnknown(problems, req.Data, append(field.Names(scope.Table().Rows()), "name", "scope"))
	s := scope.Table().Merge(base, req.Data, problems)
	warnings := scope.Validate(&s, facts, problems)
	subject := "writing scope " + problem.Quote(facts.Connection+"/"+facts.Scope)
	if err := problems.Err(subject, outcome); err != nil {
		return scope.Scope{}, nil, err
	}
	s.Revision = connection.NewRevision()
	return s, warnings, nil
}

// scopeWrite is a scope that is to be stored in the place of another, for a connection that it was validated with.
type scopeWrite struct {
	name, scope   string
	conn          *connection.Connection
	before, after *scope.Scope
}

// replaceScope stores the scope if its connection and what is stored of it are still what it was made from.
func (b *backend) replaceScope(ctx context.Context, storage logical.Storage, w scopeWrite) (stored bool, err error) {
	unlock, err := b.locks.lock(ctx, w.name)
	if err != nil {
		return false, err
	}
	defer unlock()
	conn, err := loadConnection(ctx, storage, w.name)
	if err != nil || conn == nil || conn.Revision != w.conn.Revision {
		return false, err
	}
	now, err := loadScope(ctx, storage, w.name, w.scope)
	if err != nil {
		return false, err
	}
	if (now == nil) != (w.before == nil) || now != nil && now.Revision != w.before.Revision {
		return false, nil
	}
	defer b.forgetScope(ctx, storage, w.name, w.scope)
	return true, saveScope(ctx, storage, w.name, w.scope, w.after)
}
