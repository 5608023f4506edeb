package s3conn

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// missingError names a connection that is not there.
type missingError struct{ name string }

func (e *missingError) Error() string {
	return fmt.Sprintf("there is no connection %s; \"vault list\" of config/ shows those there are", problem.Quote(e.name))
}

// conflictError is a write that others overtook too often.
type conflictError struct{ name string }

func (e *conflictError) Error() string {
	return fmt.Sprintf("writing connection %s: others changed it again and again meanwhile; what is stored is theirs; read it and write again", problem.Quote(e.name))
}

// errorResponse maps every error of a handler to what Vault answers. Only a CodedError that is not wrapped keeps its
// status on the way from the plugin to Vault.
//
//	what is wrong                         answer
//	the request, or a permanent refusal   400, an error response
//	two writers at once                   409
//	throttling                            429
//	the service or the way to it          502, 503 or 504: clients of Vault's API try those again
//	a session that has not arrived yet    503
//	settings that change under a read     503
//	anything else (storage, a defect)     500, the error as it is; a read-only node's keeps its words
func errorResponse(err error) (*logical.Response, error) {
	switch status, known := statusOf(err); {
	case !known:
		return nil, err
	case status == http.StatusBadRequest:
		return logical.ErrorResponse(err.Error()), nil
	default:
		return nil, logical.CodedError(status, err.Error())
	}
}

// statusOf knows the errors that are not this host's own trouble.
func statusOf(err error) (status int, known bool) {
	var (
		invalid  *problem.Error
		missing  *missingError
		unscoped *missingScopeError
		raced    *scopeConflictError
		failed   *upstream.Error
		overrun  *conflictError
	)
	switch {
	case errors.As(err, &invalid), errors.As(err, &missing), errors.As(err, &unscoped):
		return http.StatusBadRequest, true
	case errors.As(err, &failed):
		return upstreamStatus(failed), true
	case errors.As(err, &overrun), errors.As(err, &raced):
		return http.StatusConflict, true
	case temporary(err):
		return http.StatusServiceUnavailable, true
	}
	return 0, false
}

// temporary says whether the error is one of the pool's that a second try may not have.
func temporary(err error) bool {
	return errors.Is(err, session.ErrPending) || errors.Is(err, session.ErrGone) || errors.Is(err, session.ErrUnsettled) ||
		errors.Is(err, session.ErrClosing) || errors.Is(err, awscall.ErrSessionEnding)
}

// upstreamStatus is what a client of Vault's API gets for a failed call. It repeats by itself what comes with 429 or 5xx.
func upstreamStatus(failed *upstream.Error) int {
	switch {
	case failed.Kind == upstream.Permanent:
		return http.StatusBadRequest
	case failed.Kind == upstream.Throttled:
		return http.StatusTooManyRequests
	case failed.Busy:
		return http.StatusServiceUnavailable
	case failed.TimedOut:
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// answer puts errorResponse behind a handler.
func (b *backend) answer(handle framework.OperationFunc) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
		resp, err := handle(ctx, req, data)
		if err != nil {
			return errorResponse(err)
		}
		return resp, nil
	}
}
