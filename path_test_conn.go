package s3conn

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	testSavedSynopsis    = "Test a saved connection."
	testSavedDescription = `
  vault write -f s3conn/test/orders

Obtains a session of its own where the connection uses Roles Anywhere, then calls ListBuckets with the credentials; the
session that readers share is not used. The response holds the identity of the credentials, the buckets, how long each
step took, and when the certificate ends. A test that fails returns the service's own code, message and request id.

Only ListBuckets is called: a bucket that is missing or forbidden does not fail the test.
`
	testUnsavedSynopsis    = "Test settings without saving them."
	testUnsavedDescription = `
Takes the same fields as config/NAME, stores nothing, and tests as test/NAME does:

  vault write s3conn/test access_key=AKIA... secret_key=@secret.txt region=eu-west-1
`
)

func (b *backend) testPaths() []*framework.Path {
	responses := map[int][]framework.Response{http.StatusOK: {{Description: "The test passed.",
		Fields: testResponseSchema()}}}
	return []*framework.Path{
		b.takes(connection.Table().Settings(), &framework.Path{
			Pattern:         "test/?$",
			DisplayAttrs:    displayAttrs("test-of-settings"),
			HelpSynopsis:    testUnsavedSynopsis,
			HelpDescription: testUnsavedDescription,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: &framework.PathOperation{Callback: b.withStatusWithin(testWait,
					b.testSettings),
					Summary: testUnsavedSynopsis, Responses: responses, ForwardPerformanceStandby: true},
			},
		}),
		{
			Pattern:         "test/" + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("test-of-connection"),
			HelpSynopsis:    testSavedSynopsis,
			HelpDescription: testSavedDescription,
			Fields:          b.nameOnly,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: &framework.PathOperation{Callback: b.withStatusWithin(testWait,
					b.testConnection),
					Summary: testSavedSynopsis, Responses: responses, ForwardPerformanceStandby: true},
			},
		},
	}
}

func testResponseSchema() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"identity": {Type: framework.TypeString, Required: true,
			Description: "ARN of the assumed role's session, or the access key ID."},
		"auth_type": {Type: framework.TypeString, Required: true,
			Description: "How the connection authenticates."},
		"region": {Type: framework.TypeString, Required: true,
			Description: "Region that ListBuckets was signed for."},
		"endpoint": {Type: framework.TypeString,
			Description: "Address of the S3-compatible store, where there is one."},
		"bucket_count": {Type: framework.TypeInt, Required: true,
			Description: "Number of buckets that ListBuckets returned."},
		"buckets": {Type: framework.TypeStringSlice, Required: true,
			Description: "Names of the first 1,000."},
		"create_session_ms": {Type: framework.TypeInt64,
			Description: "Milliseconds that CreateSession took, with the wait for its turn. Sessions only."},
		"list_buckets_ms": {Type: framework.TypeInt64, Required: true,
			Description: "Milliseconds that ListBuckets took."},
		"expiration": {Type: framework.TypeString,
			Description: "When the test's session ends, RFC 3339, UTC. Sessions only."},
		"certificate_not_after": {Type: framework.TypeString, Description: "When the certificate or an intermediate " +
			"ends, whichever is first, RFC 3339, UTC. Sessions only."},
		"certificate_ttl": {Type: framework.TypeInt64,
			Description: "Whole seconds until certificate_not_after. Sessions only."},
	}
}

func (b *backend) testSettings(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response,
	error) {
	p := requestProblems(ctx)
	field.RefuseUnknown(p, req.Data, field.Names(connection.Table().Settings()))
	conn := connection.Merge(connection.New(), req.Data, p)
	warnings, err := b.validate(ctx, &conn, p)
	if err != nil {
		return nil, fmt.Errorf("testing settings: %w", err)
	}
	if err := p.Err("testing settings", "nothing was called"); err != nil {
		return nil, err
	}
	return b.testResponse(ctx, &conn, warnings)
}

func (b *backend) testConnection(ctx context.Context, req *logical.Request,
	data *framework.FieldData) (*logical.Response, error) {
	name := data.Get("name").(string)
	p := requestProblems(ctx)
	field.RefuseUnknown(p, req.Data, []string{"name"})
	if err := p.Err("testing connection "+problem.Quote(name)+", which takes no fields (test without a name does)",
		"nothing was called"); err != nil {
		return nil, err
	}
	conn, err := loadConnection(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, &missingError{name}
	}
	resp, err := b.testResponse(ctx, conn, conn.CertificateEnd().Warnings(b.now()))
	if err == nil {
		b.sessions.Forgive(session.Key{Name: name})
	}
	return resp, err
}

func (b *backend) testResponse(ctx context.Context, conn *connection.Connection, warnings []string) (*logical.Response,
	error) {
	result, err := b.probe(ctx, conn)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: result.response(conn, b.now()), Warnings: warnings}, nil
}
