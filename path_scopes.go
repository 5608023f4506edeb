package s3conn

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
)

const (
	scopesPath = "scopes/"

	scopeListSynopsis    = "List the scopes of a connection."
	scopeListDescription = `
Lists the names of a connection's scopes, with what each opens and its role as
key info ("vault list -detailed").
`
	scopeSynopsis    = "Write, read or delete one scope of a connection."
	scopeDescription = `
A scope narrows the credentials of a connection: creds/NAME/SCOPE returns those of a session that may do what the scope
allows and nothing else, obtained with sts:AssumeRole and a session policy.

Reading below a prefix of a bucket:

  vault write s3conn/scopes/orders/reports buckets=analytics prefixes=reports/
  vault read s3conn/creds/orders/reports

Everybody in a prefix of their own, and by name in CloudTrail:

  vault write s3conn/scopes/orders/home buckets=home access=list,read,write,delete \
      prefixes="users/{{identity.entity.id}}/" session_name="{{identity.entity.name}}"

A write to a scope that is there changes the given fields alone: an omitted field stays as it is, an empty one goes back
to its default, but prefixes and policy cannot be emptied, so that nothing opens a whole bucket by accident. The result
is validated as a whole, an error names everything that is wrong,
	and then nothing has changed. A write drops the scope's
sessions: the next read obtains another.

A read also returns session_policy, which AssumeRole is called with.
`
)

func (b *backend) scopePaths() []*framework.Path {
	return []*framework.Path{
		{
			Pattern:         scopesPath + framework.GenericNameRegex("name") + "/?$",
			DisplayAttrs:    displayAttrs("scopes"),
			HelpSynopsis:    scopeListSynopsis,
			HelpDescription: scopeListDescription,
			Fields:          b.nameOnly,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: &framework.PathOperation{Callback: b.withStatus(b.listScopes),
					Summary: scopeListSynopsis, Responses: scopeListResponses()},
			},
		},
		b.takes(scope.Table().Rows(), &framework.Path{
			Pattern: scopesPath + framework.GenericNameRegex("name") + "/" +
				framework.GenericNameRegex("scope"),
			DisplayAttrs:    displayAttrs("scope"),
			HelpSynopsis:    scopeSynopsis,
			HelpDescription: scopeDescription,
			Fields:          b.scopeNames,
			ExistenceCheck:  b.scopeExists,
			Operations:      b.scopeOperations(),
		}),
	}
}

func (b *backend) scopeOperations() map[logical.Operation]framework.OperationHandler {
	shown := responseSchema(append(scope.Table().Shown(), scope.PolicyRow()))
	shown["name"], shown["scope"] = connectionNameSchema(), scopeNameSchema()
	stored := map[int][]framework.Response{
		http.StatusNoContent: {{Description: "Stored."}},
		http.StatusOK:        {{Description: "Stored, with warnings."}},
	}
	write := func(summary string) *framework.PathOperation {
		return &framework.PathOperation{Callback: b.withStatus(b.writeScope), Summary: summary, Responses: stored,
			ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true}
	}
	return map[logical.Operation]framework.OperationHandler{
		logical.ReadOperation: &framework.PathOperation{Callback: b.withStatus(b.readScope), Summary: "Read a scope.",
			Responses: map[int][]framework.Response{http.StatusOK: {{Description: "The scope.", Fields: shown}}}},
		logical.CreateOperation: write("Create a scope."),
		logical.UpdateOperation: write("Change the given fields of a scope."),
		logical.PatchOperation:  write("Change the given fields of a scope that is there."),
		logical.DeleteOperation: &framework.PathOperation{Callback: b.withStatus(b.deleteScope),
			Summary:                   "Delete a scope and its sessions.",
			Responses:                 map[int][]framework.Response{http.StatusNoContent: {{Description: "Done."}}},
			ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true},
	}
}

