package rolesanywhere

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"
)

func TestCredentialsProvider_LivesThroughAnOutage(t *testing.T) {
	t.Parallel()
	id := bubbleIdentity(t)
	synctest.Test(t, func(t *testing.T) {
		service := &bubbleService{lifetime: time.Hour}
		var log bytes.Buffer
		client := New(Options{HTTPClient: service, Logger: logging.NewStandardLogger(&log)})
		cache := aws.NewCredentialsCache(
			NewCredentialsProvider(client, StaticIdentity(id), testInput()),
			window(5*time.Minute),
		)
		if failures := poll(t, cache, 55*time.Minute, nil); failures != 0 || service.set(true) != 1 {
			t.Fatalf("%d failures before the outage, or more than one call", failures)
		}
		failures := poll(t, cache, 4*time.Minute, nil)
		calls := service.set(false)
		t.Logf("outage of 4 minutes in a window of 5: %d calls, %d of 240 retrievals failed", calls, failures)
		if failures != 0 || calls < 2 || calls > 4 {
			t.Errorf("%d calls and %d failures in the outage", calls, failures)
		}
		if n := strings.Count(log.String(), "the present ones are used until 2000-01-01T01:00:00Z"); n != calls {
			t.Errorf("%d warnings for %d failed refreshes:\n%s", n, calls, log.String())
		}
		if failures := poll(t, cache, 2*time.Minute, nil); failures != 0 || service.set(false) != 1 {
			t.Errorf("%d failures after the outage, or more than one call", failures)
		}
	})
}

// All callers of the cache wait for its refresh: one that hangs must not take the time that they have.
func TestCredentialsProvider_BoundsARefreshThatHangs(t *testing.T) {
	t.Parallel()
	id := bubbleIdentity(t)
	synctest.Test(t, func(t *testing.T) {
		service := &bubbleService{lifetime: time.Hour}
		which := aws.HTTPClient(service)
		client := New(Options{HTTPClient: doerFunc(func(r *http.Request) (*http.Response,
			error) {
			return which.Do(r)
		})})
		provider := NewCredentialsProvider(client, StaticIdentity(id), testInput())
		cache := aws.NewCredentialsCache(provider, window(5*time.Minute))
		if failures := poll(t, cache, 55*time.Minute, nil); failures != 0 {
			t.Fatalf("%d failures", failures)
		}
		which = doerFunc(hang)
		start := time.Now()
		if _, err := cache.Retrieve(t.Context()); err != nil || time.Since(start) != refreshTimeout {
			t.Errorf("error = %v after %s, want the live credentials after %s", err, time.Since(start), refreshTimeout)
		}
	})
}

func TestCredentialsProvider_NeverReturnsEndedCredentials(t *testing.T) {
	t.Parallel()
	id := bubbleIdentity(t)
	for _, lifetime := range []time.Duration{15 * time.Minute, time.Hour} {
		for _, ahead := range []time.Duration{0, time.Second, 5 * time.Minute, 20 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				service := &bubbleService{lifetime: lifetime}
				client := New(Options{HTTPClient: service})
				cache := aws.NewCredentialsCache(
					NewCredentialsProvider(client, StaticIdentity(id), testInput()),
					window(ahead),
				)
				if _, err := cache.Retrieve(t.Context()); err != nil {
					t.Fatal(err)
				}
				end := time.Now().Add(lifetime)
				service.set(true)
				check := func(got aws.Credentials) {
					if !time.Now().Before(end) || got.Expires.After(end) {
						t.Errorf("at %s: credentials that end at %s with Expires %s", time.Now(), end, got.Expires)
					}
				}
				if failures := poll(t, cache, lifetime, check); failures != 0 {
					t.Errorf("%s, window %s: %d failures with live credentials", lifetime, ahead, failures)
				}
				service.set(true)
				failures := poll(t, cache, 10*time.Minute, check)
				// Ten minutes without credentials: waits of 1, 2, 4 ... 60 s between calls of 3 attempts.
				if calls := service.set(false); failures == 0 || calls > 3*17 {
					t.Errorf("%s, window %s: %d calls and %d failures after the end", lifetime, ahead, calls, failures)
				}
				if failures := poll(t, cache, 2*time.Minute, nil); failures > 60 {
					t.Errorf("%d failures after the service came back", failures)
				}
			})
		}
	}
}

// A session that is shorter than the window is used for half of its life, not replaced at every call.
func TestCredentialsProvider_BoundsTheWindow(t *testing.T) {
	t.Parallel()
	id := bubbleIdentity(t)
	synctest.Test(t, func(t *testing.T) {
		service := &bubbleService{lifetime: 15 * time.Minute}
		provider := NewCredentialsProvider(New(Options{HTTPClient: service}), StaticIdentity(id), testInput())
		cache := aws.NewCredentialsCache(provider, window(time.Hour))
		if failures := poll(t, cache, time.Hour, nil); failures != 0 || service.set(false) != 8 {
			t.Errorf("%d failures, or other than 8 calls in an hour", failures)
		}
	})
}

