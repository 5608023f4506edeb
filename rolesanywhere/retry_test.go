package rolesanywhere

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/logging"
)

// scriptedDoer answers from a script, the last line again and again, and remembers what it was sent.
type scriptedDoer struct {
	script []func(*http.Request) (*http.Response, error)
	mu     sync.Mutex
	dates  []string
	auths  []string
}

func (d *scriptedDoer) Do(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	step := d.script[min(len(d.dates), len(d.script)-1)]
	d.dates = append(d.dates, r.Header.Get(headerDate))
	d.auths = append(d.auths, r.Header.Get(headerAuthorization))
	d.mu.Unlock()
	return step(r)
}

func answer(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status,
			Header:     http.Header{},
			Body:       io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

func fail(err error) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: err}
	}
}

// hang is an upstream that never answers.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: r.Context().Err()}
}

type hangingBody struct{ ctx context.Context }

func (b hangingBody) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }
func (hangingBody) Close() error               { return nil }

func hangInBody(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 201, Header: http.Header{}, Body: hangingBody{r.Context()}}, nil
}

type script = []func(*http.Request) (*http.Response, error)

// callScripted runs one CreateSession against a script, on a fake clock. It must be in a synctest bubble.
func callScripted(
	t *testing.T,
	ctx context.Context,
	id *Identity,
	s script,
	change func(*Options),
) (*scriptedDoer, *CreateSessionOutput, error) {
	t.Helper()
	doer := &scriptedDoer{script: s}
	start := time.Now()
	o := Options{Region: "us-east-1", HTTPClient: doer,
		Now: func() time.Time { return vectorTime.Add(time.Since(start)) }}
	if change != nil {
		change(&o)
	}
	out, err := New(o).CreateSession(ctx, id, testInput())
	return doer, out, err
}

func fixedDelay(d time.Duration) func(*Options) {
	return func(o *Options) {
		o.Retryer = retry.NewStandard(func(so *retry.StandardOptions) {
			so.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return d, nil })
		})
	}
}

func TestCreateSession_RetriesWhatTheRetryerCallsRetryable(t *testing.T) {
	t.Parallel()
	good := answer(201, sessionJSON(vectorTime.Add(time.Hour)))
	untrusted := &tls.CertificateVerificationError{Err: errors.New("unknown authority")}
	for name, tt := range map[string]struct {
		script   script
		attempts int
		ok       bool
	}{
		"first try":            {script{good}, 1, true},
		"503, then fine":       {script{answer(503, ""), good}, 2, true},
		"throttled, then fine": {script{answer(400, `{"__type":"ThrottlingException"}`), good}, 2, true},
		"429 without a code":   {script{answer(429, ""), good}, 2, true},
		"closed, then fine":    {script{fail(io.EOF), good}, 2, true},
		"always 500":           {script{answer(500, "")}, 3, false},
		"refused":              {script{answer(403, `{"__type":"AccessDeniedException"}`)}, 1, false},
		"empty answer":         {script{answer(201, `{"credentialSet":[]}`)}, 1, false},
		"untrusted server":     {script{fail(untrusted)}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := vectorIdentity(t, "p256")
			synctest.Test(t, func(t *testing.T) {
				doer, out, err := callScripted(t, t.Context(), id, tt.script, nil)
				if len(doer.dates) != tt.attempts || (err == nil) != tt.ok || (out != nil) != tt.ok {
					t.Errorf("%d attempts, error = %v; want %d", len(doer.dates), err, tt.attempts)
				}
			})
		})
	}
}

func TestCreateSession_SignsEveryAttemptAnew(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "rsa")
	synctest.Test(t, func(t *testing.T) {
		doer, _, err := callScripted(t, t.Context(), id, script{answer(500, "")}, fixedDelay(2*time.Second))
		if apiErr, ok := errors.AsType[*APIError](err); !ok || apiErr.StatusCode != 500 ||
			!strings.Contains(err.Error(), "exceeded maximum number of attempts, 3") {
			t.Errorf("error = %v", err)
		}
		want := []string{"20261123T093306Z", "20261123T093308Z", "20261123T093310Z"}
		if strings.Join(doer.dates, " ") != strings.Join(want, " ") || doer.auths[0] == doer.auths[1] {
			t.Errorf("dates = %v, want %v", doer.dates, want)
		}
	})
}

