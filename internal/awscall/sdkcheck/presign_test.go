package sdkcheck

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	accessKey = "ASIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	token     = "FwoGZXIvYXdzEDMa+/=EXAMPLE"
)

func signingTime() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func ownCredentials() awscall.Credentials {
	return awscall.Credentials{
		AccessKeyID:     accessKey,
		SecretAccessKey: secret.New(secretKey),
		SessionToken:    secret.New(token),
	}
}

// fixedPresigner is the SDK's presigner at a known time. It leaves out the name of the operation, which the SDK adds
// for its own statistics and signs with the rest.
type fixedPresigner struct{ signer *v4.Signer }

func (f fixedPresigner) PresignHTTP(
	ctx context.Context,
	creds aws.Credentials,
	r *http.Request,
	payloadHash, service, region string,
	_ time.Time,
	options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	query := r.URL.Query()
	query.Del("x-id")
	r.URL.RawQuery = query.Encode()
	return f.signer.PresignHTTP(ctx, creds, r, payloadHash, service, region, signingTime(), options...)
}

func newPresigner(endpoint string, pathStyle bool) *s3.PresignClient {
	client := s3.New(s3.Options{
		Region:                     "eu-west-1",
		Credentials:                credentials.NewStaticCredentialsProvider(accessKey, secretKey, token),
		UsePathStyle:               pathStyle,
		BaseEndpoint:               optional(endpoint),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
	return s3.NewPresignClient(client, func(o *s3.PresignOptions) {
		// As the SDK's own presigner for S3 is made.
		o.Presigner = fixedPresigner{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
		o.Expires = 5 * time.Minute
	})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// sdkPresign has the SDK presign the same request.
func sdkPresign(ctx context.Context, p *s3.PresignClient, in awscall.PresignInput) (*v4.PresignedHTTPRequest, error) {
	bucket, key, version := &in.Bucket, &in.Key, optional(in.VersionID)
	switch in.Method {
	case http.MethodHead:
		return p.PresignHeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key, VersionId: version,
			ResponseContentType: optional(in.ContentType), ResponseContentDisposition: optional(in.ContentDisposition)})
	case http.MethodDelete:
		return p.PresignDeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: version})
	case http.MethodPut:
		return p.PresignPutObject(
			ctx,
			&s3.PutObjectInput{Bucket: bucket, Key: key, ContentType: optional(in.ContentType),
				ContentDisposition: optional(
					in.ContentDisposition,
				), ChecksumSHA256: optional(in.ChecksumSHA256), ContentLength: in.ContentLength},
		)
	}
	return p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: version,
		ResponseContentType: optional(in.ContentType), ResponseContentDisposition: optional(in.ContentDisposition)})
}

func inputs() []awscall.PresignInput {
	length := int64(12)
	keys := []string{
		"a",
		"a/b.txt",
		"a b+c%2F?#&=;@:!*'()~$,",
		"ü€😀",
		"/a//b/",
		"...",
		`a\b`,
		strings.Repeat("k", 1024),
	}
	var all []awscall.PresignInput
	for _, key := range keys {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
			all = append(
				all,
				awscall.PresignInput{Method: method, Bucket: "orders", Key: key, Expires: 5 * time.Minute},
			)
		}
	}
	return append(
		all,
		awscall.PresignInput{
			Method:             http.MethodGet,
			Bucket:             "or.ders",
			Key:                "a",
			Expires:            5 * time.Minute,
			VersionID:          "v+1/=",
			ContentType:        "text/plain; charset=utf-8",
			ContentDisposition: `attachment; filename="a b.txt"`,
		},
		awscall.PresignInput{
			Method:    http.MethodHead,
			Bucket:    "orders",
			Key:       "a",
			Expires:   5 * time.Minute,
			VersionID: "null",
		},
		awscall.PresignInput{
			Method:    http.MethodDelete,
			Bucket:    "orders",
			Key:       "a",
			Expires:   5 * time.Minute,
			VersionID: "x",
		},
		awscall.PresignInput{
			Method:             http.MethodPut,
			Bucket:             "orders",
			Key:                "a",
			Expires:            5 * time.Minute,
			ContentType:        "text/plain",
			ContentDisposition: "inline;  filename=a",
			ChecksumSHA256:     "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
			ContentLength:      &length,
		},
	)
}

func TestPresign_MakesTheSDKsURL(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "https://store.example:9000", "http://127.0.0.1:9000", "http://store.example",
		"https://store.example/base"} {
		for _, pathStyle := range []bool{false, true} {
			presigner := newPresigner(endpoint, pathStyle)
			for _, in := range inputs() {
				name := fmt.Sprintf("%s %s %t %s/%.30s", in.Method, endpoint, pathStyle, in.Bucket, in.Key)
				want, err := sdkPresign(t.Context(), presigner, in)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, err := awscall.Presign(
					awscall.S3{Endpoint: endpoint, Region: "eu-west-1", PathStyle: pathStyle},
					ownCredentials(),
					in,
					signingTime(),
					time.Time{},
				)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got.URL.Reveal() != want.URL {
					t.Errorf("%s:\n%s\nwant\n%s", name, got.URL.Reveal(), want.URL)
				}
				for header, values := range want.SignedHeader {
					if header != "Host" && got.Headers[header] != values[0] {
						t.Errorf("%s: %s = %q, want %q", name, header, got.Headers[header], values[0])
					}
				}
				if len(got.Headers) != len(want.SignedHeader)-1 {
					t.Errorf("%s: the headers are %v, want %v", name, got.Headers, want.SignedHeader)
				}
			}
		}
	}
}

func BenchmarkPresign_Own(b *testing.B) {
	in := inputs()[0]
	creds, now := ownCredentials(), signingTime()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := awscall.Presign(awscall.S3{Region: "eu-west-1"}, creds, in, now, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPresign_SDK(b *testing.B) {
	in, presigner := inputs()[0], newPresigner("", false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sdkPresign(context.Background(), presigner, in); err != nil {
			b.Fatal(err)
		}
	}
}
