package s3conn

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// app reads a key and uses it until the time that it was promised for.
type app struct {
	creds awscall.Credentials
	until time.Time
}

// refreshApp reads the key as an SDK does, which comes back at the Expiration, or as Vault Secrets Operator does.
func (l *keyLab) refreshApp(a *app, sdk bool) {
	l.t.Helper()
	if !sdk {
		data := l.read("creds/reports").Data
		a.creds = awscall.Credentials{
			AccessKeyID:     data["access_key"].(string),
			SecretAccessKey: secret.New(data["secret_key"].(string)),
		}
		a.until = l.clock.Now().Add(time.Duration(data["ttl"].(int64)) * time.Second)
		return
	}
	var body struct {
		AccessKeyId, SecretAccessKey string //nolint:revive // AWS's own spelling
		Expiration                   time.Time
	}
	if err := json.Unmarshal(l.read("sdk/reports").Data[logical.HTTPRawBody].([]byte), &body); err != nil {
		l.t.Fatal(err)
	}
	a.creds = awscall.Credentials{AccessKeyID: body.AccessKeyId, SecretAccessKey: secret.New(body.SecretAccessKey)}
	a.until = body.Expiration
}

// TestRotation_NoAppNotices has 50 apps use each key for as long as it was promised to them, and call S3 every ten
// minutes, over 20 rotations at an IAM that knows a new key some seconds later.
func TestRotation_NoAppNotices(t *testing.T) {
	l := &keyLab{mount: newMount(t)}
	// Every request takes time, so that a new key comes of age while it is being checked.
	now := func() time.Time { l.clock.Advance(100 * time.Millisecond); return l.clock.Now() }
	l.aws = awstest.NewServer(
		awstest.Options{Now: now, Buckets: []string{"orders"}, KeyDelay: 2 * time.Second, KeyFlap: time.Second},
	)
	t.Cleanup(l.aws.Close)
	l.writeUser(with("rotation_period", 7200))
	client := &awscall.Client{HTTP: http.DefaultClient, Now: l.clock.Now}
	store := awscall.S3{Endpoint: l.aws.URL, Region: "us-east-1"}
	apps := make([]app, 50)
	calls, refused := 0, 0
	next := l.clock.Now().Add(2 * time.Hour)
	for l.aws.Calls("CreateAccessKey") < 20 || len(l.ids()) > 1 {
		for i := range apps {
			if !l.clock.Now().Before(apps[i].until) {
				l.refreshApp(&apps[i], i%2 == 0)
			}
			calls++
			if _, err := client.ListBuckets(t.Context(), store, apps[i].creds); err != nil {
				refused++
				t.Logf("app %d with a key promised until %s at %s: %v", i, apps[i].until, l.clock.Now(), err)
			}
		}
		l.clock.Advance(10 * time.Minute)
		for !next.IsZero() && !next.After(l.clock.Now()) {
			next = l.runDue()
		}
		if next.IsZero() {
			t.Fatal("the rotations have ended")
		}
	}
	t.Logf("%d rotations, %d calls, %d refused", l.aws.Calls("CreateAccessKey"), calls, refused)
	if refused > 0 || l.aws.Calls("DeleteAccessKey") < 20 {
		t.Errorf("%d of %d calls were refused; %d keys were deleted", refused, calls, l.aws.Calls("DeleteAccessKey"))
	}
}
