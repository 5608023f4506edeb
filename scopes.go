package s3conn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// scopePrefix is where scopes are stored, as scope/NAME/SCOPE. Names hold no slash.
const scopePrefix = "scope/"

func scopeKey(name, scopeName string) string { return scopePrefix + name + "/" + scopeName }

// scopeFacts is what the rules of a scope have to know of its connection.
func scopeFacts(name, scopeName string, conn *connection.Connection) scope.Facts {
	facts := scope.Facts{Connection: name, Scope: scopeName, RolesAnywhere: conn.UsesRolesAnywhere(),
		Partition: conn.Partition(), OwnStore: conn.OwnStore()}
	if facts.RolesAnywhere {
		facts.RoleARN = conn.RoleARN
	}
	return facts
}

// loadScope returns nil when there is no scope of that name.
func loadScope(ctx context.Context, storage logical.Storage, name, scopeName string) (*scope.Scope, error) {
	entry, err := storage.Get(ctx, scopeKey(name, scopeName))
	if err != nil {
		return nil, fmt.Errorf("reading scope %q of connection %q from storage: %w", scopeName, name, err)
	}
	if entry == nil {
		return nil, nil
	}
	decoded, err := scope.Decode(entry.Value)
	if err != nil {
		return nil, fmt.Errorf("reading scope %q of connection %q: %w", scopeName, name, err)
	}
	return &decoded, nil
}

// unreadableScope says whether the error is about what one scope's entry holds, and not about the storage.
func unreadableScope(err error) bool {
	var newer *scope.NewerError
	return errors.Is(err, scope.ErrDamaged) || errors.As(err, &newer)
}

func saveScope(ctx context.Context, storage logical.Storage, name, scopeName string, s *scope.Scope) error {
	encoded, err := scope.Encode(s)
	if err != nil {
		return fmt.Errorf("encoding scope %q of connection %q: %w", scopeName, name, err)
	}
	if err := storage.Put(ctx, &logical.StorageEntry{Key: scopeKey(name, scopeName), Value: encoded}); err != nil {
		return fmt.Errorf("storing scope %q of connection %q: %w", scopeName, name, err)
	}
	return nil
}

// scopeNames lists the scopes of a connection.
func scopeNames(ctx context.Context, storage logical.Storage, name string) ([]string, error) {
	names, err := storage.List(ctx, scopePrefix+name+"/")
	if err != nil {
		return nil, fmt.Errorf("listing the scopes of connection %q: %w", name, err)
	}
	return names, nil
}

// scopesOutlive refuses a change of a connection that would leave one of its scopes unusable.
func scopesOutlive(ctx context.Context, storage logical.Storage, name string, before,
	after *connection.Connection) error {
	if scopeFacts(name, "", before) == scopeFacts(name, "", after) {
		return nil
	}
	names, err := scopeNames(ctx, storage, name)
	if err != nil {
		return err
	}
	for _, scopeName := range names {
		s, err := loadScope(ctx, storage, name, scopeName)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if err := scope.Outlives(s, scopeFacts(name, scopeName, after)); err != nil {
			return fmt.Errorf("writing connection %s: %w; the stored connection is unchanged", problem.Quote(name), err)
		}
	}
	return nil
}

// settleScopes brings a connection's scopes in line with what is about to be stored of it: a change must leave each of
// them usable, and a new connection begins without any. The caller holds the name's lock, so that no scope is written
// meanwhile.
func (b *backend) settleScopes(ctx context.Context, storage logical.Storage, name string, before,
	after *connection.Connection) error {
	if before == nil {
		return deleteScopes(ctx, storage, name) // left by a delete that did not get through
	}
	return scopesOutlive(ctx, storage, name, before, after)
}

// forgetScope ends what an earlier form of the scope was using, also when the caller has hung up meanwhile. The caller
// holds the name's lock.
func (b *backend) forgetScope(ctx context.Context, storage logical.Storage, name, scopeName string) {
	b.sessions.DropScope(name, scopeName)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), session.StorageWait)
	defer cancel()
	b.deleteSession(ctx, storage, session.Key{Name: name, Scope: scopeName})
}

// forgetScopes deletes the stored sessions of all scopes of a connection.
func (b *backend) forgetScopes(ctx context.Context, storage logical.Storage, name string) {
	names, err := storage.List(ctx, sessionPrefix+name+"/")
	if err != nil {
		b.Logger().Warn("listing the stored sessions of an earlier configuration", "connection", name, "error", err)
	}
	for _, scopeName := range names {
		b.deleteSession(ctx, storage, session.Key{Name: name, Scope: scopeName})
	}
}

// deleteSession reports a failure in the log alone: the session is never used again, because its revision is not that
// of what is stored now.
func (b *backend) deleteSession(ctx context.Context, storage logical.Storage, key session.Key) {
	if err := storage.Delete(ctx, sessionKey(key)); err != nil {
		b.Logger().Warn("deleting the stored session of an earlier configuration", "connection", key.Name, "scope",
			key.Scope,
			"error", err)
	}
}

// deleteScopes deletes all scopes of a connection, so that none of them comes back with another connection of the
// same name. The caller holds the name's lock.
func deleteScopes(ctx context.Context, storage logical.Storage, name string) error {
	names, err := scopeNames(ctx, storage, name)
	if err != nil {
		return err
	}
	for _, scopeName := range names {
		if err := storage.Delete(ctx, scopeKey(name, scopeName)); err != nil {
			return fmt.Errorf("deleting scope %q of connection %q from storage: %w", scopeName, name, err)
		}
	}
	return nil
}

// checkName refuses what storage would refuse with an internal error, and names that are too long.
func checkName(problems *problem.List, field, name string) {
	if len(name) > maxNameLength {
		problems.Add(field, "is %d bytes long; at most %d are accepted", len(name), maxNameLength)
	}
	if strings.Contains(name, "..") {
		problems.Add(field, "%s holds \"..\", which Vault's storage does not accept", problem.Quote(name))
	}
}

// missingScopeError names a scope that is not there.
type missingScopeError struct{ name, scope string }

func (e *missingScopeError) Error() string {
	return fmt.Sprintf("connection %s has no scope %s; \"vault list\" of scopes/%s/ shows those it has",
		problem.Quote(e.name), problem.Quote(e.scope), e.name)
}

// scopeConflictError is a write that met another state than the one it was authorised for.
type scopeConflictError struct{ name, scope, text string }

func (e *scopeConflictError) Error() string {
	return fmt.Sprintf("writing scope %s: %s", problem.Quote(e.name+"/"+e.scope), e.text)
}

// unscopedError is a read without a scope of a connection that only hands out narrowed credentials.
type unscopedError struct{ name string }

func (e *unscopedError) Error() string {
	return fmt.Sprintf("connection %s hands out credentials only through its scopes (allow_unscoped=false); \"vault "+
		"list\" of scopes/%s/ shows them", problem.Quote(e.name), e.name)
}
