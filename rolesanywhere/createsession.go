package rolesanywhere

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithytime "github.com/aws/smithy-go/time"
)

// maxResponse bounds the service's response, in bytes. A real one is about 2 KiB.
const maxResponse = 1 << 20

// As the SDK's own module for the service would have them, in errors.
const (
	serviceID     = "RolesAnywhere"
	operationName = "CreateSession"
)

// CreateSession exchanges id's signature for temporary credentials; optFns change the client's options for this call.
// Every attempt is signed anew with the time it is sent at. It returns within the client's timeout, or when ctx ends;
// the key's own waits (an HSM, a KMS) are its own to bound. Calls are not shared or cached: see
// [NewCredentialsProvider], and keep to the service's quota of 10 calls a second per account and region.
//
// The error is a *smithy.OperationError, as of the SDK's clients. It wraps [ErrInvalidInput],
// [ErrCertificateExpired] or [ErrCertificateNotYetValid] (nothing was sent), *[APIError] (the service
// refused), [ErrInvalidResponse] (it said yes without usable credentials), or the error of the
// connection, the key or ctx; *retry.MaxAttemptsError is around the last attempt's error where all attempts were made.
// With an error the output is nil.
//
// The operation: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
func (c *Client) CreateSession(
	ctx context.Context, id *Identity, in CreateSessionInput, optFns ...func(*Options),
) (*CreateSessionOutput, error) {
	out, err := c.createSession(ctx, id, in, optFns)
	if err != nil {
		return nil, &smithy.OperationError{ServiceID: serviceID, OperationName: operationName, Err: err}
	}
	return out, nil
}

func (c *Client) createSession(
	ctx context.Context, id *Identity, in CreateSessionInput, optFns []func(*Options),
) (*CreateSessionOutput, error) {
	if c == nil || id == nil || id.key == nil {
		return nil, fmt.Errorf(
			"%w: no identity, or no client; want those of NewIdentity or ParseIdentity and of New",
			ErrInvalidInput,
		)
	}
	options := c.options
	for _, change := range optFns {
		change(&options)
	}
	call, err := options.withDefaults().resolve(in)
	if err != nil {
		return nil, err
	}
	body, err := in.encode()
	if err != nil {
		return nil, err
	}
	if err := id.CheckValidity(call.Now()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, call.Timeout)
	defer cancel()
	return call.withRetries(ctx, id, body)
}

// withRetries follows the protocol that the SDK's own middleware keeps with a retryer: a token for
// each attempt, another for each retry, and the delay in between.
func (c *call) withRetries(ctx context.Context, id *Identity, body []byte) (*CreateSessionOutput, error) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	releaseRetry := func(error) error { return nil }
	for attempt := 1; ; attempt++ {
		releaseAttempt, err := attemptToken(ctx, c.Retryer)
		if err != nil {
			return nil, fmt.Errorf("waiting for the retryer: %w", err)
		}
		out, err := c.attempt(ctx, id, body, hash)
		// Releasing tokens only feeds the retryer's budget: its failure does not touch this call.
		_ = releaseRetry(err)
		_ = releaseAttempt(err)
		if err == nil {
			return out, nil
		}
		if releaseRetry = c.prepareRetry(ctx, attempt, err); releaseRetry != nil {
			c.logRetry(ctx, attempt+1, err)
			continue
		}
		return nil, c.lastError(ctx, attempt, err)
	}
}

// lastError says how many attempts ended with err, and what kept them from going on.
func (c *call) lastError(ctx context.Context, attempt int, err error) error {
	switch limit := c.Retryer.MaxAttempts(); {
	case attempt > 1 && attempt == limit:
		err = &retry.MaxAttemptsError{Attempt: attempt, Err: err}
	case attempt > 1:
		err = fmt.Errorf("after %d attempts: %w", attempt, err)
	}
	if ended := ctx.Err(); ended != nil {
		err = &endedError{err: err, ended: ended}
	}
	return err
}

func attemptToken(ctx context.Context, r aws.Retryer) (func(error) error, error) {
	if v2, ok := r.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}

// prepareRetry waits until the next attempt is due. It returns nil if there is to be none.
func (c *call) prepareRetry(ctx context.Context, attempt int, err error) func(error) error {
	limit := c.Retryer.MaxAttempts() // 0 is without limit
	if ctx.Err() != nil || (limit > 0 && attempt >= limit) || !c.Retryer.IsErrorRetryable(err) {
		return nil
	}
	release, tokenErr := c.Retryer.GetRetryToken(ctx, err)
	if tokenErr != nil {
		return nil
	}
	delay, delayErr := c.Retryer.RetryDelay(attempt, err)
	if delayErr != nil || smithytime.SleepWithContext(ctx, delay) != nil {
		_ = release(err)
		return nil
	}
	return release
}

func (c *call) attempt(ctx context.Context, id *Identity, body []byte, hash string) (*CreateSessionOutput, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	// Without GetBody net/http follows no redirect that repeats a POST (307, 308), whoever made the
	// client; retries are made here, where they are signed anew.
	r.GetBody = nil
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", c.userAgent())
	if err := id.SignHTTP(ctx, r, hash, c.Region, c.Now()); err != nil {
		return nil, err
	}
	response, err := c.HTTPClient.Do(r)
	if err != nil {
		return nil, &connectionError{doing: "sending request", err: err}
	}
	defer func() { _ = response.Body.Close() }()
	if response.Request != nil && response.Request.URL.String() != r.URL.String() {
		return nil, fmt.Errorf("%w: the HTTP client followed a redirect, which it must not", ErrInvalidResponse)
	}
	received, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	if err != nil {
		return nil, &connectionError{doing: "reading response", err: err}
	}
	if len(received) > maxResponse {
		return nil, fmt.Errorf("%w: the body is longer than %d bytes (status %d, request id %q)",
			ErrInvalidResponse, maxResponse, response.StatusCode, requestID(response.Header))
	}
	return decodeResponse(response.StatusCode, response.Header, received, c.Now())
}
