package sdkcheck

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
)

// wire is a service that keeps the last request and responds to every one in the same way.
type wire struct {
	status int
	body   string

	request *http.Request
	form    url.Values
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.request = r
	w.form, err = url.ParseQuery(string(body))
	return &http.Response{
		StatusCode: w.status,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(w.body)),
		Request:    r,
	}, err
}

func (w *wire) own() *awscall.Client {
	return &awscall.Client{HTTP: &http.Client{Transport: w}, Now: time.Now}
}

func (w *wire) sts() *sts.Client {
	return sts.New(sts.Options{Region: "eu-west-1", HTTPClient: &http.Client{Transport: w}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, token)})
}

func (w *wire) iam() *iam.Client {
	return iam.New(iam.Options{Region: "eu-west-1", HTTPClient: &http.Client{Transport: w}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, token)})
}

const assumed = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<SourceIdentity>Alice</SourceIdentity><AssumedRoleUser>
<Arn>arn:aws:sts::123456789012:assumed-role/demo/TestAR</Arn><AssumedRoleId>A:T</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s+/=</SecretAccessKey><SessionToken>t+/=</SessionToken>
<Expiration>2026-11-23T13:00:00.123Z</Expiration></Credentials><PackedPolicySize>6</PackedPolicySize></AssumeRoleResult>
</AssumeRoleResponse>`

func TestAssumeRole_SendsAndReadsWhatTheSDKDoes(t *testing.T) {
	t.Parallel()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*",` +
		`"Resource":"arn:aws:s3:::a/${*} +%&=ü"}]}`
	theirs, ours := &wire{status: 200, body: assumed}, &wire{status: 200, body: assumed}
	want, err := theirs.sts().AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String(
			"arn:aws:iam::123456789012:role/demo",
		), RoleSessionName: aws.String("TestAR"), Policy: &policy,
		DurationSeconds: aws.Int32(1800), ExternalId: aws.String("a:b/c"), SourceIdentity: aws.String("Alice"),
		Tags: []types.Tag{
			{Key: aws.String("team"), Value: aws.String("a b")},
			{Key: aws.String("empty"), Value: aws.String("")},
		},
		TransitiveTagKeys: []string{"team", "empty"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ours.own().
		AssumeRole(t.Context(), awscall.STS{Region: "eu-west-1"}, ownCredentials(), awscall.AssumeRoleInput{
			RoleARN: "arn:aws:iam::123456789012:role/demo", SessionName: "TestAR", Policy: policy,
			Duration:   30 * time.Minute,
			ExternalID: "a:b/c", SourceIdentity: "Alice",
			Tags:              []awscall.Tag{{Key: "team", Value: "a b"}, {Key: "empty"}},
			TransitiveTagKeys: []string{"team", "empty"},
		})
	if err != nil {
		t.Fatal(err)
	}
	compareRequests(t, ours, theirs)
	//lint:ignore SA1019 AWS's documents name it, and STS returns it.
	packed := int(*want.PackedPolicySize)
	if got.Credentials.AccessKeyID != *want.Credentials.AccessKeyId ||
		got.Credentials.SecretAccessKey.Reveal() != *want.Credentials.SecretAccessKey ||
		got.Credentials.SessionToken.Reveal() != *want.Credentials.SessionToken ||
		!got.Expiration.Equal(*want.Credentials.Expiration) ||
		got.ARN != *want.AssumedRoleUser.Arn ||
		got.PackedPolicySize != packed || got.SourceIdentity != *want.SourceIdentity {
		t.Errorf("the session is %+v, want %+v", got, want)
	}
}

// compareRequests compares all but the headers that name the SDK, and the signature, which has the time in it.
func compareRequests(t *testing.T, ours, theirs *wire) {
	t.Helper()
	if ours.request.Method != theirs.request.Method || ours.request.URL.String() != theirs.request.URL.String() {
		t.Errorf(
			"the request is %s %s, want %s %s",
			ours.request.Method,
			ours.request.URL,
			theirs.request.Method,
			theirs.request.URL,
		)
	}
	if !reflect.DeepEqual(ours.form, theirs.form) {
		t.Errorf("the form is %v,\nwant %v", ours.form, theirs.form)
	}
	for _, name := range []string{"Content-Type", "X-Amz-Security-Token"} {
		// The SDK names no character set, and encodes UTF-8 as this client does.
		got, _, _ := strings.Cut(ours.request.Header.Get(name), ";")
		if want := theirs.request.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	scope := func(w *wire) string {
		credential, _, _ := strings.Cut(w.request.Header.Get("Authorization"), ",")
		parts := strings.Split(credential, "/")
		return strings.Join(append(parts[:1:1], parts[2:]...), "/") // without the day
	}
	if scope(ours) != scope(theirs) {
		t.Errorf("the signature's scope is %s, want %s", scope(ours), scope(theirs))
	}
}

func TestCalls_SendWhatTheSDKDoes(t *testing.T) {
	t.Parallel()
	const refusal = `<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code>` +
		`<Message>no such user</Message></Error><RequestId>R1</RequestId></ErrorResponse>`
	id := aws.String("AKIA1234567890EXAMPLE")
	place := awscall.IAM{Region: "eu-west-1"}
	for name, tt := range map[string]struct{ ours, theirs func(w *wire) error }{
		"GetCallerIdentity": {
			func(w *wire) error {
				_, err := w.own().GetCallerIdentity(t.Context(), awscall.STS{Region: "eu-west-1"}, ownCredentials())
				return err
			},
			func(w *wire) error { _, err := w.sts().GetCallerIdentity(t.Context(), nil); return err },
		},
		"CreateAccessKey": {
			func(w *wire) error {
				_, err := w.own().CreateAccessKey(t.Context(), place, ownCredentials())
				return err
			},
			func(w *wire) error { _, err := w.iam().CreateAccessKey(t.Context(), nil); return err },
		},
		"ListAccessKeys": {
			func(w *wire) error {
				_, err := w.own().ListAccessKeys(t.Context(), place, ownCredentials())
				return err
			},
			func(w *wire) error { _, err := w.iam().ListAccessKeys(t.Context(), nil); return err },
		},
		"UpdateAccessKey": {
			func(w *wire) error {
				return w.own().UpdateAccessKey(t.Context(), place, ownCredentials(), *id, awscall.StatusInactive)
			},
			func(w *wire) error {
				_, err := w.iam().UpdateAccessKey(t.Context(),
					&iam.UpdateAccessKeyInput{AccessKeyId: id, Status: iamtypes.StatusTypeInactive})
				return err
			},
		},
		"DeleteAccessKey": {
			func(w *wire) error { return w.own().DeleteAccessKey(t.Context(), place, ownCredentials(), *id) },
			func(w *wire) error {
				_, err := w.iam().DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{AccessKeyId: id})
				return err
			},
		},
	} {
		ours, theirs := &wire{status: 404, body: refusal}, &wire{status: 404, body: refusal}
		got, want := tt.ours(ours), tt.theirs(theirs)
		compareRequests(t, ours, theirs)
		var refused *awscall.Refusal
		var api smithy.APIError
		if !errors.As(got, &refused) || !errors.As(want, &api) || refused.Code != api.ErrorCode() ||
			refused.Message != api.ErrorMessage() {
			t.Errorf("%s: the error is %v, want %v", name, got, want)
		}
	}
}
