package s3conn

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// assumeRole requests one session for a scope with the caller's credentials. It blocks until the call's turn in the
// lane has come, then for upstream.Timeout at the most.
type assumeRole func(
	ctx context.Context, conn *connection.Connection, caller session.Session, narrowed *scope.Rendered,
	lane budget.Lane,
) (session.Session, error)

// A scope with templates has two kinds of keys in the pool: one without a variant, whose subject has no sessions and
// only holds the parsed templates, and one for every entity and rendering of them.

// errOtherVariant is returned when a scope was changed between its templates' rendering and its loading.
var errOtherVariant = errors.New("the scope was changed meanwhile")

// loadScoped reads a scope and its connection.
func loadScoped(ctx context.Context, storage logical.Storage, name, scopeName string) (*inUse, error) {
	if err := refuseScopeNames(name, scopeName); err != nil {
		return nil, err
	}
	loaded, err := loadUnscoped(ctx, storage, name)
	if err != nil {
		return nil, err
	}
	s, err := loadScope(ctx, storage, name, scopeName)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, &missingScopeError{name, scopeName}
	}
	if loaded.program, err = scope.Compile(*s, scopeFacts(name, scopeName, loaded.conn)); err != nil {
		return nil, err
	}
	if !loaded.program.Templated() {
		loaded.narrowed, err = loaded.program.Render(nil)
	}
	return loaded, err
}

// scopedRevision returns the revision of what loadScoped would read, and "" when there is nothing.
func scopedRevision(ctx context.Context, storage logical.Storage, name, scopeName string) (string, error) {
	conn, err := loadConnection(ctx, storage, name)
	if err != nil || conn == nil {
		return "", err
	}
	s, err := loadScope(ctx, storage, name, scopeName)
	if err != nil || s == nil {
		return "", err
	}
	return revisionOf(conn.Revision, s.Revision), nil
}

func revisionOf(conn, scopeRevision string) string { return conn + "/" + scopeRevision }

// readerStorage is storage as a reader of a templated scope reaches it: it carries whom the templates are rendered
// for to the pool's Loader.
type readerStorage struct {
	logical.Storage
	entity *scope.Entity
	// templates are what the variant was made of. Their connection and parsed templates are shared by all variants
	// while they are the stored ones.
	templates *inUse
}

// loadVariant renders a scope for the reader.
func loadVariant(ctx context.Context, storage logical.Storage, key session.Key) (*inUse, error) {
	reader, ok := storage.(readerStorage)
	if !ok {
		return nil, errOtherVariant
	}
	revision, err := scopedRevision(ctx, reader.Storage, key.Name, key.Scope)
	if err != nil {
		return nil, err
	}
	templates := reader.templates
	if templates.Revision() != revision {
		return nil, errOtherVariant
	}
	narrowed, err := templates.program.Render(reader.entity)
	if err != nil {
		return nil, err
	}
	narrowed.Variant = key.Variant // the same text, held once
	return &inUse{conn: templates.conn, certificateEnd: templates.certificateEnd, program: templates.program,
		narrowed: narrowed}, nil
}

// scopedCredentials returns what is in use for a reader of a scope, its key, and a session with at least the wanted
// life where the session's lifetime allows that.
func (b *backend) scopedCredentials(ctx context.Context, r reader, want time.Duration) (
	*inUse, session.Key, session.Session, error,
) {
	key := session.Key{Name: r.name, Scope: r.scope}
	var patience session.Patience // with storage, with Vault and with STS together
	for range maxVariantTries {
		templates, s, err := b.sessions.GetWithin(ctx, r.req.Storage, key, want, &patience)
		if err != nil || !templates.program.Templated() {
			return templates, key, s, err
		}
		entity, err := b.entityOf(ctx, templates.program, r.req, &patience)
		if err != nil {
			return nil, key, session.Session{}, err
		}
		variant, err := templates.program.Variant(entity)
		if err != nil {
			return nil, key, session.Session{}, err
		}
		rendered := session.Key{Name: r.name, Scope: r.scope, Variant: variant}
		used, s, err := b.sessions.GetWithin(ctx, readerStorage{r.req.Storage, entity, templates}, rendered, want,
			&patience)
		if !errors.Is(err, errOtherVariant) {
			return used, rendered, s, err
		}
		b.sessions.DropScope(r.name, r.scope) // what is in use of it is not what is stored
	}
	return nil, key, session.Session{}, session.ErrUnsettled
}

// narrowedFor renders a scope for a reader, without a session of it.
func (b *backend) narrowedFor(ctx context.Context, r reader) (*scope.Rendered, error) {
	used, err := b.sessions.Subject(ctx, r.req.Storage, session.Key{Name: r.name, Scope: r.scope})
	if err != nil {
		return nil, err
	}
	entity, err := b.entityOf(ctx, used.program, r.req, &session.Patience{})
	if err != nil {
		return nil, err
	}
	return used.program.Render(entity)
}

// maxVariantTries bounds how often a reader starts again because a scope's templates change under it.
const maxVariantTries = 5

// entityOf returns the entity that a scope's templates are rendered for, or nil for a scope without templates.
func (b *backend) entityOf(
	ctx context.Context, program *scope.Program, req *logical.Request, patience *session.Patience,
) (*scope.Entity, error) {
	if !program.Templated() {
		return nil, nil
	}
	if b.onStandby() {
		return nil, logical.ErrReadOnly // sessions of templated scopes are in the memory of the active node
	}
	return b.entities.of(ctx, req.EntityID, patience)
}

// obtainScoped is Obtain of the pool's Source for a scope: the connection's own session, which every scope of it
// shares, or its access key obtains the scope's.
func (b *backend) obtainScoped(ctx context.Context, r session.Request[*inUse, logical.Storage], lane budget.Lane) (
	session.Session, error,
) {
	storage := r.Storage
	if reader, ok := storage.(readerStorage); ok {
		storage = reader.Storage
	}
	caller := ownCredentials(r.Subject.conn)
	if r.Subject.conn.UsesRolesAnywhere() {
		var err error
		if _, caller, err = b.sessions.Get(ctx, storage, session.Key{Name: r.Key.Name},
			session.MinRemaining); err != nil {
			return session.Session{}, err
		}
	}
	return b.assume(ctx, r.Subject.conn, caller, r.Subject.narrowed, lane)
}
