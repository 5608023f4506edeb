package s3conn

import (
	"context"
	"maps"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const (
	credsPrefix = "creds/"

	scopedCredsSynopsis    = "Read credentials narrowed to a scope of a connection."
	scopedCredsDescription = `
  vault read s3conn/creds/orders/reports

Returns the credentials of a session that may do what the scope allows and nothing else. All readers of a scope share
one session, as those of a connection do; where a scope has templates, each entity has a session of its own, which all
its tokens share. What Vault knows of a token's entity is used for up to a minute: a change of its metadata shows after
a minute at most, and so does its disabling. Sessions that were obtained before stay valid until their end.

Leases are as those of creds/NAME; the scope's own generate_lease turns them off.
`

	credsSynopsis    = "Read credentials for a connection."
	credsDescription = `
  vault read s3conn/creds/orders

For auth type roles_anywhere this returns short-lived session credentials. Their lease ends 60 seconds before they do;
renewing it gives back what is left and never more, and revoking it ends the lease alone: AWS has no way to take back
one session. With generate_lease=false in the connection the same comes without a lease.

For auth type access_key the stored keys come back as they are, without a lease and with an empty session_token.
`
)

func (b *backend) credsPaths() []*framework.Path {
	read := func(summary string) map[logical.Operation]framework.OperationHandler {
		return map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{Callback: byNames(b.readCredentials), Summary: summary,
				Responses: map[int][]framework.Response{http.StatusOK: {{Description: "The credentials.",
					Fields: credentialsSchema()}}}},
		}
	}
	return []*framework.Path{
		{
			Pattern:         credsPrefix + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("credentials"),
			HelpSynopsis:    credsSynopsis,
			HelpDescription: credsDescription,
			Fields:          b.nameOnly,
			Operations:      read(credsSynopsis),
		},
		{
			Pattern: credsPrefix + framework.GenericNameRegex("name") + "/" +
				framework.GenericNameRegex("scope"),
			DisplayAttrs:    displayAttrs("scoped-credentials"),
			HelpSynopsis:    scopedCredsSynopsis,
			HelpDescription: scopedCredsDescription,
			Fields:          b.scopeNames,
			Operations:      read(scopedCredsSynopsis),
		},
	}
}

func credentialsSchema() map[string]*framework.FieldSchema {
	sensitive := &framework.DisplayAttributes{Sensitive: true}
	return map[string]*framework.FieldSchema{
		"access_key": {Type: framework.TypeString, Required: true, Description: "Access key ID."},
		"secret_key": {Type: framework.TypeString, Required: true, Description: "Secret access key.",
			DisplayAttrs: sensitive},
		"session_token": {Type: framework.TypeString, Required: true,
			Description: "Session token; empty for access keys.", DisplayAttrs: sensitive},
		"security_token": {Type: framework.TypeString, Required: true, Description: "The same as session_token, for " +
			"templates written for Vault's AWS engine.", DisplayAttrs: sensitive},
		"expiration": {Type: framework.TypeString,
			Description: "When the session ends, RFC 3339, UTC. Sessions only."},
		"ttl": {Type: framework.TypeInt64, Description: "Whole seconds until expiration; of access keys with " +
			"rotation_period, until the next rotation."},
		"last_vault_rotation": {Type: framework.TypeString,
			Description: "When the access key was written or rotated, " +
				"RFC 3339, UTC. Access keys with rotation_period only."},
		"rotation_period": {Type: framework.TypeInt64,
			Description: "Seconds between two rotations. Access keys with rotation_period only."},
		"arn": {Type: framework.TypeString,
			Description: "ARN of the assumed role's session. Sessions only."},
		"region":    {Type: framework.TypeString, Required: true, Description: "Region to sign S3 requests for."},
		"auth_type": {Type: framework.TypeString, Required: true, Description: "The connection's auth_type."},
		"endpoint": {Type: framework.TypeString,
			Description: "Address of the S3-compatible store, where the connection has one."},
	}
}

func (b *backend) readCredentials(ctx context.Context, r reader) (*logical.Response, error) {
	used, key, creds, err := b.credentialsFor(ctx, r, session.MinRemaining)
	if err != nil {
		return errorResponse(b.forwarded(err))
	}
	leased := used.generatesLease() && expires(&creds)
	if leased && b.onStandby() {
		return nil, logical.ErrReadOnly // the server makes leases on the active node alone
	}
	now := b.clock()
	left := timeLeft(used.conn, &creds, now)
	resp := &logical.Response{Data: maps.Clone(used.response.Of(&creds, func() map[string]any {
		return credentialsResponse(used.conn, &creds, left)
	}))}
	if left > 0 {
		resp.Data["ttl"] = left
	}
	if expires(&creds) {
		resp.Warnings = used.certificateEnd.Warnings(now.Wall)
	}
	if leased {
		b.lease(resp, key, used, &creds, now)
	}
	return resp, nil
}
