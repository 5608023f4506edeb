package s3conn

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

const (
	identitySynopsis = "Read the certificate of a connection, the key that waits for one, and what becomes of " +
		"renewals."
	identityDescription = `
A connection with auth_type roles_anywhere identifies itself with a certificate and its private key. The key can be made
here, and then never leaves Vault:

  vault write s3conn/config/orders auth_type=roles_anywhere profile_arn=... role_arn=... trust_anchor_arn=... \
      session_name=orders
  vault write -field=csr s3conn/identity/orders/csr common_name=orders > orders.csr
  (the certificate authority signs orders.csr)
  vault write s3conn/identity/orders/certificate certificate=@orders.pem
  vault read s3conn/creds/orders

With identity/NAME/issuer the certificate renews itself. A read never returns a private key.
`
)

func (b *backend) identityPaths() []*framework.Path {
	responses := map[int][]framework.Response{
		http.StatusOK: {{Description: "The identity.", Fields: identityResponseSchema()}},
	}
	return []*framework.Path{
		{
			Pattern:         identityPrefix + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("identity"),
			HelpSynopsis:    identitySynopsis,
			HelpDescription: identityDescription,
			Fields:          b.nameOnly,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{Callback: b.withStatus(b.ofIdentity(b.readIdentity)),
					Summary: "Read a connection's identity without its private key.", Responses: responses},
			},
		},
		b.csrPath(),
		b.certificatePath(),
		b.issuerPath(),
		b.renewPath(),
	}
}

// identityRows are what a read shows of an identity beside what config shows of the certificate.
func identityRows() []field.Row {
	return []field.Row{
		{Name: "certificate", Description: "The certificate with its intermediates, in PEM."},
		{
			Name: "key_origin",
			Description: "\"vault\" for a private key that was made here, \"imported\" for one that was written to " +
				"config.",
		},
		{Name: "key_type", Description: "Type of the private key, such as ec-p256."},
		{Name: "waiting_key_type", Description: "Type of the private key that waits for its certificate."},
		{Name: "waiting_since", Description: "When that key was made, RFC 3339, UTC."},
		{Name: "waiting_csr", Description: "Its certificate signing request, in PEM."},
		{Name: "issuer_type", Description: "Who renews the certificate: vault_pki, est or step_ca."},
		{Name: "renew_at", Description: "When the certificate is to be renewed, RFC 3339, UTC."},
		{Name: "last_renewal", Description: "When it was last renewed, RFC 3339, UTC."},
		{Name: "last_try", Description: "When a renewal last failed, RFC 3339, UTC."},
		{Name: "last_error", Description: "Why the last renewal failed. Absent after a success."},
		{Name: "next_try", Description: "When it is tried again, RFC 3339, UTC."},
	}
}

func identityResponseSchema() map[string]*framework.FieldSchema {
	schema := responseSchema(append(identityRows(), connection.CertificateRows()...))
	schema["name"] = connectionNameSchema()
	schema["failures"] = &framework.FieldSchema{Type: framework.TypeInt, Description: "Renewals that failed in a row."}
	return schema
}

// identified returns a connection that has an identity or is to get one, with the identity's state.
func (b *backend) identified(
	ctx context.Context,
	req *logical.Request,
	name string,
) (*connection.Connection, identity.State, error) {
	conn, state, err := loadWithIdentity(ctx, req.Storage, name)
	switch {
	case err != nil:
		return nil, identity.State{}, err
	case conn == nil:
		return nil, identity.State{}, &missingError{name}
	case !conn.UsesRolesAnywhere():
		p := &problem.List{}
		p.Add(
			"name",
			"connection %s has auth_type %s; only %s has an identity",
			problem.Quote(name),
			conn.AuthType,
			connection.AuthRolesAnywhere,
		)
		return nil, identity.State{}, p.Err("looking for the identity of connection "+problem.Quote(name), "")
	}
	return conn, state, nil
}

// identityRequest is a request about the identity of a connection, as it is stored.
type identityRequest struct {
	*logical.Request
	name  string
	conn  *connection.Connection
	state identity.State
}

// ofIdentity is the framework's form of a handler that begins with what is stored.
func (b *backend) ofIdentity(
	handle func(ctx context.Context, r identityRequest) (*logical.Response, error),
) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
		name := data.Get("name").(string)
		conn, state, err := b.identified(ctx, req, name)
		if err != nil {
			return nil, err
		}
		return handle(ctx, identityRequest{req, name, conn, state})
	}
}

func (b *backend) readIdentity(_ context.Context, r identityRequest) (*logical.Response, error) {
	return b.identityResponse(r.name, r.conn, r.state)
}

func (b *backend) identityResponse(
	name string,
	conn *connection.Connection,
	state identity.State,
) (*logical.Response, error) {
	config, warnings, err := conn.Show(b.now())
	if err != nil {
		return nil, err
	}
	shown := map[string]any{"name": name}
	for field, value := range config {
		if strings.HasPrefix(field, "certificate_") {
			shown[field] = value
		}
	}
	if pair := state.Current; pair != nil {
		shown["certificate"], shown["key_origin"], shown["key_type"] = pair.Certificate, string(
			pair.Origin,
		), pair.KeyType()
	}
	if waiting := state.Waiting; waiting != nil {
		shown["waiting_key_type"], shown["waiting_csr"] = waiting.KeyType, waiting.CSR
		showTime(shown, "waiting_since", waiting.Since)
	}
	if state.Issuer != nil {
		shown["issuer_type"], shown["failures"] = state.Issuer.Type, state.Record.Failures
	}
	showTime(shown, "renew_at", state.RenewAt())
	showTime(shown, "last_renewal", state.Record.LastRenewal)
	showTime(shown, "last_try", state.Record.LastTry)
	showTime(shown, "next_try", state.Record.NextTry)
	if state.Record.LastError != "" {
		shown["last_error"] = state.Record.LastError
	}
	return &logical.Response{Data: shown, Warnings: warnings}, nil
}

// showTime leaves out a moment that has not been.
func showTime(shown map[string]any, name string, at time.Time) {
	if !at.IsZero() {
		shown[name] = at.UTC().Format(time.RFC3339)
	}
}
