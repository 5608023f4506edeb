package rolesanywhere

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/logging"
)

const (
	defaultTimeout  = 10 * time.Second
	defaultAttempts = 3
)

// version is this module's, for the User-Agent header.
const version = "0.2.0"

// Options says how to reach the service. With [New] nothing is taken from the environment or from AWS's
// configuration files: whoever wants those uses config.LoadDefaultConfig and [NewFromConfig].
type Options struct {
	// Region is lower-case letters, digits and dashes. It is the signature's scope and, unless Endpoint is set, chooses
	// the address. Empty means the region in the ARN of each call's trust anchor.
	Region string
	// Endpoint replaces the region's address: an absolute http or https URL without user
	// information, query or fragment; a base path is kept. Empty means [Endpoint] of the region.
	Endpoint string
	// EndpointOptions chooses among the region's addresses; ignored with Endpoint.
	EndpointOptions EndpointOptions
	// HTTPClient defaults to one without proxy, with TLS 1.2 or later and the system's roots (which Go lets
	// SSL_CERT_FILE and SSL_CERT_DIR replace). An *http.Client without a Transport uses Go's default one, which
	// obeys the environment's proxy variables.
	//
	// A redirect must be returned and not followed: the signature is for one host only. An *http.Client is copied and
	// the copy set so; for any other the request's body cannot be replayed, which keeps net/http from following the
	// redirects that would repeat it, and a response from another address is an error.
	HTTPClient aws.HTTPClient
	// Retryer says what is tried again and when. Default: the SDK's standard one, 3 attempts.
	Retryer aws.Retryer
	// Timeout bounds a whole call: attempts, waits and bodies. 0 means 10 s; it cannot be negative.
	Timeout time.Duration
	// Logger gets the retries that ClientLogMode's aws.LogRetries asks for, and a warning where a
	// [CredentialsProvider] keeps credentials in use because a refresh failed. Other log modes have no effect: bodies
	// and headers are never logged. It must be safe for concurrent use. Default: none.
	Logger        logging.Logger
	ClientLogMode aws.ClientLogMode
	// AppID names the program in the User-Agent header as "app/AppID". Characters that a header's token cannot
	// have become "-". Empty: left out.
	AppID string
	// Now is the clock that dates requests and judges expiry. Default: time.Now. It must be safe for
	// concurrent use.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.HTTPClient = withoutRedirects(o.HTTPClient)
	if o.Retryer == nil {
		o.Retryer = retry.NewStandard(attempts(0))
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = logging.Nop{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (o Options) logf(ctx context.Context, format string, args ...any) {
	logging.WithContext(ctx, o.Logger).Logf(logging.Warn, format, args...)
}

// call is what one CreateSession is made with: options that have been judged.
type call struct {
	Options
	url string
}

// resolve judges o and in, and takes the region from the trust anchor.
func (o Options) resolve(in CreateSessionInput) (*call, error) {
	if o.Region != "" {
		if err := checkRegion(o.Region); err != nil {
			return nil, err
		}
	}
	var err error
	if o.Region, err = in.check(o.Region); err != nil {
		return nil, err
	}
	if err := checkRegion(o.Region); err != nil {
		return nil, err
	}
	if o.Endpoint == "" {
		o.Endpoint = Endpoint(o.Region, o.EndpointOptions)
	}
	url, err := sessionsURL(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("checking timeout: %w: %s is negative; want 0 for the default of %s, or more",
			ErrInvalidInput, o.Timeout, defaultTimeout)
	}
	return &call{Options: o, url: url}, nil
}

// userAgent has the form of the SDK's.
func (o Options) userAgent() string {
	agent := "s3conn-rolesanywhere/" + version + " os/" + runtime.GOOS + " lang/go#" + strings.TrimPrefix(
		runtime.Version(),
		"go",
	)
	if o.AppID != "" {
		agent += " app/" + strings.Map(tokenRune, o.AppID)
	}
	return agent
}

// tokenRune keeps what a token of RFC 9110, section 5.6.2, may have, but for the SDK's own separator.
func tokenRune(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', strings.ContainsRune("!$%&'*+-.^_`|~", r):
		return r
	}
	return '-'
}

// redirectless is an *http.Client of this package's own that follows no redirect.
type redirectless struct{ *http.Client }

// withoutRedirects copies an *http.Client, so that the caller's own keeps its behaviour.
func withoutRedirects(doer aws.HTTPClient) aws.HTTPClient {
	client := &http.Client{}
	switch d := doer.(type) {
	case nil:
		client.Transport = newTransport()
	case *http.Client:
		if d == nil {
			client.Transport = newTransport()
			break
		}
		*client = *d
	default:
		return doer
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return redirectless{client}
}

// newTransport leaves Proxy nil: a proxy named in the environment is not this client's to use. Its
// limits are for one small exchange with one host at a time.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           4,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
