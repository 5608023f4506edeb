package awscall

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzResponses has a service respond with anything to every kind of call: nothing panics, what is returned is no
// larger than the response and never half a session or key, and an error that is not the service's own quotes nothing.
func FuzzResponses(f *testing.F) {
	deep := strings.Repeat("<Code>", 100) // small seeds: go test spends most of its time on shortening others
	for _, body := range []string{twoBuckets, assumeRoleResponse, createResponse, listResponse, identityResponse,
		`<Error><Code>SlowDown</Code><Message>a&#10;b</Message></Error>`,
		"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
		"", "<html><body>Welcome</body></html>", "<ListAllMyBucketsResult>" + deep, twoBuckets[:200],
		"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"} {
		f.Add(200, []byte(body))
		f.Add(403, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 999 {
			t.Skip("net/http serves no such response")
		}
		client := &Client{
			Now: testTime,
			HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: status,
					Header:     http.Header{},
					Body:       io.NopCloser(bytes.NewReader(body)),
					Request:    r,
				}, nil
			})},
		}
		creds, ctx := testCredentials(), t.Context()
		list, err := client.ListBuckets(ctx, S3{Region: "eu-west-1"}, creds)
		checkOutcome(t, list != nil, err, status)
		if list != nil && (len(strings.Join(list.Names, "")) > len(body) || list.Count < len(list.Names)) {
			t.Errorf("%d bytes became %+v", len(body), list)
		}
		session, err := client.AssumeRole(ctx, STS{Region: "eu-west-1"}, creds, AssumeRoleInput{})
		checkOutcome(t, session != nil, err, status)
		if session != nil &&
			(session.Expiration.IsZero() || session.Credentials.SessionToken.Empty() ||
				session.Credentials.AccessKeyID == "") {
			t.Errorf("half a session: %+v", session)
		}
		key, err := client.CreateAccessKey(ctx, IAM{Region: "eu-west-1"}, creds)
		checkOutcome(t, key != nil, err, status)
		if key != nil && (key.ID == "" || key.Secret.Empty()) {
			t.Errorf("half a key: %+v", key)
		}
		keys, err := client.ListAccessKeys(ctx, IAM{Region: "eu-west-1"}, creds)
		checkOutcome(t, err == nil, err, status)
		for _, one := range keys {
			if one.ID == "" {
				t.Errorf("a key without a name: %+v", one)
			}
		}
	})
}

func checkOutcome(t *testing.T, value bool, err error, status int) {
	t.Helper()
	var refusal *Refusal
	var malformed *MalformedResponse
	switch {
	case value == (err != nil), value && status > 299:
		t.Errorf("HTTP %d: a value: %t, error: %v", status, value, err)
	case errors.As(err, &malformed) && status > 299, errors.As(err, &refusal) && status <= 299:
		t.Errorf("HTTP %d became %T", status, err)
	case err != nil && refusal == nil && malformed == nil:
		t.Errorf("the error is %T: %v", err, err)
	}
}

// FuzzPresign has every key that is accepted come back from its URL, also after clients have cleaned the path.
func FuzzPresign(f *testing.F) {
	for _, key := range []string{"a", "a/b", "/", "//a", "a b+c", "%2e%2e/a", "..", "ü€", `a\b`, "a?b#c&d=e",
		"a\x00", "...", ";:@!*'()", "a/./b"} {
		f.Add("orders", key, "v1", true)
		f.Add("or.ders", key, "", false)
	}
	f.Fuzz(func(t *testing.T, bucket, key, version string, pathStyle bool) {
		in := PresignInput{Method: http.MethodGet, Bucket: bucket, Key: key, VersionID: version, Expires: time.Hour}
		wrong := false
		in.Check(func(string, string) { wrong = true })
		if wrong {
			t.Skip("refused before it is signed")
		}
		got, err := Presign(
			S3{Region: "eu-west-1", PathStyle: pathStyle},
			testCredentials(),
			in,
			testTime(),
			time.Time{},
		)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(got.URL.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		for _, addressed := range []*url.URL{u, u.ResolveReference(&url.URL{Path: ""}),
			(&url.URL{Scheme: "https", Host: "other"}).ResolveReference(u)} {
			path, found := strings.CutPrefix(addressed.Host+addressed.Path, bucket+".s3.eu-west-1.amazonaws.com/")
			if !found {
				path, found = strings.CutPrefix(addressed.Host+addressed.Path, "s3.eu-west-1.amazonaws.com/"+bucket+"/")
			}
			if !found || path != key || u.Query().Get("versionId") != version || len(u.Fragment) > 0 {
				t.Errorf("bucket %q, key %q became %s", bucket, key, addressed)
			}
		}
	})
}