func TestCredentialsProvider_AsksForTheIdentityEachTime(t *testing.T) {
	t.Parallel()
	old, renewed := vectorIdentity(t, "p256"), vectorIdentity(t, "rsa")
	var used []string
	doer := doerFunc(func(r *http.Request) (*http.Response, error) {
		used = append(used, r.Header.Get(headerX509))
		return answer(201, sessionJSON(vectorTime.Add(time.Hour)))(r)
	})
	identities := []*Identity{old, renewed}
	identity := func(context.Context) (*Identity, error) {
		id := identities[0]
		identities = identities[1:]
		return id, nil
	}
	provider := NewCredentialsProvider(New(Options{HTTPClient: doer, Now: vectorClock}), identity, testInput())
	for range 2 {
		if _, err := provider.Retrieve(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(used) != 2 || used[0] != old.x509Header || used[1] != renewed.x509Header {
		t.Errorf("signed by %d certificates, or by others", len(used))
	}
}

func TestCredentialsProvider_ReturnsErrorsWithoutCredentials(t *testing.T) {
	t.Parallel()
	id, lost := vectorIdentity(t, "p256"), errors.New("the token is not plugged in")
	calls := 0
	doer := doerFunc(func(r *http.Request) (*http.Response, error) {
		calls++
		return answer(403, `{"message":"Untrusted signing certificate"}`)(r)
	})
	client := New(Options{HTTPClient: doer, Now: vectorClock})
	input := testInput()
	input.RoleARN = ""
	refused := &APIError{}
	for name, tt := range map[string]struct {
		provider *CredentialsProvider
		calls    int // of two retrievals
		want     error
	}{
		"no client":    {NewCredentialsProvider(nil, StaticIdentity(id), testInput()), 0, ErrInvalidInput},
		"no identity":  {NewCredentialsProvider(client, nil, testInput()), 0, ErrInvalidInput},
		"nil identity": {NewCredentialsProvider(client, StaticIdentity(nil), testInput()), 0, ErrInvalidInput},
		"identity failed": {NewCredentialsProvider(client,
			func(context.Context) (*Identity, error) { return nil, lost }, testInput()), 0, lost},
		"bad input": {NewCredentialsProvider(client, StaticIdentity(id), input), 0, ErrInvalidInput},
		"refused":   {NewCredentialsProvider(client, StaticIdentity(id), testInput()), 1, refused},
	} {
		calls = 0
		for range 2 { // the second time within the wait after a refusal
			got, err := tt.provider.Retrieve(t.Context())
			_, isRefusal := errors.AsType[*APIError](err)
			if got != (aws.Credentials{}) || (tt.want == refused && !isRefusal) ||
				(tt.want != refused && !errors.Is(err, tt.want)) {
				t.Errorf("%s: error = %v, want %v", name, err, tt.want)
			}
			if got, handled := tt.provider.HandleFailToRefresh(t.Context(), aws.Credentials{AccessKeyID: "A"},
				err); got.HasKeys() ||
				handled != err {
				t.Errorf("%s: handled as %v, %v", name, got.HasKeys(), handled)
			}
		}
		if calls != tt.calls {
			t.Errorf("%s: %d calls, want %d", name, calls, tt.calls)
		}
	}
}

// A caller that gives up is no failure of the service, and keeps nobody else waiting.
func TestCredentialsProvider_DoesNotWaitAfterACancelledCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	doer := doerFunc(func(r *http.Request) (*http.Response, error) {
		cancel()
		return answer(201, sessionJSON(vectorTime.Add(time.Hour)))(r)
	})
	hanging := doerFunc(func(r *http.Request) (*http.Response, error) {
		cancel()
		return hang(r)
	})
	which := aws.HTTPClient(hanging)
	client := New(
		Options{
			HTTPClient: doerFunc(func(r *http.Request) (*http.Response, error) { return which.Do(r) }),
			Now:        vectorClock,
		},
	)
	provider := NewCredentialsProvider(client, StaticIdentity(vectorIdentity(t, "p256")), testInput())
	if _, err := provider.Retrieve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	which = doer
	if _, err := provider.Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCredentialsProvider_LeavesAloneWhatCannotExpire(t *testing.T) {
	t.Parallel()
	provider := NewCredentialsProvider(New(Options{}), nil, testInput())
	if got, err := provider.AdjustExpiresBy(aws.Credentials{AccessKeyID: "A"}, -time.Minute); err != nil ||
		!got.Expires.IsZero() {
		t.Errorf("Expires = %s, %v", got.Expires, err)
	}
}
