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
	return fmt.Sprintf("there is no connection %s; \"vault list\" of config/ names those that exist", problem.Quote(e.name))
}

// conflictError is a write that started again too often because other writes came between.
type conflictError struct{ name string }

func (e *conflictError) Error() string {
	return fmt.Sprintf("writing connection %s: other writes changed it again and again meanwhile, and this one was not "+
		"stored; read the connection and write it again", problem.Quote(e.name))
}

// errorResponse maps every error of a handler to the response of Vault. Only a CodedError that is not wrapped keeps its
// status on the way from the plugin to Vault.
//
//	cause                                 response
//	the request, or a permanent refusal   400, an error response
//	writes at the same time               409
//	throttling                            429
//	the service or the network            502, 503 or 504: clients of Vault's API repeat the request
//	a session that has not arrived yet    503
//	settings that change during a read    503
//	anything else (storage, a defect)     500 with the error's own text, which Vault needs of a read-only node
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

// statusOf returns the HTTP status of an error; known is false for those of this host, such as failing storage.
func statusOf(err error) (status int, known bool) {
	var (
		invalid  *problem.Error
		missing  *missingError
		noScope  *missingScopeError
		unscoped *unscopedError
		raced    *scopeConflictError
		failed   *upstream.Error
		overrun  *conflictError
	)
	switch {
	case errors.As(err, &invalid), errors.As(err, &missing), errors.As(err, &noScope), errors.As(err, &unscoped):
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

// temporary reports whether the error is one of the pool's that the same request may not get again.
func temporary(err error) bool {
	return errors.Is(err, session.ErrPending) || errors.Is(err, session.ErrGone) || errors.Is(err, session.ErrUnsettled) ||
		errors.Is(err, session.ErrClosing) || errors.Is(err, awscall.ErrSessionEnding) ||
		errors.Is(err, errEntityPending)
}

// upstreamStatus is what a client of Vault's API gets for a failed call. It repeats by itself what comes with 429 or
// 5xx.
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
