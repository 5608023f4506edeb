package s3conn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
)

const (
	configListSynopsis    = "List the connections."
	configListDescription = `
Lists the names of the connections, with the auth type and region of each as key info ("vault list -detailed").
`
	configSynopsis    = "Write, read or delete one S3 connection."
	configDescription = `
A connection is described once, here; creds/NAME then hands out credentials for it.

With access keys:

  vault write s3conn/config/reports access_key=AKIA... secret_key=@secret.txt region=eu-west-1

With IAM Roles Anywhere, where a certificate and its key obtain sessions that last for an hour:

  vault write s3conn/config/orders auth_type=roles_anywhere region=eu-west-1 session_name=orders \
      profile_arn=arn:aws:rolesanywhere:eu-west-1:123456789012:profile/... \
      role_arn=arn:aws:iam::123456789012:role/orders \
      trust_anchor_arn=arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/... \
      certificate=@orders.pem private_key=@orders.key

A write to an existing connection changes the given fields alone: an omitted field stays as it is, an empty one
goes back to its default. The result is validated as a whole. If anything is wrong, the error names all of it and
nothing is changed. With verify_connection=true the connection is also tested first, and stored only if the test passes.

A read never returns secret_key, private_key, a passphrase or a proxy's password; in the certificate's place it shows
what the certificate says. Deleting a connection leaves its leases, which can still be revoked.
`
)

func (b *backend) configPaths() []*framework.Path {
	shown := responseSchema(connection.Table().Shown())
	shown["name"] = connectionNameSchema()
	deleted := map[int][]framework.Response{http.StatusNoContent: {{Description: "Done."}},
		http.StatusOK: {{Description: "Done, with warnings about access keys that stay in IAM."}}}
	stored := map[int][]framework.Response{
		http.StatusNoContent: {{Description: "Stored."}},
		http.StatusOK:        {{Description: "Stored, with warnings."}},
	}
	return []*framework.Path{
		{
			Pattern:         "config/?$",
			DisplayAttrs:    displayAttrs("connections"),
			HelpSynopsis:    configListSynopsis,
			HelpDescription: configListDescription,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: &framework.PathOperation{Callback: b.withStatus(b.listConnections),
					Summary: configListSynopsis,
					Responses: map[int][]framework.Response{http.StatusOK: {{Description: "The connections.",
						Fields: map[string]*framework.FieldSchema{
							"keys": {Type: framework.TypeStringSlice, Required: true,
								Description: "Names of the connections."},
							"key_info": {Type: framework.TypeMap, Description: "By name: auth_type and region."},
						}}}}},
			},
		},
		b.takes(connection.Table().Rows(), &framework.Path{
			Pattern:         "config/" + framework.GenericNameRegex("name"),
			DisplayAttrs:    displayAttrs("connection"),
			HelpSynopsis:    configSynopsis,
			HelpDescription: configDescription,
			Fields:          b.nameOnly,
			ExistenceCheck:  b.connectionExists,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{Callback: b.withStatus(b.readConnection),
					Summary: "Read a connection without its secrets.",
					Responses: map[int][]framework.Response{http.StatusOK: {{Description: "The connection.",
						Fields: shown}}}},
				logical.CreateOperation: &framework.PathOperation{Callback: b.withStatusWithin(writeWait,
					b.writeConnection),
					Summary: "Create a connection.", Responses: stored,
					ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true},
				logical.UpdateOperation: &framework.PathOperation{Callback: b.withStatusWithin(writeWait,
					b.writeConnection),
					Summary: "Change the given fields of a connection.", Responses: stored,
					ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true},
				logical.PatchOperation: &framework.PathOperation{Callback: b.withStatusWithin(writeWait,
					b.writeConnection),
					Summary: "Change the given fields of an existing connection.", Responses: stored,
					ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true},
				logical.DeleteOperation: &framework.PathOperation{Callback: b.withStatus(b.deleteConnection),
					Summary: "Delete a connection and its session.", Responses: deleted,
					ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true},
			},
		}),
	}
}

