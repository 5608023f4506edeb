package s3conn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/renewal"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// missingError names a connection that is not there.
type missingError struct{ name string }

func (e *missingError) Error() string {
	return fmt.Sprintf("there is no connection %s; \"vault list\" of config/ names those that exist",
		problem.Quote(e.name))
}

// conflictError is a write that met another state than the one it was authorised for, or that others overtook too
// often.
type conflictError struct{ name, text string }

func (e *conflictError) Error() string {
	return fmt.Sprintf("writing connection %s: %s", problem.Quote(e.name), e.text)
}

var (
	// errLocked is returned to a writer that has waited for another one.
	errLocked = errors.New("another write of this or another connection takes long; nothing was changed; try again")
	// errSlow is returned when Vault's storage has not answered within the time for a request.
	errSlow = errors.New("waiting for Vault's storage: it did not answer in time; a write may still take effect; " +
		"try again")
)

// errorResponse maps every error of a handler to the response of Vault. Only a CodedError that is not wrapped keeps its
// status on the way from the plugin to Vault.
//
//	cause                                 response
//	the request, or a permanent refusal   400, an error response
//	writes at the same time               409
//	throttling                            429
//	the service or the network            502, 503 or 504: clients of Vault's API repeat the request
//	a session that has not arrived yet    503
//	storage that does not answer in time  503
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
		open     *openFenceError
		pending  *enroll.PendingError
		raced    *scopeConflictError
		failed   *upstream.Error
		overrun  *conflictError
		grace    *rotation.GraceError
		twoKeys  *rotation.TwoKeysError
		shared   *rotation.SharedError
		refused  *rotation.NotAcceptedError

		ambiguous *rotation.AmbiguousError
	)
	switch {
	case errors.Is(err, identity.ErrNoCertificate), errors.Is(err, renewal.ErrNoIssuer),
		errors.Is(err, enroll.ErrNoIdentity),
		errors.As(err, &pending):
		return http.StatusBadRequest, true
	case errors.As(err, &grace), errors.As(err, &twoKeys), errors.As(err, &shared), errors.As(err, &ambiguous):
		return http.StatusBadRequest, true
	case errors.As(err, &refused):
		return http.StatusBadGateway, true
	case errors.Is(err, renewal.ErrBusy), errors.Is(err, identity.ErrChanged), errors.Is(err, rotation.ErrChanged):
		return http.StatusConflict, true
	case errors.As(err, &invalid), errors.As(err, &missing), errors.As(err, &noScope), errors.As(err, &unscoped),
		errors.As(err, &open):
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

// temporary reports whether the error is one that the same request may not get again.
func temporary(err error) bool {
	return errors.Is(err, session.ErrPending) || errors.Is(err, session.ErrGone) ||
		errors.Is(err, session.ErrUnsettled) ||
		errors.Is(err, session.ErrClosing) || errors.Is(err, errLocked) ||
		errors.Is(err, errMakingKey) || errors.Is(err, errDeriving) || errors.Is(err, errSlow) ||
		errors.Is(err, awscall.ErrSessionEnding) || errors.Is(err, errEntityPending) ||
		errors.Is(err, rotation.ErrPending) || errors.Is(err, rotation.ErrClosing)
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

// withStatus puts errorResponse behind a handler, which has maxRequestWait. On a standby a read that finds nothing goes
// to the active node.
func (b *backend) withStatus(handle framework.OperationFunc) framework.OperationFunc {
	return b.withStatusWithin(func(*logical.Request) time.Duration { return maxRequestWait }, handle)
}

// withStatusWithin is answer for a handler that has its own time.
func (b *backend) withStatusWithin(wait func(*logical.Request) time.Duration,
	handle framework.OperationFunc) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
		bounded, cancel := context.WithTimeout(ctx, wait(req))
		defer cancel()
		resp, err := handle(bounded, req, data)
		if err != nil {
			if _, known := statusOf(err); !known && bounded.Err() != nil && ctx.Err() == nil {
				err = errSlow
			}
			return errorResponse(b.forwarded(err))
		}
		if resp == nil && req.Operation == logical.ReadOperation && b.onStandby() {
			return nil, logical.ErrReadOnly
		}
		return resp, nil
	}
}
