package s3conn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const (
	opListBuckets = "ListBuckets"

	// maxBucketList bounds ListBuckets' answer, in bytes: 10,000 buckets are about 2 MiB.
	maxBucketList = 8 << 20
)

var errNotS3 error = &notS3Error{}

// s3Error is an S3 store's refusal.
type s3Error struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	ID      string `xml:"RequestId"`
	status  int
}

// notS3Error is a successful response that is not S3's.
type notS3Error struct{}

func (*notS3Error) Error() string {
	return "the answer is not S3's list of buckets; is this the address of the store's S3 API?"
}

// MalformedResponse implements upstream.Malformed.
func (*notS3Error) MalformedResponse() {}

// The methods of upstream.Refusal.
func (e *s3Error) HTTPStatus() int      { return e.status }
func (e *s3Error) ErrorCode() string    { return e.Code }
func (e *s3Error) ErrorMessage() string { return e.Message }
func (e *s3Error) RequestID() string    { return e.ID }

func (e *s3Error) Error() string { return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Message, e.status) }

// listBuckets calls S3's ListBuckets once. It is the one S3 call that this plugin makes, and the SDK's S3 client would be
// a quarter of its size: the SDK's signer and this are what is left of it.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
func listBuckets(ctx context.Context, conn *connection.Connection, creds *credentials, now time.Time) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, upstream.Timeout)
	defer cancel()
	httpClient, err := network.NewClient(conn.Network())
	if err != nil {
		return nil, err
	}
	defer httpClient.CloseIdleConnections()
	request, err := newListBuckets(ctx, conn, creds, now)
	if err != nil {
		return nil, err
	}
	answer, err := httpClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBucketList+1))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, decodeS3Error(answer, body)
	}
	var list struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		Names   []string `xml:"Buckets>Bucket>Name"`
	}
	if len(body) > maxBucketList || xml.Unmarshal(body, &list) != nil {
		return nil, errNotS3
	}
	return list.Names, nil
}

func newListBuckets(ctx context.Context, conn *connection.Connection, creds *credentials, now time.Time) (*http.Request, error) {
	endpoint := conn.S3Endpoint
	if endpoint == "" {
		endpoint = s3Endpoint(conn.SigningRegion())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/", nil)
	if err != nil {
		return nil, errors.New("preparing ListBuckets: s3_endpoint is not an address; write it again")
	}
	hash := sha256.Sum256(nil)
	payload := hex.EncodeToString(hash[:])
	request.Header.Set("X-Amz-Content-Sha256", payload)
	err = v4.NewSigner().SignHTTP(ctx, aws.Credentials{
		AccessKeyID:     creds.accessKey,
		SecretAccessKey: creds.secretKey.Reveal(),
		SessionToken:    creds.sessionToken.Reveal(),
	}, request, payload, "s3", conn.SigningRegion(), now, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return nil, errors.New("signing ListBuckets is not possible with these credentials")
	}
	return request, nil
}

// s3Endpoint is AWS's address of S3 in the region. AWS names its services' endpoints alike in a partition.
//
// https://docs.aws.amazon.com/general/latest/gr/s3.html
func s3Endpoint(region string) string {
	return strings.Replace(rolesanywhere.Endpoint(region, rolesanywhere.EndpointOptions{}), "//rolesanywhere.", "//s3.", 1)
}

// decodeS3Error keeps the status where the answer is not S3's, as that of some other server at the address.
func decodeS3Error(answer *http.Response, body []byte) error {
	refusal := &s3Error{status: answer.StatusCode}
	if xml.Unmarshal(body, refusal) != nil || strings.TrimSpace(refusal.Code) == "" {
		return &s3Error{status: answer.StatusCode}
	}
	if refusal.ID == "" {
		refusal.ID = answer.Header.Get("X-Amz-Request-Id")
	}
	return refusal
}
