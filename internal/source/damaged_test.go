package source

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestSources_DamagedConnectionsCauseNoCall(t *testing.T) {
	t.Parallel()
	l, c := newLab(t, rolesanywheretest.Options{}), newChain(t, awstest.Options{})
	k := newKeyLab(t, "app", awstest.Options{})
	l.conn.CACert, c.conn.CACert, k.Conn.CACert = "CANARY", "CANARY", "CANARY"
	_, obtaining := l.obtain()
	_, assuming := c.obtain(t, narrowed(nil))
	_, listing := k.List(t.Context(), k.key)
	for name, err := range map[string]error{"CreateSession": obtaining, "AssumeRole": assuming,
		"ListAccessKeys": listing} {
		if err == nil || !strings.Contains(err.Error(), "reading ca_cert: is not PEM") ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.conn.CACert, l.conn.PrivateKey = "", secret.New("CANARY")
	_, err := l.obtain()
	if err == nil || !strings.Contains(err.Error(), "reading the connection's certificate and key: ") ||
		strings.Contains(err.Error(), "CANARY") {
		t.Errorf("CreateSession with a damaged key: %v", err)
	}
	if n := l.aws.Calls() + c.Calls("AssumeRole") + k.aws.Calls("ListAccessKeys"); n > 0 {
		t.Errorf("%d calls", n)
	}
}

func TestAccessKeys_CallerThatHasGoneGetsNoTurn(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, "app", awstest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.List(ctx, l.key)
	var failed *upstream.Error
	if !errors.As(err, &failed) || !errors.Is(err, context.Canceled) ||
		!strings.Contains(err.Error(), listAccessKeys) || l.aws.Calls(listAccessKeys) > 0 {
		t.Errorf("the error is %v after %d calls", err, l.aws.Calls(listAccessKeys))
	}
	if err := l.Check(ctx, l.key); !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v", err)
	}
}

func TestAccessKeys_IAMOfAStoreIsSignedForTheStoresRegion(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, "app", awstest.Options{})
	l.Conn.Region, l.Conn.S3Region = "eu-west-1", "garage"
	if got := l.iam().Region; got != "eu-west-1" {
		t.Errorf("AWS's IAM is signed for %q", got)
	}
	l.Conn.S3Endpoint = "https://store.example"
	if got := l.iam().Region; got != "garage" {
		t.Errorf("the store's IAM is signed for %q", got)
	}
}

// A try that failed near the end of the time is the last one.
func TestAssumeRole_TriesNoMoreWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, left := range []time.Duration{0, 50 * time.Millisecond, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			start := time.Now()
			again, took := pause(ctx, 3), time.Since(start)
			if again != (left == time.Minute) || !again && took != left || again && took < 4*firstRetry {
				t.Errorf("with %s left there is another try: %v, after %s", left, again, took)
			}
			cancel()
		}
	})
}

func TestAssumeRole_RetryWithoutATurnEndsWithTheServicesWords(t *testing.T) {
	t.Parallel()
	c := newChain(t, awstest.Options{})
	turns, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.STS: {PerSecond: 0.01, Floor: 0.01}})
	if err != nil {
		t.Fatal(err)
	}
	c.assume.Turns = turns
	c.Inject(awstest.Fault{Operation: AssumeRole, Times: 1, Status: 503, Code: "ServiceUnavailable", Message: "later"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.assume.Observe = func(Call) { time.AfterFunc(time.Second, cancel) }
	s, err := c.assume.Obtain(ctx, c.conn, c.caller, narrowed(nil), budget.First)
	if err == nil || !strings.Contains(err.Error(), "ServiceUnavailable: later") ||
		errors.Is(err, session.ErrPending) || s.AccessKey != "" || c.Calls(AssumeRole) != 1 {
		t.Errorf("got %q, %v after %d calls", s.AccessKey, err, c.Calls(AssumeRole))
	}
}
