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
	presignPrefix = "presign/"

	scopedPresignSynopsis    = "Presign a request for one S3 object inside a scope."
	scopedPresignDescription = `
  vault write s3conn/presign/orders/reports bucket=analytics key=reports/2026/11.csv

As presign/NAME, signed with the scope's credentials. A bucket, key or method outside the scope is refused before
anything is signed. What a scope with a policy of its own allows is judged by the store alone, when the URL is used.
`

	presignSynopsis    = "Presign a request for one S3 object."
	presignDescription = `
  vault write s3conn/presign/orders bucket=orders key=2026/11/report.csv
  vault write s3conn/presign/orders method=PUT bucket=orders key=upload.bin expires=15m content_length=1048576

Returns a URL with which whoever has it can make one kind of request for one object, without credentials of their own.
It is valid for "expires" seconds, and never longer than the session that signed it. The request has to be made with
"method", and with every header in "headers" as it stands there.

S3 checks the permissions of the credentials when the URL is used, not when it is signed. Nothing is called here but
what is needed to obtain a session.
`

	defaultPresign = 5 * time.Minute
	limitPresigned = 2 << 10 // bytes of a field; S3's own limits are lower
)

func (b *backend) presignPaths() []*framework.Path {
	sign := func(summary string) map[logical.Operation]framework.OperationHandler {
		return map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback: b.withStatus(byNames(b.presign)),
				Summary:  summary,
				Responses: map[int][]framework.Response{
					http.StatusOK: {{Description: "The URL.", Fields: presignedSchema()}},
				},
				ForwardPerformanceStandby: true,
			},
		}
	}
	return []*framework.Path{
		b.takes(presignRows(), &framework.Path{
			Pattern:         presignPrefix + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("presigned-url"),
			HelpSynopsis:    presignSynopsis,
			HelpDescription: presignDescription,
			Fields:          b.nameOnly,
			Operations:      sign(presignSynopsis),
		}),
		b.takes(presignRows(), &framework.Path{
			Pattern: presignPrefix + framework.GenericNameRegex("name") + "/" +
				framework.GenericNameRegex("scope"),
			DisplayAttrs:    displayAttrs("scoped-presigned-url"),
			HelpSynopsis:    scopedPresignSynopsis,
			HelpDescription: scopedPresignDescription,
			Fields:          b.scopeNames,
			Operations:      sign(scopedPresignSynopsis),
		}),
	}
}

func presignRows() []field.Row {
	return []field.Row{
		{Name: "method", Default: http.MethodGet, Limit: limitPresigned,
			Allowed:     []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete},
			Description: "Method of the request: GET (the default), HEAD, PUT or DELETE."},
		{Name: "bucket", Required: true, Limit: limitPresigned, Description: "Name of the bucket."},
		{Name: "key", Required: true, Verbatim: true, Limit: limitPresigned,
			Description: "Key of the object, as it is: not encoded, without a slash before it."},
		{Name: "expires", Type: field.Seconds, Default: int64(defaultPresign / time.Second),
			Description: "How long the URL is valid, in seconds: from 1 to 604800 (7 days). The default is 300."},
		{Name: "version_id", Limit: limitPresigned, Description: "Version of the object. For GET, HEAD and DELETE."},
		{Name: "content_type", Limit: limitPresigned,
			Description: "Content-Type: of the response to GET and HEAD, and to send with PUT."},
		{Name: "content_disposition", Limit: limitPresigned,
			Description: "Content-Disposition: of the response to GET and HEAD, and to send with PUT."},
		{Name: "checksum_sha256", Limit: limitPresigned,
			Description: "SHA-256 digest of the content in base64. S3 refuses any other content. For PUT."},
		{Name: "content_length", Type: field.Int,
			Description: "Length of the content in bytes. S3 refuses any other length. For PUT."},
	}
}

func presignedSchema() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"url": {
			Type:         framework.TypeString,
			Required:     true,
			Description:  "The URL. Whoever has it can make the request.",
			DisplayAttrs: &framework.DisplayAttributes{Sensitive: true},
		},
		"method": {Type: framework.TypeString, Required: true, Description: "Method to make the request with."},
		"headers": {
			Type:        framework.TypeKVPairs,
			Required:    true,
			Description: "Headers to send with the request, by name.",
		},
		"expiration": {Type: framework.TypeString, Required: true, Description: "When the URL ends, RFC 3339, UTC."},
		"valid_seconds": {
			Type:        framework.TypeInt64,
			Required:    true,
			Description: "Whole seconds from the signature to expiration.",
		},
	}
}

func (b *backend) presign(ctx context.Context, r reader) (*logical.Response, error) {
	p := requestProblems(ctx)
	checkName(p, "name", r.name)
	checkName(p, "scope", r.scope)
	field.RefuseUnknown(p, r.req.Data, append(field.Names(presignRows()), "name", "scope"))
	in := presignInput(r.req.Data)
	in.Check(func(field, text string) {
		if !p.Has(field) {
			p.Add(field, "%s", text)
		}
	})
	subject := "presigning a request with connection " + problem.Quote(r.name)
	if err := p.Err(subject, "nothing was signed"); err != nil {
		return nil, err
	}
	if r.scope != "" {
		narrowed, err := b.narrowedFor(ctx, r)
		if err != nil {
			return nil, err
		}
		narrowed.CheckRequest(in.Method, in.Bucket, in.Key, p)
		if err := p.Err(subject+" and scope "+problem.Quote(r.scope), "nothing was signed"); err != nil {
			return nil, err
		}
	}
	used, _, creds, err := b.credentialsFor(ctx, r, max(session.MinRemaining, in.Expires))
	if err != nil {
		return nil, err
	}
	return b.presigned(used.conn, &creds, in)
}
