package s3conn

import (
	"context"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	issuerSynopsis    = "Say who renews the certificate of a connection, and how."
	issuerDescription = `
Vault's or OpenBao's PKI engine, which the current certificate logs in to with the cert auth method:

  vault write s3conn/identity/orders/issuer type=vault_pki address=https://vault.example.com:8200 ca_cert=@ca.pem \
      cert_auth_role=s3conn-renewal pki_path=pki pki_role=s3conn

A server that speaks EST (RFC 7030), or step-ca:

  vault write s3conn/identity/orders/issuer type=est address=https://est.example.com ca_cert=@ca.pem
  vault write s3conn/identity/orders/issuer type=step_ca address=https://ca.example.com ca_cert=@ca.pem

The first certificate comes from identity/NAME/renew with a one-time secret, every later one with the certificate before
it. A write replaces the issuer as a whole: what is left out has its default. A delete leaves the certificate as it is.
`
)

func issuerRows() []field.Row {
	textRow := func(name, group, description string) field.Row {
		return field.Row{Name: name, Group: group, Limit: limitName, Description: description}
	}
	rows := []field.Row{
		{
			Name:        "type",
			Group:       "Issuer",
			Limit:       limitName,
			Allowed:     enroll.Types(),
			Required:    true,
			Description: "Kind of the issuer.",
		},
		{Name: "address", Group: "Issuer", Limit: limitName, Required: true,
			Description: "Address of the issuer's server, https://host[:port] without a path."},
		{Name: "ca_cert", Group: "Issuer", Limit: 64 << 10, Textarea: true,
			Description: "CA certificates in PEM, trusted for calls to the issuer beside the system's."},
		{
			Name:        "proxy_url",
			Group:       "Issuer",
			Limit:       limitName,
			Type:        field.Secret,
			Sensitive:   true,
			Redact:      enroll.RedactProxy,
			Description: "Proxy for calls to the issuer: http, https or socks5. A read hides its password.",
		},
		{Name: "renew_before", Group: "Renewal", Type: field.Seconds,
			Description: "How long before its end the certificate is renewed, in seconds or as a duration; below its " +
				"lifetime. The " +
				"default is a third of the lifetime. It is in use for a sixth of its lifetime at least."},
		{
			Name:        "key",
			Group:       "Renewal",
			Limit:       limitName,
			Default:     identity.KeyNew,
			Allowed:     []string{identity.KeyNew, identity.KeySame},
			Description: "\"new\" makes a new private key at each renewal, \"same\" keeps it.",
		},
		{Name: "key_type", Group: "Renewal", Limit: limitName, Allowed: identity.KeyTypes(),
			Description: "Type of new private keys. The default is that of the current one, " +
				"" + identity.DefaultKeyType + " for the first. " +
				"No issuer signs ML-DSA yet."},
		textRow("cert_auth_path", "vault_pki", "Mount path of the cert auth method. The default is cert."),
		textRow("cert_auth_role", "vault_pki", "Role of the cert auth method to log in as."),
		textRow("pki_path", "vault_pki", "Mount path of the PKI engine."),
		textRow("pki_role", "vault_pki", "Role of the PKI engine that signs."),
		textRow("namespace", "vault_pki", "Namespace of both, for servers that have namespaces."),
		{Name: "ttl", Group: "vault_pki", Type: field.Seconds,
			Description: "Lifetime to request, in seconds or as a duration. The default is the role's."},
		textRow("label", "est", "Label of the authority, for EST servers that have several."),
	}
	return append(rows, nameRows("the current certificate's, or the connection's name")...)
}

func (b *backend) issuerPath() *framework.Path {
	stored := map[int][]framework.Response{
		http.StatusNoContent: {{Description: "Stored."}},
		http.StatusOK:        {{Description: "Stored, with warnings."}},
	}
	shown := responseSchema(issuerRows())
	shown["name"] = connectionNameSchema()
	return b.takes(issuerRows(), &framework.Path{
		Pattern:         identityPrefix + framework.GenericNameRegex("name") + "/issuer",
		DisplayAttrs:    displayAttrs("identity-issuer"),
		HelpSynopsis:    issuerSynopsis,
		HelpDescription: issuerDescription,
		Fields:          map[string]*framework.FieldSchema{"name": connectionNameSchema()},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.withStatus(b.ofIdentity(b.readIssuer)),
				Summary:   "Read who renews the certificate.",
				Responses: map[int][]framework.Response{http.StatusOK: {{Description: "The issuer.", Fields: shown}}},
			},
			logical.UpdateOperation: &framework.PathOperation{
				Callback:                    b.withStatus(b.ofIdentity(b.writeIssuer)),
				Summary:                     issuerSynopsis,
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
				Responses:                   stored,
			},
			logical.DeleteOperation: &framework.PathOperation{
				Callback:                    b.withStatus(b.ofIdentity(b.deleteIssuer)),
				Summary:                     "Renew the certificate no more.",
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
				Responses: map[int][]framework.Response{
					http.StatusNoContent: {{Description: "Done."}},
				},
			},
		},
	})
}

