package awscall

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	// MaxPresign is the longest time for which S3 accepts a presigned URL.
	MaxPresign = 7 * 24 * time.Hour

	// unsignedPayload stands where the hash of the body would: who presigns does not know the body.
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// ErrSessionEnding is what Presign returns when the credentials end within a second.
var ErrSessionEnding = errors.New("presigning: the session ends within a second")

// PresignInput is a request to presign. What is empty or nil is neither sent nor signed.
type PresignInput struct {
	Method      string // GET, HEAD, PUT or DELETE
	Bucket, Key string
	Expires     time.Duration // in whole seconds, 1 s to MaxPresign

	VersionID string // for GET, HEAD and DELETE

	// ContentType and ContentDisposition are those of the response for GET and HEAD, and headers to send for PUT.
	ContentType, ContentDisposition string

	ChecksumSHA256 string // base64; a header to send for PUT
	ContentLength  *int64 // bytes; a header to send for PUT. Signers leave out 0: the checksum of nothing is sent then.
}

// Presigned is a request that whoever has the URL can make. The URL is a credential.
type Presigned struct {
	URL     secret.Text
	Method  string
	Headers map[string]string // to send with the request, exactly; without Host
	Valid   time.Duration     // in whole seconds
	End     time.Time
}

// Presign returns a URL that makes one request in the credentials' name. It is valid for Expires, and never longer
// than until end, when the credentials end (zero: they do not). It makes no call, and trusts that in was checked. The
// errors do not quote their input.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
func Presign(store S3, creds Credentials, in PresignInput, now, end time.Time) (*Presigned, error) {
	if err := creds.check(); err != nil {
		return nil, err
	}
	valid := in.Expires.Truncate(time.Second)
	now = now.Truncate(time.Second) // as it stands in the URL
	if !end.IsZero() {
		valid = min(valid, end.Sub(now).Truncate(time.Second))
	}
	if valid < time.Second {
		return nil, ErrSessionEnding
	}
	address, err := store.bucketURL(in.Bucket, in.Key)
	if err != nil {
		return nil, err
	}
	query, headers := in.parts()
	query.Set("X-Amz-Expires", strconv.FormatInt(int64(valid/time.Second), 10))
	address.RawQuery = query.Encode()
	request := &http.Request{Method: in.Method, URL: address, Host: address.Host, Header: http.Header{}}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if in.ContentLength != nil {
		request.ContentLength = *in.ContentLength
	}
	signed, _, err := v4.NewSigner().
		PresignHTTP(context.Background(), creds.reveal(), request, unsignedPayload, serviceS3,
			store.Region, now, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return nil, errUnsignable
	}
	return &Presigned{
		URL:     secret.New(signed),
		Method:  in.Method,
		Headers: headers,
		Valid:   valid,
		End:     now.Add(valid),
	}, nil
}

// parts returns what of the input goes into the URL and what into headers.
func (in PresignInput) parts() (query url.Values, headers map[string]string) {
	query, headers = url.Values{}, map[string]string{}
	set := func(to func(name, value string), name, value string) {
		if value != "" {
			to(name, value)
		}
	}
	header := func(name, value string) { headers[name] = value }
	set(query.Set, "versionId", in.VersionID)
	if in.Method != http.MethodPut {
		set(query.Set, "response-content-type", in.ContentType)
		set(query.Set, "response-content-disposition", in.ContentDisposition)
		return query, headers
	}
	set(header, "Content-Type", in.ContentType)
	set(header, "Content-Disposition", in.ContentDisposition)
	checksum := in.ChecksumSHA256
	if in.ContentLength != nil {
		header("Content-Length", strconv.FormatInt(*in.ContentLength, 10))
		if *in.ContentLength == 0 {
			checksum = checksumOfNothing()
		}
	}
	set(header, "X-Amz-Checksum-Sha256", checksum)
	return query, headers
}

func checksumOfNothing() string {
	digest := sha256.Sum256(nil)
	return base64.StdEncoding.EncodeToString(digest[:])
}
