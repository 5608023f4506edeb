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
	smithytime "github.com/aws/smithy-go/time"
)

// maxResponse bounds the service's answer, in bytes. A real one is about 2 KiB.
const maxResponse = 1 << 20

// CreateSession exchanges id's signature for temporary credentials. Every attempt is signed anew with
// the time it is sent at. It returns within the client's timeout, or when ctx ends; the key's own
// waits (an HSM, a KMS) are its own to bound. Calls are not shared or cached: see
// [NewCredentialsProvider], and keep to the service's quota of 10 calls a second per account and region.
//
// Errors wrap [ErrInvalidInput], [ErrCertificateExpired] or [ErrCertificateNotYetValid] (nothing was
// sent), *[APIError] (the service refused), [ErrInvalidResponse] (it said yes without usable
// credentials), or the error of the connection, the key or ctx. With an error the output is nil.
//
// The operation: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-create-session.html
func (c *Client) CreateSession(ctx context.Context, id *Identity, in CreateSessionInput) (*CreateSessionOutput, error) {
	if c == nil || id == nil || id.key == nil {
		return nil, fmt.Errorf("creating session: %w: no identity, or no client; want those of NewIdentity or ParseIdentity and of NewClient", ErrInvalidInput)
	}
	body, err := in.encode()
	if err != nil {
		return nil, fmt.Errorf("creating session: %w", err)
	}
	if err := id.CheckValidity(c.now()); err != nil {
		return nil, fmt.Errorf("creating session: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.callWithRetries(ctx, id, body)
	if err != nil {
		return nil, fmt.Errorf("creating session: %w", err)
	}
	return out, nil
}

// callWithRetries follows the protocol that the SDK's own middleware keeps with a retryer: a token for
// each attempt, another for each retry, and the delay in between.
func (c *Client) callWithRetries(ctx context.Context, id *Identity, body []byte) (*CreateSessionOutput, error) {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	releaseRetry := func(error) error { return nil }
	for attempt := 1; ; attempt++ {
		releaseAttempt, err := attemptToken(ctx, c.retryer)
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
			continue
		}
		if attempt > 1 {
			err = fmt.Errorf("after %d attempts: %w", attempt, err)
		}
		if ended := ctx.Err(); ended != nil {
			err = &endedError{err: err, ended: ended}
		}
		return nil, err
	}
}

func attemptToken(ctx context.Context, r aws.Retryer) (func(error) error, error) {
	if v2, ok := r.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}

// prepareRetry waits until the next attempt is due. It returns nil if there is to be none.
func (c *Client) prepareRetry(ctx context.Context, attempt int, err error) func(error) error {
	limit := c.retryer.MaxAttempts() // 0 is without limit
	if ctx.Err() != nil || (limit > 0 && attempt >= limit) || !c.retryer.IsErrorRetryable(err) {
		return nil
	}
	release, tokenErr := c.retryer.GetRetryToken(ctx, err)
	if tokenErr != nil {
		return nil
	}
	delay, delayErr := c.retryer.RetryDelay(attempt, err)
	if delayErr != nil || smithytime.SleepWithContext(ctx, delay) != nil {
		_ = release(err)
		return nil
	}
	return release
}

func (c *Client) attempt(ctx context.Context, id *Identity, body []byte, hash string) (*CreateSessionOutput, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	// Without GetBody net/http follows no redirect that repeats a POST (307, 308), whoever made the
	// client; retries are made here, where they are signed anew.
	r.GetBody = nil
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", c.userAgent)
	if err := id.SignHTTP(ctx, r, hash, c.region, c.now()); err != nil {
		return nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, &connectionError{doing: "sending request", err: err}
	}
	defer func() { _ = response.Body.Close() }()
	if response.Request != nil && response.Request.URL.String() != r.URL.String() {
		return nil, fmt.Errorf("%w: the HTTP client followed a redirect, which it must not", ErrInvalidResponse)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	if err != nil {
		return nil, &connectionError{doing: "reading response", err: err}
	}
	if len(answer) > maxResponse {
		return nil, fmt.Errorf("%w: the body is longer than %d bytes (status %d, request id %q)",
			ErrInvalidResponse, maxResponse, response.StatusCode, requestID(response.Header))
	}
	return decodeResponse(response.StatusCode, response.Header, answer, c.now())
}
