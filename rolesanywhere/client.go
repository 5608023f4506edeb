package rolesanywhere

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultAttempts  = 3
	defaultUserAgent = "vault-plugin-s3conn-rolesanywhere"
)

// HTTPDoer sends a request; *http.Client and the SDK's clients are some. A redirect must be returned
// and not followed: the signature is for one host only. An *http.Client given to [NewClient] is
// copied and told so; for any other the request's body cannot be replayed, which keeps net/http from
// following the redirects that would repeat it, and an answer from another address is an error.
type HTTPDoer interface {
	Do(*http.Request) (*http.Response, error)
}

// Options says how to reach the service. Nothing is taken from the environment or from AWS's
// configuration files.
type Options struct {
	// Region is required: lower-case letters, digits and dashes. It is the signature's scope and,
	// unless Endpoint is set, chooses the address.
	Region string
	// Endpoint replaces the region's address: an absolute http or https URL without user
	// information, query or fragment; a base path is kept. Empty means [Endpoint] of Region.
	Endpoint string
	// EndpointOptions chooses among the region's addresses; ignored with Endpoint.
	EndpointOptions EndpointOptions
	// HTTPClient defaults to one without proxy, with TLS 1.2 or later and the system's roots (which Go lets
	// SSL_CERT_FILE and SSL_CERT_DIR replace). A client without a Transport uses Go's default one, which
	// obeys the environment's proxy variables.
	HTTPClient HTTPDoer
	// Retryer says what is tried again and when. Default: the SDK's standard one, 3 attempts.
	Retryer aws.Retryer
	// Timeout bounds a whole call: attempts, waits and bodies. 0 means 10 s; it cannot be negative.
	Timeout time.Duration
	// Now is the clock that dates requests and judges expiry. Default: time.Now. It must be safe for
	// concurrent use.
	Now func() time.Time
	// UserAgent replaces the User-Agent header: printable ASCII. Empty means this package's own.
	UserAgent string
}

// Client calls CreateSession in one region. It is safe for concurrent use, and cheap to keep: make
// one and share it, since its HTTP connections and its retryer's budget are shared with it.
type Client struct {
	region    string
	url       string
	http      HTTPDoer
	retryer   aws.Retryer
	timeout   time.Duration
	now       func() time.Time
	userAgent string
}

// NewClient checks o and returns a client for it. It does no I/O. Errors wrap [ErrInvalidInput].
func NewClient(o Options) (*Client, error) {
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
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("checking user agent: %w: want printable ASCII", ErrInvalidInput)
	}
	c := &Client{
		region:    o.Region,
		url:       url,
		http:      withoutRedirects(o.HTTPClient),
		retryer:   o.Retryer,
		timeout:   o.Timeout,
		now:       o.Now,
		userAgent: o.UserAgent,
	}
	if c.retryer == nil {
		c.retryer = retry.NewStandard(func(so *retry.StandardOptions) { so.MaxAttempts = defaultAttempts })
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	return c, nil
}

// withoutRedirects copies an *http.Client, so that the caller's own keeps its behaviour.
func withoutRedirects(doer HTTPDoer) HTTPDoer {
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
	return client
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
