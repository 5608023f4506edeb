package rolesanywhere

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// IdentityFunc returns the identity that the next session is requested with. It is called once for every session, so
// that a renewed certificate is picked up without a new provider, and must be safe for concurrent use. ctx is that of
// Retrieve; aws.CredentialsCache keeps its values and never cancels it, so that a function that waits bounds itself.
type IdentityFunc func(ctx context.Context) (*Identity, error)

// StaticIdentity returns a function that always returns id.
func StaticIdentity(id *Identity) IdentityFunc {
	return func(context.Context) (*Identity, error) { return id, nil }
}

// Waits after a failure. A refresh that fails while credentials are live is tried again after half of what is left of
// them; without live credentials the waits grow by doubling.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
	// refreshTimeout bounds a refresh ahead of time, since all callers of the cache wait for it.
	refreshTimeout = 5 * time.Second
)

// CredentialsProvider is an aws.CredentialsProvider that requests a session every time it is asked. It is made for
// aws.CredentialsCache, and implements its strategies for failed refreshes: see [NewCredentialsProvider]. It is safe
// for concurrent use.
type CredentialsProvider struct {
	client   *Client
	identity IdentityFunc
	input    CreateSessionInput
	optFns   []func(*Options)

	mu sync.Mutex
	// sessions are those that a cache refreshes ahead of their end, by access key id.
	sessions map[string]cachedSession
	// failures are consecutive ones; until then nothing is sent, and lastErr is returned again.
	failures  int
	notBefore time.Time
	lastErr   error
}

// cachedSession is what the cache cannot keep: it sees one expiry, which is the time of the next refresh.
type cachedSession struct {
	end     time.Time // when the service ends the session
	retryAt time.Time // zero: no refresh has failed
}

var (
	_ aws.CredentialsProvider                       = (*CredentialsProvider)(nil)
	_ aws.HandleFailRefreshCredentialsCacheStrategy = (*CredentialsProvider)(nil)
	_ aws.AdjustExpiresByCredentialsCacheStrategy   = (*CredentialsProvider)(nil)
)

// NewCredentialsProvider returns a provider for any client of the AWS SDK; optFns change the client's options for its
// calls. It keeps no credentials: wrap it in aws.NewCredentialsCache, which shares one session among concurrent
// callers, with an ExpiryWindow of some minutes, so that the next session is requested ahead of this one's end:
//
//   - A refresh that fails inside the window is no error: the cache goes on returning the live credentials, and tries
//     again after half of what is left of them, at most a minute, with one attempt of at most 5 s. They are never
//     returned past their end. Expires of what the cache returns is the time of its next refresh, as always with a
//     window.
//   - The window is never more than half of what is left of a new session, so that one that is shorter than the
//     window is not replaced at every call.
//   - After a failure without live credentials nothing is sent for 1 s, 2 s, 4 s and so on up to 1 min: callers get the
//     error again. Failures for which nothing was sent, such as an expired certificate, do not wait.
//
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-gosdk.html
func NewCredentialsProvider(
	client *Client, identity IdentityFunc, in CreateSessionInput, optFns ...func(*Options),
) *CredentialsProvider {
	return &CredentialsProvider{client: client, identity: identity, input: in, optFns: optFns}
}

// Retrieve gets the identity, calls [Client.CreateSession] and has its errors; an error of the [IdentityFunc] is
// wrapped. With an error the credentials are empty.
func (p *CredentialsProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if p.client == nil || p.identity == nil {
		return aws.Credentials{}, fmt.Errorf(
			"requesting credentials: %w: no client, or no identity function",
			ErrInvalidInput,
		)
	}
	now := p.client.options.Now
	live, err := p.begin(now())
	if err != nil {
		return aws.Credentials{}, err
	}
	id, err := p.identity(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("obtaining the identity: %w", err)
	}
	optFns := p.optFns
	if live {
		// There is time to try again later, which is kinder to a service in trouble than three attempts at once.
		optFns = append(optFns[:len(optFns):len(optFns)], func(o *Options) {
			o.Retryer = aws.NopRetryer{}
			o.Timeout = min(o.Timeout, refreshTimeout)
		})
	}
	out, err := p.client.CreateSession(ctx, id, p.input, optFns...)
	if err != nil {
		if ctx.Err() == nil && wasSent(err) && !live {
			p.failed(now(), err)
		}
		return aws.Credentials{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures, p.notBefore, p.lastErr = 0, time.Time{}, nil
	return out.Credentials, nil
}

// begin reports whether a cache still has live credentials, and returns the last error where it is too early for a
// call.
func (p *CredentialsProvider) begin(now time.Time) (live bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, session := range p.sessions {
		if !now.Before(session.end) {
			delete(p.sessions, key)
		}
	}
	if len(p.sessions) > 0 {
		return true, nil
	}
	if now.Before(p.notBefore) {
		return false, fmt.Errorf("nothing is sent before %s, after %d failures: %w",
			p.notBefore.UTC().Format(time.RFC3339), p.failures, p.lastErr)
	}
	return false, nil
}

// failed makes the next call wait. A clock that is set back makes no wait longer than it is.
func (p *CredentialsProvider) failed(now time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
	p.lastErr = err
	p.notBefore = now.Add(min(minBackoff<<min(p.failures-1, 6), maxBackoff))
}

func wasSent(err error) bool {
	for _, unsent := range []error{ErrInvalidInput, ErrCertificateExpired, ErrCertificateNotYetValid} {
		if errors.Is(err, unsent) {
			return false
		}
	}
	return true
}

// HandleFailToRefresh is called by aws.CredentialsCache when Retrieve has failed. It returns the previous credentials
// while they are live, to be refreshed again after a wait, and otherwise err.
func (p *CredentialsProvider) HandleFailToRefresh(
	ctx context.Context,
	previous aws.Credentials,
	err error,
) (aws.Credentials, error) {
	if p.client == nil {
		return aws.Credentials{}, err
	}
	p.mu.Lock()
	session, known := p.sessions[previous.AccessKeyID]
	now := p.client.options.Now()
	left := session.end.Sub(now)
	if !known || left <= 0 {
		p.mu.Unlock()
		return aws.Credentials{}, err
	}
	session.retryAt = now.Add(min(max(left/2, minBackoff), maxBackoff, left))
	p.sessions[previous.AccessKeyID] = session
	p.mu.Unlock()
	previous.Expires = session.retryAt
	p.client.options.logf(
		ctx,
		"refreshing credentials failed, the present ones are used until %s, the next try is at %s: %v",
		session.end.UTC().Format(time.RFC3339),
		session.retryAt.UTC().Format(time.RFC3339),
		err,
	)
	return previous, nil
}

// AdjustExpiresBy is called by aws.CredentialsCache with its window, a negative duration. It brings the expiry of new
// credentials forward by no more than half of what is left of them, and leaves alone what HandleFailToRefresh returned.
func (p *CredentialsProvider) AdjustExpiresBy(credentials aws.Credentials, by time.Duration) (aws.Credentials, error) {
	if p.client == nil || !credentials.CanExpire {
		return credentials, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if session, known := p.sessions[credentials.AccessKeyID]; known && credentials.Expires.Equal(session.retryAt) {
		return credentials, nil
	}
	if p.sessions == nil {
		p.sessions = make(map[string]cachedSession)
	}
	p.sessions[credentials.AccessKeyID] = cachedSession{end: credentials.Expires}
	half := max(credentials.Expires.Sub(p.client.options.Now())/2, 0)
	credentials.Expires = credentials.Expires.Add(max(by, -half))
	return credentials, nil
}
