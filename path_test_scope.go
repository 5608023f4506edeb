package s3conn

import (
	"context"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	testScopeSynopsis    = "Test a scope and prove its fence."
	testScopeDescription = `
  vault write -f s3conn/test/orders/reports

Obtains a fresh session for the scope (never the one that readers share), lists what the scope may list, and tries to
list and to read outside of it, where both have to be refused: in the same bucket where the scope has prefixes, and
else in another bucket that the connection itself can list. A second session of the role, whose session policy opens
those places alone, then has to be let in there: or else it was the role that refused, and not the session policy.
Nothing is ever written, and neither session is handed out.

It returns who the credentials are, how much of AWS's room for policies and tags is used, and fence: "proven"; "not
proven" with the reason, where the role itself may not list or read outside; or "not provable" where there is nothing
outside to try or the scope has a policy of its own, which the store alone can judge. The test fails with the
service's own words, or because the store does not obey session policies.

The templates of a scope are rendered for the token that writes.
`
)

func (b *backend) testScopePath() *framework.Path {
	return &framework.Path{
		Pattern:         "test/" + framework.GenericNameRegex("name") + "/" + framework.GenericNameRegex("scope"),
		DisplayAttrs:    displayAttrs("test-of-scope"),
		HelpSynopsis:    testScopeSynopsis,
		HelpDescription: testScopeDescription,
		Fields:          b.scopeNames,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{Callback: b.withStatusWithin(testWait, b.testScope),
				Summary: testScopeSynopsis,
				Responses: map[int][]framework.Response{
					http.StatusOK: {{Description: "The test passed.", Fields: testScopeSchema()}}},
				ForwardPerformanceStandby: true},
		},
	}
}

func testScopeSchema() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"identity": {Type: framework.TypeString, Required: true,
			Description: "ARN of the assumed role's session; the access key ID where the store names none."},
		"expiration": {Type: framework.TypeString, Required: true,
			Description: "When the test's session ends, RFC 3339, UTC."},
		"packed_policy_size": {Type: framework.TypeInt, Required: true,
			Description: "Per cent of AWS's room for session policies and tags that is used; 0 where the store does " +
				"not say."},
		"fence": {Type: framework.TypeString, Required: true,
			Description: "\"proven\": a list and a read outside the scope were refused, where the role itself may do " +
				"both; \"not proven\" with the reason; or \"not provable\"."},
		"listed": {Type: framework.TypeStringSlice, Required: true,
			Description: "What was listed, as bucket/prefix."},
		"refused": {Type: framework.TypeStringSlice, Required: true,
			Description: "Where a list and a read were refused, as bucket/key."},
		"assume_role_ms": {Type: framework.TypeInt64, Required: true,
			Description: "Milliseconds that AssumeRole took, with the wait for its turn."},
	}
}

func (b *backend) testScope(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response,
	error) {
	name, scopeName := namesOf(data)
	if err := refuseScopeNames(name, scopeName); err != nil {
		return nil, err
	}
	problems := requestProblems(ctx)
	field.RefuseUnknown(problems, req.Data, []string{"name", "scope"})
	subject := "testing scope " + problem.Quote(name+"/"+scopeName) + ", which takes no fields"
	if err := problems.Err(subject, "nothing was called"); err != nil {
		return nil, err
	}
	used, err := loadScoped(ctx, req.Storage, name, scopeName)
	if err != nil {
		return nil, err
	}
	entity, err := b.entityOf(ctx, used.program, req, &session.Patience{})
	if err != nil {
		return nil, err
	}
	narrowed, err := used.program.Render(entity)
	if err != nil {
		return nil, err
	}
	result, err := b.probeScope(ctx, used.conn, narrowed)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: result.response()}, nil
}

func (r *scopeProbe) response() map[string]any {
	identity := r.session.ARN
	if identity == "" {
		identity = r.session.AccessKey
	}
	return map[string]any{
		"identity":           identity,
		"expiration":         r.session.Expiration.UTC().Format(time.RFC3339),
		"packed_policy_size": r.session.PackedPolicySize,
		"fence":              r.verdict,
		"listed":             targetNames(r.fence.Inside),
		"refused":            targetNames(r.fence.Outside),
		"assume_role_ms":     r.assumeRole.Milliseconds(),
	}
}
