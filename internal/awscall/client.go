// Package awscall makes the few calls to S3, STS and IAM that the plugin needs, each signed with AWS's Signature
// Version 4, and presigns URLs. The SDK's service clients would add over 3 MiB to the plugin for the same.
//
// A call is made once and never retried. It has [Timeout] for itself, follows no redirect and reads a bounded part of
// the response. An error is a [*Refusal] where the service has responded, a [*MalformedResponse] where the response is
// not the operation's, and otherwise what the HTTP client returned. No error quotes a response's body or a credential.
package awscall

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	// Timeout bounds a call from its start to the last byte of its response that is read.
	Timeout = 10 * time.Second

	// maxSmallResponse bounds every response but that of ListBuckets, in bytes. What is larger is read in turns: see
	// [Client].
	maxSmallResponse = 256 << 10

	contentSHA256 = "X-Amz-Content-Sha256"
)

// errUnsignable has no cause: the signer's errors may quote what was to be signed.
var errUnsignable = errors.New("signing the request is not possible with these credentials")

// Client makes calls. It is safe for concurrent use if its fields are not changed.
type Client struct {
	// HTTP makes the requests. Its redirect policy is not used: no call follows one.
	HTTP *http.Client
	// Now is the clock that requests are signed by.
	Now func() time.Time
	// EnterLarge is called before more than 256 KiB of a response are read, so that large ones do not take all of a
	// host's processors: it waits for a place, which leave gives back. Its error is returned as [ErrBusy]. nil: no
	// wait.
	EnterLarge func(ctx context.Context) (leave func(), err error)
	// Date is called with what the service's clock shows in a response, to the second. nil: nobody asks for it.
	Date func(date time.Time)
}

// ErrBusy is returned when a large response was not read, since others were being read all the time.
var ErrBusy = errors.New("reading the response: other large responses were being read all the time; try again")

// Credentials sign a request. SessionToken is empty for access keys that do not expire.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey secret.Text
	SessionToken    secret.Text
}

// errNotInFIPS is of credentials that were stored before FIPS 140-3 was enforced, where Go would panic.
var errNotInFIPS = errors.New("signing the request is not possible: this program enforces FIPS 140-3, and the secret " +
	"access key is shorter than 10 characters, with which a signature's key has less than 112 bits")

func (c Credentials) check() error {
	const prefix = "AWS4" // of a signature's first key
	if fips140.Enforced() && len(prefix)+len(c.SecretAccessKey.Reveal()) < 112/8 {
		return errNotInFIPS
	}
	return nil
}

func (c Credentials) reveal() aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey.Reveal(),
		SessionToken:    c.SessionToken.Reveal(),
	}
}

// call is one request before it is signed.
type call struct {
	service, region string // as they stand in the signature's scope
	method          string
	url             *url.URL
	body            string
	contentType     string
	limit           int64 // bytes of the response that are read at most
}

// do signs the call, makes it, and hands a response with a status of 2xx to read.
func (c *Client) do(ctx context.Context, what call, creds Credentials, read func(body io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := c.sign(ctx, what, creds)
	if err != nil {
		return err
	}
	client := *c.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil && c.Date != nil {
		c.Date(date)
	}
	body := &bodyReader{body: response.Body, left: what.limit, small: maxSmallResponse,
		enter: func() (func(), error) { return c.enterLarge(ctx) }}
	defer body.close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return readRefusal(what.service, response, body)
	}
	err = read(body)
	switch {
	case err == nil:
		return nil
	case body.err != nil: // the response ended on the way; what was read of it says nothing
		return body.err
	}
	return &MalformedResponse{Service: what.service, Status: response.StatusCode, Problem: err.Error()}
}

func (c *Client) sign(ctx context.Context, what call, creds Credentials) (*http.Request, error) {
	if err := creds.check(); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, what.method, what.url.String(), bytes.NewReader([]byte(what.body)))
	if err != nil {
		return nil, errUnsignable
	}
	request.URL = what.url // as it was encoded, which parsing would not keep
	if what.contentType != "" {
		request.Header.Set("Content-Type", what.contentType)
	}
	digest := sha256.Sum256([]byte(what.body))
	payload := hex.EncodeToString(digest[:])
	isS3 := what.service == serviceS3
	if isS3 {
		request.Header.Set(contentSHA256, payload)
	}
	err = v4.NewSigner().SignHTTP(ctx, creds.reveal(), request, payload, what.service, what.region, c.Now(),
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = isS3 })
	if err != nil {
		return nil, errUnsignable
	}
	return request, nil
}

// parseEndpoint accepts what network.CheckEndpoint has accepted. A port that is the scheme's own is left out, because
// some HTTP clients send it in the Host header, which is signed, and some do not. The error does not quote the
// endpoint, which may hold a password where somebody has skipped that check.
func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil {
		return nil, errors.New("reading the endpoint: it is not an http(s) address; write it again")
	}
	if u.Port() == map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/") + "/"}, nil
}

func (c *Client) enterLarge(ctx context.Context) (leave func(), err error) {
	if c.EnterLarge == nil {
		return func() {}, nil
	}
	leave, err = c.EnterLarge(ctx)
	if err != nil {
		return nil, ErrBusy
	}
	return leave, nil
}

// bodyReader reads a response's body up to a limit, and remembers an error that is not about what it holds.
type bodyReader struct {
	body  io.Reader
	left  int64
	small int64 // bytes that are read before enter
	enter func() (leave func(), err error)
	leave func() // after enter
	err   error
}

// close gives back what enter has taken.
func (b *bodyReader) close() {
	if b.leave != nil {
		b.leave()
	}
}

var errTooLarge = errors.New("it is larger than any response of this operation")

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	room := min(int64(len(p)), b.left)
	switch {
	case b.small > 0:
		room = min(room, b.small)
	case b.leave == nil:
		if b.leave, b.err = b.enter(); b.err != nil {
			return 0, b.err
		}
	default:
		runtime.Gosched() // decoding what comes fast would keep a processor from shorter work for 10 ms at a time
	}
	n, err := b.body.Read(p[:room])
	b.left, b.small = b.left-int64(n), b.small-int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
