package s3conn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

const (
	renewSynopsis    = "Renew the certificate of a connection now."
	renewDescription = `
  vault write -f s3conn/identity/orders/renew

The first certificate, and one after the current has ended, needs a one-time secret of the issuer, which is sent once
and stored nowhere: token for vault_pki (a Vault token) and step_ca (a one-time token), username and password for est.

  vault write s3conn/identity/orders/renew token=@token.txt
`
)

func renewRows() []field.Row {
	hidden := func(name, description string) field.Row {
		return field.Row{
			Name:        name,
			Group:       "One-time secret",
			Type:        field.Secret,
			Sensitive:   true,
			Limit:       16 << 10,
			Instruction: true,
			Description: description,
		}
	}
	return []field.Row{
		hidden("token", "Vault token for vault_pki, one-time token for step_ca. Used once, never stored."),
		hidden("username", "User for est. Used once, never stored."),
		hidden("password", "Password for est. Used once, never stored."),
	}
}

func (b *backend) renewPath() *framework.Path {
	responses := map[int][]framework.Response{
		http.StatusOK: {{Description: "The certificate is renewed.", Fields: identityResponseSchema()}},
	}
	return b.takes(renewRows(), &framework.Path{
		Pattern:         identityPrefix + framework.GenericNameRegex("name") + "/renew",
		DisplayAttrs:    displayAttrs("identity-renewal"),
		HelpSynopsis:    renewSynopsis,
		HelpDescription: renewDescription,
		Fields:          map[string]*framework.FieldSchema{"name": connectionNameSchema()},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:                    b.withStatusWithin(testWait, b.renewIdentity),
				Summary:                     renewSynopsis,
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
				Responses:                   responses,
			},
		},
	})
}

func (b *backend) renewIdentity(
	ctx context.Context,
	req *logical.Request,
	data *framework.FieldData,
) (*logical.Response, error) {
	name := data.Get("name").(string)
	subject := "renewing the certificate of connection " + problem.Quote(name)
	p := requestProblems(ctx)
	field.RefuseUnknown(p, req.Data, append(field.Names(renewRows()), "name"))
	given := secretIn(req.Data)
	_, state, err := b.identified(ctx, req, name)
	if err != nil {
		return nil, err
	}
	checkRenewal(p, state, given)
	if err := p.Err(subject, state.Unchanged()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxProbeWait)
	defer cancel()
	after, err := b.renewer.Renew(ctx, name, given)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; %s", subject, err, state.Unchanged())
	}
	conn, _, err := b.identified(ctx, req, name)
	if err != nil {
		return nil, err
	}
	return b.identityResponse(name, conn, after)
}

func secretIn(data map[string]any) enroll.Secret {
	at := func(name string) secret.Text { return secret.New(textAt(data, name)) }
	return enroll.Secret{Token: at("token"), Username: at("username"), Password: at("password")}
}

// checkRenewal adds to the list why a renewal cannot begin.
func checkRenewal(p *problem.List, state identity.State, given enroll.Secret) {
	if state.Issuer == nil {
		p.Add("name", "nobody renews its certificate; write identity/NAME/issuer first")
		return
	}
	wanted, usesToken := "username and password", state.Issuer.Type != enroll.TypeEST
	if usesToken {
		wanted = "token"
	}
	switch {
	case usesToken && !(given.Username.Empty() && given.Password.Empty()):
		p.Add(
			"username",
			"is for type %s; the issuer's type is %s, which takes a token",
			enroll.TypeEST,
			state.Issuer.Type,
		)
	case !usesToken && !given.Token.Empty():
		p.Add("token", "is not for type %s, which takes username and password", enroll.TypeEST)
	case given.Username.Empty() != given.Password.Empty():
		p.Add("password", "and username belong together; give both")
	case given.Empty() && state.Current == nil && state.PendingProof() == "":
		p.Add(map[bool]string{true: "token", false: "username"}[usesToken],
			"is required for the first certificate, which has none before it to authenticate with; give %s", wanted)
	}
}

// describeRenewal puts what failed on the way to the issuer into safe words. Errors of the plugin's own stay as they
// are.
func describeRenewal(err error) error {
	var (
		refusal   *enroll.RefusalError
		transport *url.Error
	)
	switch {
	case errors.Is(err, identity.ErrUnusable):
		return upstream.New("", upstream.Permanent, err.Error(), err)
	case errors.As(err, &refusal):
		return upstream.Describe(refusal.Operation, err)
	case errors.As(err, &transport), errors.Is(err, enroll.ErrUnusableAnswer):
		return upstream.Describe("requesting a certificate", err)
	}
	return err
}

// permanentProof says whether the service refused a certificate for good.
func permanentProof(err error) bool {
	var failed *upstream.Error
	return errors.As(err, &failed) && failed.Kind == upstream.Permanent
}

// renewalLog is the Observer of renewals.
type renewalLog struct{ *backend }

// Renewed implements renewal.Observer.
func (l renewalLog) Renewed(name string, _ identity.State, warnings []string) {
	l.monitor.upkeep(health.Renewal, name, nil, time.Time{})
	for _, one := range warnings {
		l.Logger().Warn("renewing the certificate", "connection", name, "warning", one)
	}
}

// RenewalFailed implements renewal.Observer. An issuer that has not decided yet has not failed.
func (l renewalLog) RenewalFailed(name string, state identity.State, err error) {
	var pending *enroll.PendingError
	if errors.As(err, &pending) {
		l.Logger().Info("the issuer has not decided yet", "connection", name, "next_try", instant(state.Record.NextTry))
		return
	}
	l.monitor.upkeep(health.Renewal, name, err, state.Record.NextTry)
}

// renewalStatus says who renews a connection's certificate, and when.
func renewalStatus(ctx context.Context, storage logical.Storage, name string) (map[string]any, error) {
	_, state, err := loadWithIdentity(ctx, storage, name)
	var unreadable *connection.UnreadableError
	var unreadableIdentity *identity.UnreadableError
	switch {
	case errors.As(err, &unreadable), errors.As(err, &unreadableIdentity):
		return nil, nil // the state of the connection says so
	case err != nil || state.Issuer == nil:
		return nil, err
	}
	shown := map[string]any{"issuer_type": state.Issuer.Type}
	showTime(shown, "renew_at", state.RenewAt())
	showTime(shown, "last_renewal", state.Record.LastRenewal)
	return shown, nil
}
