package rolesanywhere

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/logging"
)

func TestCreateSession_RefusesBadOptionsUnsent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    Options
		says string
	}{
		"region in capitals": {Options{Region: "US-EAST-1"}, "lower-case letters"},
		"region with host":   {Options{Region: "x.evil.example/"}, "lower-case letters"},
		"region with dash":   {Options{Region: "-x"}, "lower-case letters"},
		"relative endpoint":  {Options{Region: "us-east-1", Endpoint: "/sessions"}, "checking endpoint"},
		"other scheme":       {Options{Region: "us-east-1", Endpoint: "ftp://h"}, "checking endpoint"},
		"no host":            {Options{Region: "us-east-1", Endpoint: "https://:443"}, "checking endpoint"},
		"user information":   {Options{Region: "us-east-1", Endpoint: "https://u:CANARY@h"}, "checking endpoint"},
		"query":              {Options{Region: "us-east-1", Endpoint: "https://h?CANARY"}, "checking endpoint"},
		"empty query":        {Options{Region: "us-east-1", Endpoint: "https://h?"}, "checking endpoint"},
		"fragment":           {Options{Region: "us-east-1", Endpoint: "https://h#CANARY"}, "checking endpoint"},
		"not a URL":          {Options{Region: "us-east-1", Endpoint: "https://CANARY:x%zz"}, "checking endpoint"},
		"negative timeout":   {Options{Region: "us-east-1", Timeout: -1}, "checking timeout"},
	} {
		client := New(tt.o, func(o *Options) { o.HTTPClient = doerFunc(fail(errors.New("a request was sent"))) })
		out, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput())
		if out != nil || !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), tt.says) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: error = %v; want ErrInvalidInput saying %q", name, err, tt.says)
		}
	}
}

func TestNew_FindsTheAddress(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"":                     "https://rolesanywhere.us-east-1.amazonaws.com/sessions",
		"http://127.0.0.1:1":   "http://127.0.0.1:1/sessions",
		"https://h/":           "https://h/sessions",
		"https://h:8443/base/": "https://h:8443/base/sessions",
	} {
		call, err := New(Options{Endpoint: endpoint}).options.resolve(testInput())
		if err != nil || call.url != want {
			t.Errorf("%q: call = %+v, %v, want %s", endpoint, call, err, want)
		}
	}
}

func TestNew_DefaultTransportIsClosedToTheEnvironment(t *testing.T) {
	t.Parallel()
	client := New(Options{Region: "us-east-1"})
	transport := client.Options().HTTPClient.(redirectless).Transport.(*http.Transport)
	if transport.Proxy != nil || transport.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("Proxy set: %t, TLS from %x", transport.Proxy != nil, transport.TLSClientConfig.MinVersion)
	}
}

func TestNew_LeavesTheCallersHTTPClientAlone(t *testing.T) {
	t.Parallel()
	mine := &http.Client{Timeout: time.Minute}
	client := New(Options{Region: "us-east-1", HTTPClient: mine})
	if mine.CheckRedirect != nil || client.Options().HTTPClient.(redirectless).Timeout != time.Minute {
		t.Error("the client given was changed, or its settings were lost")
	}
}

func TestCreateSession_TakesOptionsForOneCall(t *testing.T) {
	t.Parallel()
	calls := 0
	doer := doerFunc(func(r *http.Request) (*http.Response, error) {
		calls++
		return answer(503, "")(r)
	})
	client := New(Options{HTTPClient: doer, Now: vectorClock}, func(o *Options) { o.Retryer = aws.NopRetryer{} })
	bad := func(o *Options) { o.Endpoint = "ftp://h" }
	if _, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput(), bad); !errors.Is(err,
		ErrInvalidInput) ||
		calls != 0 {
		t.Errorf("error = %v after %d calls", err, calls)
	}
	if _, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput()); err == nil || calls != 1 {
		t.Errorf("error = %v after %d calls", err, calls)
	}
}

func TestNewFromConfig_TakesWhatTheConfigurationHas(t *testing.T) {
	t.Parallel()
	logger := logging.Nop{}
	mine := &http.Client{Timeout: time.Minute}
	store := "https://minio.example"
	config := aws.Config{
		Region:           "eu-west-1",
		HTTPClient:       mine,
		Logger:           logger,
		ClientLogMode:    aws.LogRetries,
		AppID:            "orders",
		RetryMaxAttempts: 7,
		BaseEndpoint:     &store,
	}
	o := NewFromConfig(config, func(o *Options) { o.Timeout = time.Second }).Options()
	if o.Region != "eu-west-1" || o.HTTPClient.(redirectless).Timeout != time.Minute || o.Logger != logger ||
		o.Endpoint != "" ||
		o.ClientLogMode != aws.LogRetries || o.AppID != "orders" ||
		o.Timeout != time.Second ||
		o.Retryer.MaxAttempts() != 7 {
		t.Errorf("options = %+v", o)
	}
	config.RetryMode = aws.RetryModeAdaptive
	if got := NewFromConfig(config).Options().Retryer; got.MaxAttempts() != 7 {
		t.Errorf("%T with %d attempts", got, got.MaxAttempts())
	} else if _, ok := got.(*retry.AdaptiveMode); !ok {
		t.Errorf("%T, want the adaptive one", got)
	}
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	if _, ok := NewFromConfig(config).Options().Retryer.(aws.NopRetryer); !ok {
		t.Error("the configuration's retryer is not used")
	}
	if n := NewFromConfig(aws.Config{}).Options().Retryer.MaxAttempts(); n != 3 {
		t.Errorf("%d attempts by default", n)
	}
}

func TestNew_TakesANilHTTPClientForNone(t *testing.T) {
	t.Parallel()
	var none *http.Client
	client := New(Options{HTTPClient: none})
	if transport, ok := client.Options().HTTPClient.(redirectless).Transport.(*http.Transport); !ok ||
		transport.Proxy != nil {
		t.Error("a nil *http.Client does not give the default")
	}
}