func TestCreateSession_TimeoutBoundsTheWholeCall(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script script
		change func(*Options)
		want   time.Duration
	}{
		"no answer":      {script{hang}, nil, 10 * time.Second},
		"no end of body": {script{hangInBody}, func(o *Options) { o.Timeout = 3 * time.Second }, 3 * time.Second},
		"long backoff":   {script{answer(503, "")}, fixedDelay(time.Hour), 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := vectorIdentity(t, "p256")
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, out, err := callScripted(t, t.Context(), id, tt.script, tt.change)
				if took := time.Since(start); took != tt.want {
					t.Errorf("took %s, want %s", took, tt.want)
				}
				if out != nil || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error = %v, want the deadline's", err)
				}
			})
		})
	}
}

func TestCreateSession_KeepsTheServicesErrorWhenTimeRunsOut(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "p256")
	synctest.Test(t, func(t *testing.T) {
		_, _, err := callScripted(t, t.Context(), id, script{answer(503, "")}, fixedDelay(time.Hour))
		apiErr, ok := errors.AsType[*APIError](err)
		if !ok || apiErr.StatusCode != 503 || !strings.Contains(err.Error(), "no time was left") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestCreateSession_EndsWithTheCallersContext(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "p256")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		time.AfterFunc(time.Second, cancel)
		doer, _, err := callScripted(t, ctx, id, script{hang}, nil)
		if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second || len(doer.dates) != 1 {
			t.Errorf("error = %v after %s and %d attempts", err, time.Since(start), len(doer.dates))
		}
	})
}

func TestCreateSession_HonoursRetryerThatNeverRetries(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "p256")
	synctest.Test(t, func(t *testing.T) {
		doer, _, err := callScripted(t, t.Context(), id, script{answer(500, "")},
			func(o *Options) { o.Retryer = aws.NopRetryer{} })
		if _, ok := errors.AsType[*APIError](err); !ok || len(doer.dates) != 1 {
			t.Errorf("error = %v after %d attempts", err, len(doer.dates))
		}
	})
}

func TestCreateSession_RefusesAnOversizedAnswer(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "p256")
	for size, want := range map[int]error{maxResponse: nil, maxResponse + 1: ErrInvalidResponse} {
		body := sessionJSON(vectorTime.Add(time.Hour))
		body += strings.Repeat(" ", size-len(body))
		synctest.Test(t, func(t *testing.T) {
			doer, _, err := callScripted(t, t.Context(), id, script{answer(201, body)}, nil)
			if !errors.Is(err, want) || len(doer.dates) != 1 {
				t.Errorf("%d bytes: error = %v, want %v", size, err, want)
			}
		})
	}
}

func TestConnectionError_QuotesNothingThatWasSent(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"CANARY\r\n\r\n",
		"HTTP/1.1 CANARY\r\n\r\n",
		"HTTP/1.1 200 OK\r\nCANARY\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: CANARY\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: CANARY\r\n\r\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, raw)
			_ = conn.Close()
		}))
		t.Cleanup(server.Close)
		client := New(Options{Endpoint: server.URL, Now: vectorClock, Retryer: aws.NopRetryer{}})
		_, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput())
		if _, ok := errors.AsType[*connectionError](err); !ok || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: error = %v", raw, err)
		}
	}
}

func TestCreateSession_LogsRetriesWhereAsked(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "p256")
	for mode, want := range map[aws.ClientLogMode]string{
		0:              "",
		aws.LogRetries: "retrying RolesAnywhere/CreateSession, attempt 2, after: UnknownError (status 503)\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			_, _, err := callScripted(
				t,
				t.Context(),
				id,
				script{answer(503, ""), answer(201, sessionJSON(vectorTime.Add(time.Hour)))},
				func(o *Options) { o.Logger, o.ClientLogMode = logging.NewStandardLogger(&log), mode },
			)
			if err != nil || !strings.HasSuffix(log.String(), want) || (want == "") != (log.Len() == 0) {
				t.Errorf("error = %v, logged %q, want %q", err, log.String(), want)
			}
		})
	}
}
