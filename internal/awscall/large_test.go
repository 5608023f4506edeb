package awscall

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bucketsOf is a list of about the size, in bytes.
func bucketsOf(size int) string {
	const one = "<Bucket><Name>orders</Name></Bucket>"
	return "<ListAllMyBucketsResult><Buckets>" + strings.Repeat(one, size/len(one)) +
		"</Buckets></ListAllMyBucketsResult>"
}

func TestLargeResponses_AreReadInTurnsAndOthersAreNot(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body    string
		entered int32
		fails   bool
	}{
		"small":                  {body: bucketsOf(maxSmallResponse - 100)},
		"large":                  {body: bucketsOf(2 * maxSmallResponse), entered: 1},
		"large and malformed":    {body: bucketsOf(2*maxSmallResponse) + "<", entered: 1},
		"large and not a list":   {body: "<x>" + bucketsOf(2*maxSmallResponse) + "</x>", entered: 1, fails: true},
		"larger than any":        {body: bucketsOf(maxBucketList + 1000), entered: 1, fails: true},
		"small and not finished": {body: bucketsOf(1000)[:900], fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var entered, left atomic.Int32
			client := respondWith(strings.NewReader(tt.body))
			client.EnterLarge = func(context.Context) (func(), error) {
				entered.Add(1)
				return func() { left.Add(1) }, nil
			}
			_, err := client.ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
			if (err != nil) != tt.fails {
				t.Errorf("the error is %v", err)
			}
			if entered.Load() != tt.entered || left.Load() != tt.entered {
				t.Errorf("entered %d times and left %d times, want %d", entered.Load(), left.Load(), tt.entered)
			}
		})
	}
}

func TestLargeResponses_RefusalsWaitTheirTurnToo(t *testing.T) {
	t.Parallel()
	var entered, left atomic.Int32
	refused := "<Error><Message>" + strings.Repeat("<a/>", maxSmallResponse) + "</Message><Code>Odd</Code></Error>"
	client := respondWith(nil)
	client.HTTP.Transport = transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 400, Header: http.Header{}, Request: r,
			Body: io.NopCloser(strings.NewReader(refused))}, nil
	})
	client.EnterLarge = func(context.Context) (func(), error) {
		entered.Add(1)
		return func() { left.Add(1) }, nil
	}
	_, err := client.ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
	wantRefusal(t, err, Refusal{Service: "s3", Status: 400, Code: "Odd"})
	if entered.Load() != 1 || left.Load() != 1 {
		t.Errorf("entered %d times and left %d times", entered.Load(), left.Load())
	}
}

// A server that has sent a large response must not keep its reader for longer than any call takes.
func TestLargeResponses_WaitEndsWithTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := respondWith(strings.NewReader(bucketsOf(2 * maxSmallResponse)))
		client.EnterLarge = func(ctx context.Context) (func(), error) {
			<-ctx.Done() // the places are never free
			return nil, ctx.Err()
		}
		start := time.Now()
		list, err := client.ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
		if list != nil || !errors.Is(err, ErrBusy) {
			t.Errorf("returned %v and %v, want ErrBusy", list, err)
		}
		if waited := time.Since(start); waited != Timeout {
			t.Errorf("waited for %s, want %s", waited, Timeout)
		}
	})
}
