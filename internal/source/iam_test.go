package source

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// keyLab is a user at the stand-in, and the connection with the user's key.
type keyLab struct {
	*AccessKeys
	aws *awstest.Server
	key rotation.Key
}

func newKeyLab(t *testing.T, user string, options awstest.Options) *keyLab {
	t.Helper()
	options.Now = func() time.Time { return noon }
	server := awstest.NewServer(options)
	t.Cleanup(server.Close)
	key := server.AddUser(user)
	conn := connection.New()
	conn.AccessKey, conn.SecretKey = key.ID, secret.New(key.Secret)
	conn.IAMEndpoint, conn.STSEndpoint = server.URL, server.URL
	rate := budget.Rate{PerSecond: 1000, Floor: 1000}
	turns, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.STS: rate, budget.IAM: rate})
	if err != nil {
		t.Fatal(err)
	}
	return &keyLab{&AccessKeys{Conn: &conn, Now: options.Now, Turns: turns, Mount: &budget.Mount{}}, server,
		rotation.Key{ID: key.ID, Secret: secret.New(key.Secret)}}
}

func TestAccessKeys_OneLife(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, "app", awstest.Options{})
	ctx := t.Context()
	if err := l.Check(ctx, l.key); err != nil {
		t.Fatal(err)
	}
	key, err := l.Create(ctx, l.key)
	if err != nil || key.Secret.Empty() {
		t.Fatalf("%+v, %v", key, err)
	}
	listing, err := l.List(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	want := []rotation.Listed{
		{ID: l.key.ID, Active: true, Created: listing.Keys[0].Created},
		{ID: key.ID, Active: true, Created: noon},
	}
	if !slices.Equal(listing.Keys, want) || listing.Ahead != listing.Within || listing.Within != time.Second/2 {
		t.Errorf("the keys are %+v", listing)
	}
	if accepted, err := l.Accepted(ctx, key); !accepted || err != nil {
		t.Errorf("the new key: %t, %v", accepted, err)
	}
	for range 2 { // a key that is gone is no error
		if err := errors.Join(l.Deactivate(ctx, key, l.key.ID), l.Delete(ctx, key, l.key.ID)); err != nil {
			t.Error(err)
		}
	}
	if accepted, err := l.Accepted(ctx, l.key); accepted || err != nil {
		t.Errorf("the deleted key: %t, %v", accepted, err)
	}
}

func TestAheadBy_IsWhatTheDateOfAResponseAllows(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ took, real time.Duration }{
		"the same clock": {0, 0}, "a slow call": {9 * time.Second, 0}, "ahead": {time.Second, 3 * time.Minute},
		"behind": {300 * time.Millisecond, -4 * time.Minute},
	} {
		for _, at := range []time.Duration{0, tt.took / 2, tt.took} { // when the service has written the date
			start := noon.Add(123 * time.Millisecond)
			date := start.Add(at + tt.real).Truncate(time.Second)
			ahead, within := aheadBy(date, start, start.Add(tt.took))
			if off := (ahead - tt.real).Abs(); off > within || within > tt.took/2+time.Second {
				t.Errorf("%s: %s give or take %s, and is %s", name, ahead, within, tt.real)
			}
		}
	}
}

func TestAccessKeys_RefusalsHaveAHint(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, "app", awstest.Options{})
	l.aws.Deny("app", "iam:ListAccessKeys", "iam:CreateAccessKey")
	_, err := l.List(t.Context(), l.key)
	wantFailure(t, err, upstream.Permanent, "ListAccessKeys: AccessDenied: User: arn:aws:iam::123456789012:user/app ",
		"have to allow iam:CreateAccessKey, iam:ListAccessKeys, iam:UpdateAccessKey and iam:DeleteAccessKey")
	l.aws.Deny("app")
	l.aws.AddKey("app")
	_, err = l.Create(t.Context(), l.key)
	wantFailure(t, err, upstream.Permanent, "CreateAccessKey: LimitExceeded", "delete the one that nobody uses")
	l.aws.Inject(awstest.Throttling("ListAccessKeys", 1))
	_, err = l.List(t.Context(), l.key)
	wantFailure(t, err, upstream.Throttled, "ListAccessKeys: Throttling: Rate exceeded (HTTP 400")
	l.aws.Inject(awstest.Fault{Operation: "ListAccessKeys", Times: 1, Status: 405, Code: "MethodNotAllowed"})
	_, err = l.List(t.Context(), l.key)
	wantFailure(t, err, upstream.Permanent, "MinIO and Garage have none")
	l.aws.Inject(awstest.Fault{Operation: "CreateAccessKey", Times: 1, Lose: true})
	_, err = l.Create(t.Context(), l.key)
	wantFailure(t, err, upstream.Unavailable, "broke before it answered")
}

func wantFailure(t *testing.T, err error, kind upstream.Kind, words ...string) {
	t.Helper()
	var failed *upstream.Error
	if !errors.As(err, &failed) || failed.Kind != kind {
		t.Errorf("the error is %v, want kind %s", err, kind)
		return
	}
	for _, one := range words {
		if !strings.Contains(failed.Error(), one) {
			t.Errorf("%q does not say %q", failed, one)
		}
	}
}

func TestCheck_RefusesRootKeysAndStoresWithoutIAM(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, "root", awstest.Options{})
	err := l.Check(t.Context(), l.key)
	wantFailure(t, err, upstream.Permanent, "account's root user")
	if !errors.Is(err, ErrCannotRotate) {
		t.Errorf("the error is %v", err)
	}
	l.Conn.IAMEndpoint, l.Conn.S3Endpoint = "", "https://minio.example"
	before := l.aws.Calls("GetCallerIdentity")
	wantFailure(t, l.Check(t.Context(), l.key), upstream.Permanent, "iam_endpoint", "MinIO and Garage have none")
	if l.aws.Calls("GetCallerIdentity") != before {
		t.Error("a call was made")
	}
}

func TestAccepted_AsksS3WhereThereIsNoSTS(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, "app", awstest.Options{})
	l.Conn.STSEndpoint, l.Conn.S3Endpoint = "", l.aws.URL
	if accepted, err := l.Accepted(t.Context(), l.key); !accepted || err != nil {
		t.Errorf("the key: %t, %v", accepted, err)
	}
	other := rotation.Key{ID: "AKIAOTHER", Secret: secret.New("x")}
	if accepted, err := l.Accepted(t.Context(), other); accepted || err != nil {
		t.Errorf("another key: %t, %v", accepted, err)
	}
	l.aws.Inject(awstest.Fault{Operation: "ListBuckets", Times: 1, Status: http.StatusForbidden, Code: "AccessDenied"})
	if accepted, err := l.Accepted(t.Context(), l.key); !accepted || err != nil {
		t.Errorf("a key that may not list buckets: %t, %v", accepted, err)
	}
	l.aws.Inject(
		awstest.Fault{Operation: "ListBuckets", Times: 1, Status: http.StatusServiceUnavailable, Code: "SlowDown"},
	)
	if accepted, err := l.Accepted(t.Context(), l.key); accepted || err == nil {
		t.Errorf("a store that is busy: %t, %v", accepted, err)
	}
	if l.aws.Calls("ListBuckets") != 4 || l.aws.Calls("GetCallerIdentity") != 0 {
		t.Errorf("the calls are %+v", l.aws.Requests())
	}
}
