package s3conn

import (
	"net/http"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestS3Endpoint_FollowsThePartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"us-east-1":     "https://s3.us-east-1.amazonaws.com",
		"cn-north-1":    "https://s3.cn-north-1.amazonaws.com.cn",
		"us-gov-west-1": "https://s3.us-gov-west-1.amazonaws.com",
	} {
		if got := s3Endpoint(region); got != want {
			t.Errorf("s3Endpoint(%q) = %q, want %q", region, got, want)
		}
	}
}

func TestListBuckets_IsSignedWithTheSessionsToken(t *testing.T) {
	t.Parallel()
	creds := &credentials{accessKey: "ASIAEXAMPLE", secretKey: secret.New("secret"), sessionToken: secret.New("token")}
	for _, base := range []string{"https://store.example:9000", "https://store.example:9000/"} {
		conn := &connection.Connection{Settings: connection.Settings{S3Endpoint: base, S3Region: "garage"}}
		request, err := newListBuckets(t.Context(), conn, creds, testTime)
		if err != nil {
			t.Fatal(err)
		}
		if request.Method != http.MethodGet || request.URL.String() != "https://store.example:9000/" {
			t.Errorf("the request is %s %s", request.Method, request.URL)
		}
		for name, want := range map[string]string{
			"X-Amz-Date":           "20261123T120000Z",
			"X-Amz-Security-Token": "token",
			// Of an empty body.
			"X-Amz-Content-Sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		} {
			if got := request.Header.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	}
}
