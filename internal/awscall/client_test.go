package awscall

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCall_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := newService(t, 200, "")
	store := newService(t, 307, "", "Location", elsewhere.url)
	_, err := testClient().ListBuckets(t.Context(), S3{Endpoint: store.url, Region: "eu-west-1"}, testCredentials())
	wantRefusal(t, err, Refusal{Service: "s3", Status: 307})
	if elsewhere.last.Load() != nil {
		t.Error("the redirect was followed with the signed request")
	}
}

func TestCall_EndsAtItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &Client{
			Now: time.Now,
			HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		}
		start := time.Now()
		_, err := client.GetCallerIdentity(t.Context(), STS{Region: "eu-west-1"}, testCredentials())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != Timeout {
			t.Errorf("after %s the error is %v", time.Since(start), err)
		}
	})
}

// endless is a body that arrives byte by byte and never ends.
type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) {
	select {
	case <-e.ctx.Done():
		return 0, e.ctx.Err()
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func TestCall_EndsAtItsTimeoutInTheMiddleOfABody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &Client{
			Now: time.Now,
			HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(endless{r.Context()}), Request: r}, nil
			})},
		}
		start := time.Now()
		_, err := client.ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != Timeout {
			t.Errorf("after %s the error is %v", time.Since(start), err)
		}
	})
}

func TestCall_BrokenConnectionIsNoMalformedResponse(t *testing.T) {
	t.Parallel()
	client := respondWith(io.MultiReader(strings.NewReader("<ListAllMyBucketsResult><Buckets>"), broken{}))
	_, err := client.ListBuckets(t.Context(), S3{Region: "eu-west-1"}, testCredentials())
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("the error is %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, net.ErrClosed }

func TestCall_ErrorsQuoteNeitherResponseNorCredentials(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 404, 500} {
		page := "<html><body>BODY-CANARY</body></html>"
		service := newService(t, status, page)
		client := testClient()
		_, assume := client.AssumeRole(
			t.Context(),
			STS{Endpoint: service.url, Region: "eu-west-1"},
			testCredentials(),
			AssumeRoleInput{},
		)
		_, list := client.ListBuckets(t.Context(), S3{Endpoint: service.url, Region: "eu-west-1"}, testCredentials())
		_, create := client.CreateAccessKey(
			t.Context(),
			IAM{Endpoint: service.url, Region: "eu-west-1"},
			testCredentials(),
		)
		for _, err := range []error{assume, list, create} {
			if err == nil || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("HTTP %d became %v", status, err)
			}
		}
	}
}

func TestCall_RefusesAnEndpointThatIsNone(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"ftp://store.example", "store.example", "https://",
		"https://user:CANARY@store.example", "https://st%zz"} {
		c, ctx, creds := testClient(), t.Context(), testCredentials()
		store, in := S3{Endpoint: endpoint, Region: "eu-west-1"}, PresignInput{Bucket: "orders", Expires: time.Minute}
		_, list := c.ListBuckets(ctx, store, creds)
		_, identity := c.GetCallerIdentity(ctx, STS{Endpoint: endpoint, Region: "eu-west-1"}, creds)
		_, presigned := Presign(store, creds, in, testTime(), time.Time{})
		for i, err := range []error{list, identity, presigned, c.ListObjects(ctx, store, creds, "orders", ""),
			c.HeadObject(ctx, store, creds, "orders", "a"),
			c.DeleteAccessKey(ctx, IAM{Endpoint: endpoint, Region: "eu-west-1"}, creds, "AKIAEXAMPLE")} {
			if err == nil || !strings.Contains(err.Error(), "endpoint") || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%q, call %d: %v", endpoint, i, err)
			}
		}
	}
}

func TestEndpoints_FollowThePartition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ region, s3, sts, iam, iamRegion string }{
		{"eu-west-1", "https://s3.eu-west-1.amazonaws.com", "https://sts.eu-west-1.amazonaws.com",
			"https://iam.amazonaws.com", "us-east-1"},
		{"cn-northwest-1", "https://s3.cn-northwest-1.amazonaws.com.cn", "https://sts.cn-northwest-1.amazonaws.com.cn",
			"https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		{"eusc-de-east-1", "https://s3.eusc-de-east-1.amazonaws.eu", "https://sts.eusc-de-east-1.amazonaws.eu",
			"https://iam.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"},
	} {
		iam := IAM{Region: tt.region}
		got := []string{
			S3{Region: tt.region}.endpoint(),
			STS{Region: tt.region}.endpoint(),
			iam.endpoint(),
			iam.signingRegion(),
		}
		for i, want := range []string{tt.s3, tt.sts, tt.iam, tt.iamRegion} {
			if got[i] != want {
				t.Errorf("%s: %q, want %q", tt.region, got[i], want)
			}
		}
	}
	for endpoint, want := range map[string]string{
		"https://iam.amazonaws.com":                                "us-east-1", // AWS's, written out
		"https://vpce-1.iam.us-east-1.vpce.amazonaws.com":          "us-east-1",
		"https://minio.example:9000":                               "eu-west-1",
		"https://amazonaws.com.example":                            "eu-west-1",
		"https://iam.example/?https://iam.us-east-1.amazonaws.com": "eu-west-1",
	} {
		if got := (IAM{Endpoint: endpoint, Region: "eu-west-1"}).signingRegion(); got != want {
			t.Errorf("%s is signed for %s, want %s", endpoint, got, want)
		}
	}
}
