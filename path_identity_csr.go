package s3conn

import (
	"context"
	"crypto"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

const (
	csrSynopsis    = "Make a private key that waits for its certificate, and a certificate signing request for it."
	csrDescription = `
Makes a private key that never leaves Vault and returns its certificate signing request. The key waits until its
certificate is written to identity/NAME/certificate; until then the connection goes on with the identity that it has.

Another write makes another request for the same key. Another key_type needs new_key=true, which replaces the key that
waits: a certificate for the one before is of no use then.
`
)

// limits of what a request for a certificate may hold.
const (
	limitName = 4 << 10 // bytes
	maxNames  = 16
)

// csrRows are the fields of a request for a certificate.
func csrRows() []field.Row {
	return append([]field.Row{
		{
			Name:        "key_type",
			Group:       "Key",
			Limit:       limitName,
			Default:     identity.DefaultKeyType,
			Allowed:     identity.KeyTypes(),
			Description: "Type of the private key.",
		},
		{Name: "new_key", Group: "Key", Type: field.Bool, Instruction: true,
			Description: "Replaces a key that waits already. The default is to go on with it."},
	}, nameRows("the connection's name")...)
}

// nameRows are the fields that go into a certificate's subject and alternative names.
func nameRows(commonName string) []field.Row {
	list := func(name, description string) field.Row {
		return field.Row{
			Name:        name,
			Group:       "Subject",
			Type:        field.Strings,
			Limit:       limitName,
			MaxItems:    maxNames,
			Description: description,
		}
	}
	return []field.Row{
		{Name: "common_name", Group: "Subject", Limit: limitName,
			Description: "Common name (CN), at most 64 characters. The default is " + commonName + "."},
		list("organization", "Organization (O)."),
		list("organizational_unit", "Organizational unit (OU)."),
		list("country", "Country (C): two capital letters."),
		list("province", "Province or state (ST)."),
		list("locality", "Locality (L)."),
		list("dns_sans", "DNS names among the subject alternative names."),
		list("uri_sans", "URIs among the subject alternative names, such as a SPIFFE ID."),
	}
}

// namesIn reads the fields of nameRows.
func namesIn(data map[string]any) identity.Names {
	list := func(name string) []string { value, _ := data[name].([]string); return value }
	return identity.Names{
		CommonName:   textAt(data, "common_name"),
		Organization: list("organization"), OrganizationalUnit: list("organizational_unit"),
		Country: list("country"), Province: list("province"), Locality: list("locality"),
		DNSSANs: list("dns_sans"), URISANs: list("uri_sans"),
	}
}

func (b *backend) csrPath() *framework.Path {
	return b.takes(csrRows(), &framework.Path{
		Pattern:         identityPrefix + framework.GenericNameRegex("name") + "/csr",
		DisplayAttrs:    displayAttrs("identity-csr"),
		HelpSynopsis:    csrSynopsis,
		HelpDescription: csrDescription,
		Fields:          map[string]*framework.FieldSchema{"name": connectionNameSchema()},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{Callback: b.withStatus(b.writeCSR), Summary: csrSynopsis,
				ForwardPerformanceStandby: true, ForwardPerformanceSecondary: true,
				Responses: map[int][]framework.Response{
					http.StatusOK: {{Description: "The key waits for its certificate.",
						Fields: map[string]*framework.FieldSchema{
							"csr": {
								Type:        framework.TypeString,
								Required:    true,
								Description: "Certificate signing request in PEM.",
							},
							"key_type": {
								Type:        framework.TypeString,
								Required:    true,
								Description: "Type of the private key.",
							},
							"waiting_since": {
								Type:        framework.TypeString,
								Required:    true,
								Description: "When the key was made, RFC 3339, UTC.",
							},
						}}},
				}},
		},
	})
}

func (b *backend) writeCSR(
	ctx context.Context,
	req *logical.Request,
	data *framework.FieldData,
) (*logical.Response, error) {
	name := data.Get("name").(string)
	names := namesIn(req.Data)
	p := requestProblems(ctx)
	field.RefuseUnknown(p, req.Data, append(field.Names(csrRows()), "name"))
	names.Check(p)
	if err := p.Err("making a request for connection "+problem.Quote(name), "nothing was stored"); err != nil {
		return nil, err
	}
	if names.CommonName == "" {
		names.CommonName = name
	}
	_, before, err := b.identified(ctx, req, name)
	if err != nil {
		return nil, err
	}
	keyType, replace := identity.DefaultKeyType, false
	if given, _ := req.Data["key_type"].(string); given != "" {
		keyType = given
	} else if before.Waiting != nil {
		keyType = before.Waiting.KeyType
	}
	replace, _ = req.Data["new_key"].(bool)
	// The key is made without a lock: one of RSA takes a second.
	prepared, err := before.NewWaiting(keyType, replace, names, b.now(), func(keyType string) (crypto.Signer, error) {
		return b.makeKey(ctx, keyType)
	})
	if err != nil {
		return nil, err
	}
	state, err := identities{b, req.Storage}.Update(ctx, name, func(now identity.State) (identity.State, error) {
		if !sameWaiting(now.Waiting, before.Waiting) {
			return identity.State{}, &conflictError{name,
				"another request for its certificate was made meanwhile; read the identity and write again"}
		}
		now.Waiting = prepared.Waiting
		return now, nil
	})
	if err != nil {
		return nil, err
	}
	shown := map[string]any{"csr": state.Waiting.CSR, "key_type": state.Waiting.KeyType}
	showTime(shown, "waiting_since", state.Waiting.Since)
	return &logical.Response{Data: shown}, nil
}

func sameWaiting(a, b *identity.Waiting) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.CSR == b.CSR
}
