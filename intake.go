package s3conn

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// The framework checks types by itself, but its error quotes the value: a secret_key sent as an object would be
// repeated in the response, the server's log and the audit log. So the fields of every path are decoded here first,
// with errors that never quote a secret, and the framework sees only values that it accepts.

type intakeKey struct{}

// decodeRequest replaces the request's fields by their decoded values, as field.Row.Decode returns them. A field that
// cannot be decoded is left out, and requestProblems returns what is wrong with it.
func (b *backend) decodeRequest(ctx context.Context, req *logical.Request) context.Context {
	if len(req.Data) == 0 {
		return ctx
	}
	path := b.Route(req.Path)
	if path == nil {
		return ctx // the framework refuses it without a look at the fields
	}
	problems := &problem.List{}
	req.Data = field.DecodeAll(b.rows[path], req.Data, problems)
	return context.WithValue(ctx, intakeKey{}, problems)
}

// textAt returns a text out of decoded fields, "" where there is none.
func textAt(fields map[string]any, name string) string {
	value, _ := fields[name].(string)
	return value
}

// requestProblems returns what was wrong with the fields of the request, in a list of the caller's own.
func requestProblems(ctx context.Context) *problem.List {
	if problems, ok := ctx.Value(intakeKey{}).(*problem.List); ok {
		return problems.Clone()
	}
	return &problem.List{}
}