func (b *backend) readIssuer(_ context.Context, r identityRequest) (*logical.Response, error) {
	i := r.state.Issuer
	if i == nil {
		return nil, nil
	}
	names := i.Names
	return &logical.Response{Data: map[string]any{
		"name": r.name, "type": i.Type, "address": i.Address, "ca_cert": i.CACert,
		"proxy_url":    enroll.RedactProxy(i.ProxyURL),
		"renew_before": int64(i.RenewBefore / time.Second), "key": i.Key, "key_type": i.KeyType,
		"cert_auth_path": i.CertAuthPath, "cert_auth_role": i.CertAuthRole, "pki_path": i.PKIPath,
		"pki_role":  i.PKIRole,
		"namespace": i.Namespace, "ttl": int64(i.TTL / time.Second), "label": i.Label,
		"common_name": names.CommonName, "organization": list(names.Organization),
		"organizational_unit": list(names.OrganizationalUnit),
		"country":             list(names.Country), "province": list(names.Province), "locality": list(names.Locality),
		"dns_sans": list(names.DNSSANs), "uri_sans": list(names.URISANs),
	}}, nil
}

// list is never nil, which clients would see as null.
func list(texts []string) []string { return append([]string{}, texts...) }

func (b *backend) writeIssuer(ctx context.Context, r identityRequest) (*logical.Response, error) {
	p := requestProblems(ctx)
	field.RefuseUnknown(p, r.Data, append(field.Names(issuerRows()), "name"))
	issuer := issuerIn(r.Data)
	issuer.Check(p, r.state)
	subject := "writing the issuer of connection " + problem.Quote(r.name)
	if err := p.Err(subject, "the issuer is unchanged"); err != nil {
		return nil, err
	}
	if err := b.setIssuer(ctx, r, issuer); err != nil {
		return nil, err
	}
	if r.conn.Certificate == "" {
		return &logical.Response{
			Warnings: []string{"the connection has no certificate yet: request the first one with " +
				"identity/" + r.name + "/renew and a one-time secret"},
		}, nil
	}
	return nil, nil
}

// setIssuer stores the issuer, nil for none, whatever else of the identity has changed meanwhile.
func (b *backend) setIssuer(ctx context.Context, r identityRequest, issuer *identity.Issuer) error {
	_, err := identities{b, r.Storage}.Update(ctx, r.name, func(now identity.State) (identity.State, error) {
		return now.WithIssuer(issuer), nil
	})
	return err
}

func issuerIn(data map[string]any) *identity.Issuer {
	seconds := func(name string) time.Duration {
		value, _ := data[name].(int64)
		return time.Duration(value) * time.Second
	}
	issuer := &identity.Issuer{
		Revision: connection.NewRevision(),
		Settings: enroll.Settings{
			Type: textAt(data, "type"), Address: textAt(data, "address"), CACert: textAt(data, "ca_cert"),
			ProxyURL:     secret.New(textAt(data, "proxy_url")),
			CertAuthPath: textAt(data, "cert_auth_path"), CertAuthRole: textAt(data, "cert_auth_role"),
			PKIPath: textAt(data, "pki_path"), PKIRole: textAt(data, "pki_role"),
			Namespace: textAt(data, "namespace"), TTL: seconds("ttl"), Label: textAt(data, "label"),
		},
		RenewBefore: seconds("renew_before"), Key: textAt(data, "key"), KeyType: textAt(data, "key_type"),
		Names: namesIn(data),
	}
	if issuer.Key == "" {
		issuer.Key = identity.KeyNew
	}
	return issuer
}

func (b *backend) deleteIssuer(ctx context.Context, r identityRequest) (*logical.Response, error) {
	if r.state.Issuer == nil {
		return nil, nil
	}
	return nil, b.setIssuer(ctx, r, nil)
}