func scopeListResponses() map[int][]framework.Response {
	return map[int][]framework.Response{http.StatusOK: {{Description: "The scopes.",
		Fields: map[string]*framework.FieldSchema{
			"keys": {Type: framework.TypeStringSlice, Required: true, Description: "Names of the scopes."},
			"key_info": {Type: framework.TypeMap,
				Description: "By name: buckets, prefixes and access, or policy=true; and role_arn where the scope " +
					"has one."},
		}}}}
}

func scopeNameSchema() *framework.FieldSchema {
	return &framework.FieldSchema{Type: framework.TypeString, Required: true,
		Description: "Name of the scope: letters, digits and underscores, and inside also dots and dashes; at " +
			"most 128.",
		DisplayAttrs: &framework.DisplayAttributes{Name: "Scope name", Identifier: true}}
}

// namesOf returns the names that a path of a scope captures.
func namesOf(data *framework.FieldData) (name, scopeName string) {
	return data.Get("name").(string), data.Get("scope").(string)
}

func (b *backend) scopeExists(ctx context.Context, req *logical.Request, data *framework.FieldData) (bool, error) {
	name, scopeName := namesOf(data)
	problems := &problem.List{}
	checkScopeNames(problems, name, scopeName)
	if problems.Err("", "") != nil {
		return false, nil // the handler refuses the names with an error that says why
	}
	entry, err := req.Storage.Get(ctx, scopeKey(name, scopeName))
	if err != nil {
		return false, fmt.Errorf("looking for the scope in storage: %w", err)
	}
	return entry != nil, nil
}

func checkScopeNames(problems *problem.List, name, scopeName string) {
	checkName(problems, "name", name)
	checkName(problems, "scope", scopeName)
}

// refuseScopeNames is the error about names that storage cannot hold, or nil.
func refuseScopeNames(name, scopeName string) error {
	problems := &problem.List{}
	checkScopeNames(problems, name, scopeName)
	return problems.Err("looking for scope "+problem.Quote(name+"/"+scopeName), "")
}

func (b *backend) listScopes(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response,
	error) {
	name := data.Get("name").(string)
	if err := refuseScopeNames(name, ""); err != nil {
		return nil, err
	}
	names, err := scopeNames(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	return b.listWithInfo(ctx, req, names, func(ctx context.Context, scopeName string) (any, error) {
		s, err := loadScope(ctx, req.Storage, name, scopeName)
		switch {
		case err != nil && unreadableScope(err): // one damaged entry must not hide the others
			b.Logger().Warn("listing scopes", "connection", name, "scope", scopeName, "error", err)
			return map[string]any{"error": "the scope cannot be read; the server's log says why"}, nil
		case s == nil || err != nil:
			return nil, err
		}
		return scope.Summary(s), nil
	})
}

func (b *backend) readScope(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response,
	error) {
	name, scopeName := namesOf(data)
	if err := refuseScopeNames(name, scopeName); err != nil {
		return nil, err
	}
	s, err := loadScope(ctx, req.Storage, name, scopeName)
	if s == nil || err != nil {
		return nil, err
	}
	conn, err := loadConnection(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, nil // it was deleted meanwhile, and its scopes with it
	}
	shown, err := scope.Show(s, scopeFacts(name, scopeName, conn))
	if err != nil {
		return nil, err
	}
	shown["name"], shown["scope"] = name, scopeName
	return &logical.Response{Data: shown}, nil
}

func (b *backend) deleteScope(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response,
	error) {
	name, scopeName := namesOf(data)
	if err := refuseScopeNames(name, scopeName); err != nil {
		return nil, err
	}
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	defer b.forgetScope(ctx, req.Storage, name,
		scopeName) // also after an error: the storage may have deleted it all the same
	if err := req.Storage.Delete(ctx, scopeKey(name, scopeName)); err != nil {
		return nil, fmt.Errorf("deleting scope %q of connection %q from storage: %w", scopeName, name, err)
	}
	return nil, nil
}
