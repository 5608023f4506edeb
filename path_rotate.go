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
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
)

const (
	rotateSynopsis    = "Replace a connection's access key now."
	rotateDescription = `
  vault write -f s3conn/rotate/reports

Has IAM make another access key for the IAM user of the connection's key, waits until it is accepted, stores it and
hands it out. The key before works for rotation_grace more, in which no other rotation is possible, and is deleted then.

It responds within 14 seconds. What takes longer goes on in the background: the response is a 503 then, the key before
stays in use meanwhile, and asking again joins the rotation. A new key that is not accepted within 2 minutes is deleted.

The user needs iam:CreateAccessKey, iam:ListAccessKeys, iam:UpdateAccessKey and iam:DeleteAccessKey on itself, and may
have no other access key.
`
)

func (b *backend) rotatePath() *framework.Path {
	return &framework.Path{
		Pattern:         "rotate/" + framework.GenericNameRegex("name"),
		DisplayAttrs:    displayAttrs("access-key-rotation"),
		HelpSynopsis:    rotateSynopsis,
		HelpDescription: rotateDescription,
		Fields:          b.nameOnly,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback: b.withStatusWithin(func(*logical.Request) time.Duration { return maxProbeWait }, b.rotate),
				Summary:  rotateSynopsis,
				Responses: map[int][]framework.Response{
					http.StatusOK: {{Description: "The key was replaced.", Fields: rotatedSchema()}},
				},
				ForwardPerformanceStandby:   true,
				ForwardPerformanceSecondary: true,
			},
		},
	}
}

func rotatedSchema() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"access_key": {Type: framework.TypeString, Required: true, Description: "ID of the access key in use."},
		"previous_access_key": {Type: framework.TypeString, Required: true,
			Description: "ID of the access key before."},
		"previous_key_end": {Type: framework.TypeString, Required: true,
			Description: "Until when the access key before works, RFC 3339, UTC."},
		"last_vault_rotation": {Type: framework.TypeString, Required: true,
			Description: "When the key was replaced, RFC 3339, UTC."},
		"next_rotation": {Type: framework.TypeString,
			Description: "When the key is to be replaced next, RFC 3339, UTC. With rotation_period only."},
	}
}

func (b *backend) rotate(
	ctx context.Context,
	req *logical.Request,
	data *framework.FieldData,
) (*logical.Response, error) {
	name := data.Get("name").(string)
	subject := "rotating the access key of connection " + problem.Quote(name)
	p := requestProblems(ctx)
	checkName(p, "name", name)
	field.RefuseUnknown(p, req.Data, []string{"name"})
	conn, err := loadConnection(ctx, req.Storage, name)
	switch {
	case err != nil:
		return nil, err
	case conn == nil:
		return nil, &missingError{name}
	case conn.UsesRolesAnywhere():
		p.Add("auth_type", "the connection has no access key: it obtains sessions with its certificate")
	}
	if err := p.Err(subject, "nothing was called"); err != nil {
		return nil, err
	}
	state, err := b.rotator.Rotate(ctx, name)
	if errors.Is(err, rotation.ErrGone) {
		return nil, &missingError{name}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	resp := &logical.Response{Data: map[string]any{
		"access_key":          state.New.ID,
		"previous_access_key": state.Old.ID,
		"previous_key_end":    state.Until.UTC().Format(time.RFC3339),
		"last_vault_rotation": state.Since.UTC().Format(time.RFC3339),
	}}
	if period, _ := conn.Rotation(); period > 0 {
		resp.Data["next_rotation"] = state.Since.Add(period).UTC().Format(time.RFC3339)
	}
	return resp, nil
}

// addRotation adds to the response with an access key how it is rotated. Vault Secrets Operator and Vault Agent read
// these names, and ttl.
func addRotation(data map[string]any, conn *connection.Connection) {
	last, next := conn.LastRotation()
	if next.IsZero() {
		return
	}
	data["last_vault_rotation"] = last.Format(time.RFC3339)
	data["rotation_period"] = conn.RotationPeriod
}

// untilRotation is how many seconds an access key has until its next rotation, and 0 if it is not rotated.
func untilRotation(conn *connection.Connection, now time.Time) int64 {
	_, next := conn.LastRotation()
	if next.IsZero() {
		return 0
	}
	return max(int64(next.Sub(now)/time.Second), minRotationTTL)
}

// minRotationTTL is the ttl, in seconds, of an access key whose rotation is due: clients read again after it.
const minRotationTTL = 10
