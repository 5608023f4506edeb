package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
)

const secretType = "floor_session"

// floor answers reads before the SDK's framework sees them. The framework asks Vault for its replication state at every
// request, over gRPC: with that, a read is two hops and not one.
type floor struct {
	*framework.Backend
	answers map[string]*logical.Response // by the path's first element
}

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	b := newFloor(time.Now())
	if err := b.Setup(ctx, config); err != nil {
		return nil, err
	}
	return b, nil
}

// newFloor makes every answer once: a read hands out what is there.
func newFloor(now time.Time) *floor {
	expiration := now.Add(answer.Lifetime)
	leaseless := &logical.Response{Data: credentials(expiration)}
	leased := &logical.Response{Data: credentials(expiration), Secret: &logical.Secret{
		LeaseOptions: logical.LeaseOptions{TTL: answer.Lifetime - time.Minute, MaxTTL: answer.Lifetime - time.Minute,
			Renewable: true},
		// What the engine's leases hold, in its sizes: Vault decodes and stores it with every read.
		InternalData: map[string]any{"secret_type": secretType, "connection": "orders",
			"expiration": expiration.UTC().Format(time.RFC3339Nano), "issued": now.UTC().Format(time.RFC3339Nano),
			"process": strings.Repeat("P", 26), "uptime_at_end": strconv.FormatInt(int64(answer.Lifetime), 10)},
	}}
	return &floor{
		Backend: &framework.Backend{
			BackendType:    logical.TypeLogical,
			RunningVersion: "v0.0.0",
			// What a plugin gets that leaves everything to the framework.
			Paths:   []*framework.Path{constant("framework/", leaseless)},
			Secrets: []*framework.Secret{{Type: secretType, Revoke: revoke, Renew: revoke}},
		},
		answers: map[string]*logical.Response{"leaseless": leaseless, "leased": leased, "raw": raw(expiration)},
	}
}

// HandleRequest implements logical.Backend.
func (f *floor) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	kind, _, _ := strings.Cut(req.Path, "/")
	if resp := f.answers[kind]; resp != nil && req.Operation == logical.ReadOperation {
		return resp, nil
	}
	return f.Backend.HandleRequest(ctx, req)
}

func constant(prefix string, resp *logical.Response) *framework.Path {
	return &framework.Path{
		Pattern: prefix + framework.GenericNameRegex("name"),
		Fields:  map[string]*framework.FieldSchema{"name": {Type: framework.TypeString}},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback: func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
					return resp, nil
				},
			},
		},
	}
}

// credentials has the fields of the s3conn engine's creds/NAME.
func credentials(expiration time.Time) map[string]any {
	return map[string]any{
		"access_key":     answer.AccessKeyID,
		"secret_key":     answer.SecretAccessKey,
		"session_token":  answer.SessionToken(),
		"security_token": answer.SessionToken(),
		"region":         answer.Region,
		"auth_type":      "roles_anywhere",
		"expiration":     expiration.UTC().Format(time.RFC3339),
		"ttl":            int64(answer.Lifetime / time.Second),
		"arn":            answer.AssumedRoleARN,
	}
}

// raw has the members of the s3conn engine's sdk/NAME.
func raw(expiration time.Time) *logical.Response {
	body, err := json.Marshal(struct {
		Version                                                                           int
		AccessKeyId, SecretAccessKey, Token, SessionToken, Expiration, AccountId, RoleArn string
	}{
		1, answer.AccessKeyID, answer.SecretAccessKey, answer.SessionToken(), answer.SessionToken(),
		expiration.UTC().Format(time.RFC3339), answer.Account, answer.RoleARN,
	})
	if err != nil {
		panic(err) // strings and a number always encode
	}
	return &logical.Response{Data: map[string]any{
		logical.HTTPContentType:        "application/json",
		logical.HTTPStatusCode:         http.StatusOK,
		logical.HTTPRawBody:            body,
		logical.HTTPCacheControlHeader: "no-store",
	}}
}

func revoke(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
	return nil, nil
}
