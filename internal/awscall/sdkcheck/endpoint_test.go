package sdkcheck

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
)

// sdkRegions reads the regions of every partition from the SDK's data, which it does not export.
func sdkRegions(t *testing.T) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(
		filepath.Join(strings.TrimSpace(string(dir)), "internal", "endpoints", "awsrulesfn", "partitions.json"),
	)
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		Partitions []struct{ Regions map[string]any }
	}
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	var regions []string
	for _, partition := range data.Partitions {
		for region := range partition.Regions {
			if !strings.HasSuffix(region, "-global") {
				regions = append(regions, region)
			}
		}
	}
	if len(regions) < 40 {
		t.Fatalf("the SDK knows %d regions", len(regions))
	}
	return regions
}

// addressOf returns where a call goes, and the region that its signature names.
func addressOf(t *testing.T, call func(*awscall.Client)) (address, region string) {
	t.Helper()
	client := &awscall.Client{Now: time.Now, HTTP: &http.Client{Transport: recorder(func(r *http.Request) {
		address = r.URL.Scheme + "://" + r.URL.Host
		region = strings.Split(r.Header.Get("Authorization"), "/")[2]
	})}}
	call(client)
	return address, region
}

type recorder func(*http.Request)

func (f recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r}, nil
}

func TestEndpoints_AreTheSDKsInEveryRegion(t *testing.T) {
	t.Parallel()
	for _, region := range sdkRegions(t) {
		store, err := s3.NewDefaultEndpointResolverV2().
			ResolveEndpoint(t.Context(), s3.EndpointParameters{Region: &region}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		address, signed := addressOf(t, func(c *awscall.Client) {
			_, _ = c.ListBuckets(t.Context(), awscall.S3{Region: region}, ownCredentials())
		})
		if address != store.URI.String() || signed != region {
			t.Errorf("S3 in %s is %s, want %s", region, address, store.URI.String())
		}
		tokens, err := sts.NewDefaultEndpointResolverV2().
			ResolveEndpoint(t.Context(), sts.EndpointParameters{Region: &region}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		address, signed = addressOf(t, func(c *awscall.Client) {
			_, _ = c.GetCallerIdentity(t.Context(), awscall.STS{Region: region}, ownCredentials())
		})
		if address != tokens.URI.String() || signed != region {
			t.Errorf("STS in %s is %s, want %s", region, address, tokens.URI.String())
		}
		users, err := iam.NewDefaultEndpointResolverV2().
			ResolveEndpoint(t.Context(), iam.EndpointParameters{Region: &region}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		address, signed = addressOf(t, func(c *awscall.Client) {
			_, _ = c.ListAccessKeys(t.Context(), awscall.IAM{Region: region}, ownCredentials())
		})
		if want := signingRegion(&users.Properties, region); address != users.URI.String() || signed != want {
			t.Errorf("IAM in %s is %s signed for %s, want %s for %s", region, address, signed, users.URI.String(), want)
		}
	}
}

func signingRegion(properties *smithy.Properties, otherwise string) string {
	options, _ := smithyauth.GetAuthOptions(properties)
	for _, option := range options {
		if region, ok := smithyhttp.GetSigV4SigningRegion(&option.SignerProperties); ok && region != "" {
			return region
		}
	}
	return otherwise
}
