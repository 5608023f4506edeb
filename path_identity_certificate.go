package s3conn

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

const (
	certificateSynopsis    = "Give the certificate for the key that waits, or another one for the current key."
	certificateDescription = `
  vault write s3conn/identity/orders/certificate certificate=@orders.pem

The certificate must be of the key that waits, or of the current key, which renews it. It is proved first: a session is
requested with it, as for a read. What passes becomes the connection's identity, and the session the one that readers
get: no read fails or waits. What does not pass changes nothing, and the key goes on waiting.
`
	verifyCertificateField = "verify"
)

func certificateFieldRows() []field.Row {
	return []field.Row{
		{Name: "certificate", Limit: 64 << 10, Textarea: true, Required: true,
			Description: "X.509 certificate in PEM, leaf first, then up to 5 intermediates."},
		{Name: verifyCertificateField, Type: field.Bool, Default: true, Instruction: true,
			Description: "Proves the certificate with a session before it becomes current, which is the default. " +
				"false skips " +
				"that, and the session in use goes on."},
	}
}

func (b *backend) certificatePath() *framework.Path {
	responses := map[int][]framework.Response{
		http.StatusOK: {{Description: "The certificate is current.", Fields: identityResponseSchema()}},
	}
	return b.takes(certificateFieldRows(), &framework.Path{
		Pattern:         identityPrefix + framework.GenericNameRegex("name") + "/certificate",
		DisplayAttrs:    displayAttrs("identity-certificate"),
		HelpSynopsis:    certificateSynopsis,
		HelpDescription: certificateDescription,
		Fields:          map[string]*framework.FieldSchema{"name": connectionNameSchema()},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback:                    b.withStatusWithin(testWait, b.writeCertificate),
				Summary:                     certificateSynopsis,
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
				Responses:                   responses,
			},
		},
	})
}

func (b *backend) writeCertificate(
	ctx context.Context,
	req *logical.Request,
	data *framework.FieldData,
) (*logical.Response, error) {
	name := data.Get("name").(string)
	subject := "writing the certificate of connection " + problem.Quote(name)
	p := requestProblems(ctx)
	field.RefuseUnknown(p, req.Data, append(field.Names(certificateFieldRows()), "name"))
	text, _ := req.Data["certificate"].(string)
	if text == "" && !p.Has("certificate") {
		p.Add("certificate", "is required; give the PEM, leaf first")
	}
	if err := p.Err(subject, "the identity is unchanged"); err != nil {
		return nil, err
	}
	_, state, err := b.identified(ctx, req, name)
	if err != nil {
		return nil, err
	}
	pair, err := state.Join(text, b.now())
	if err != nil {
		return nil, err
	}
	swap := func(now identity.State) (identity.State, error) { return now.Swap(pair, b.now()) }
	reach := identities{b, req.Storage}
	if verify, given := req.Data[verifyCertificateField].(bool); given && !verify {
		if err := reach.swapUnproved(ctx, name, swap); err != nil {
			return nil, err
		}
	} else if err := b.proveAndAdopt(ctx, reach, name, pair, swap); err != nil {
		return nil, fmt.Errorf("%s: proving it: %w; %s", subject, err, state.Unchanged())
	}
	b.monitor.events.Send(health.Event{Type: health.CertificateSwapped,
		Metadata: map[string]string{"connection": name}})
	conn, state, err := b.identified(ctx, req, name)
	if err != nil {
		return nil, err
	}
	return b.identityResponse(name, conn, state)
}

func (b *backend) proveAndAdopt(ctx context.Context, reach identities, name string, pair *identity.Pair,
	swap func(identity.State) (identity.State, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, maxProbeWait)
	defer cancel()
	proven, err := reach.prove(ctx, name, pair, budget.Test)
	if err != nil {
		return err
	}
	_, err = reach.Adopt(ctx, name, proven, swap)
	return err
}