func (b *backend) connectionExists(ctx context.Context, req *logical.Request, data *framework.FieldData) (bool, error) {
	name := data.Get("name").(string)
	if refuseName(name) != nil {
		return false, nil // the handler refuses the name with an error that says why
	}
	entry, err := req.Storage.Get(ctx, configPrefix+name)
	if err != nil {
		return false, fmt.Errorf("looking for the connection in storage: %w", err)
	}
	return entry != nil, nil
}

func (b *backend) listConnections(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response,
	error) {
	names, err := req.Storage.List(ctx, configPrefix)
	if err != nil {
		return nil, fmt.Errorf("listing connections: %w", err)
	}
	return b.listWithInfo(ctx, req, names, func(ctx context.Context, name string) (any, error) {
		return b.listed(ctx, req.Storage, name)
	})
}

// listed returns what a list shows of a connection beside its name; nil if it was deleted meanwhile.
func (b *backend) listed(ctx context.Context, storage logical.Storage, name string) (any, error) {
	conn, err := loadConfig(ctx, storage, name)
	var unreadable *connection.UnreadableError
	switch {
	case errors.As(err, &unreadable): // one damaged entry must not hide the others
		b.Logger().Warn("listing connections", "connection", name, "error", err)
		return map[string]any{"error": "the connection cannot be read; the server's log says why"}, nil
	case conn == nil || err != nil:
		return nil, err
	default:
		return map[string]any{"auth_type": conn.AuthType, "region": conn.AWSRegion()}, nil
	}
}

func (b *backend) readConnection(ctx context.Context, req *logical.Request,
	data *framework.FieldData) (*logical.Response, error) {
	name := data.Get("name").(string)
	conn, err := loadConnection(ctx, req.Storage, name)
	if conn == nil || err != nil {
		return nil, err
	}
	shown, warnings, err := conn.Show(b.now())
	if err != nil {
		return nil, err
	}
	shown["name"] = name
	return &logical.Response{Data: shown, Warnings: warnings}, nil
}

// writeWait bounds a write, which may test the connection first.
func writeWait(req *logical.Request) time.Duration {
	if verify, _ := req.Data[connection.VerifyField].(bool); verify {
		return maxProbeWait
	}
	return maxRequestWait
}

// maxWriteAttempts is how often a write starts again because another write has come between its read and its store.
const maxWriteAttempts = 5

func (b *backend) writeConnection(ctx context.Context, req *logical.Request,
	data *framework.FieldData) (*logical.Response, error) {
	name, verifyUntil := data.Get("name").(string), time.Now().Add(maxProbeWait)
	for range maxWriteAttempts {
		before, err := loadConnection(ctx, req.Storage, name)
		if err != nil {
			return nil, err
		}
		if err := refuseConnectionOperation(req.Operation, before != nil, name); err != nil {
			return nil, err
		}
		conn, warnings, err := b.prepareConnection(ctx, req, name, before, verifyUntil)
		if err != nil {
			return nil, err
		}
		if turnsLeasesOn(before, &conn) {
			warnings = append(warnings, revocationWarning)
		}
		done, err := b.replaceConnection(ctx, req.Storage, name, before, &conn)
		if err != nil {
			return nil, err
		} else if !done.stored {
			continue
		}
		warnings = append(append(warnings, done.warnings...), b.cleanUpNow(ctx, req.Storage, done.left)...)
		warnings = append(warnings, b.warnOfSharedKey(name, &conn)...)
		if len(warnings) == 0 {
			return nil, nil
		}
		return &logical.Response{Warnings: warnings}, nil
	}
	return nil, &conflictError{name, "other writes changed it again and again meanwhile, and this one was not " +
		"stored; read the connection and write it again"}
}

func (b *backend) deleteConnection(ctx context.Context, req *logical.Request,
	data *framework.FieldData) (*logical.Response, error) {
	name := data.Get("name").(string)
	if err := refuseName(name); err != nil {
		return nil, err
	}
	left, warnings, err := b.deleteStored(ctx, req.Storage, name)
	if err != nil {
		return nil, err
	}
	if warnings = append(warnings, b.cleanUpNow(ctx, req.Storage, left)...); len(warnings) == 0 {
		return nil, nil
	}
	return &logical.Response{Warnings: warnings}, nil
}
