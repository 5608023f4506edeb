package s3conn

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
)

func TestCreds_SessionHasEveryField(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		const role = "arn:aws:iam::" + testAccount + ":role/app-0"
		want := map[string]any{
			"access_key": "ASIA1", "secret_key": "secret-1", "session_token": "token-1-" + role,
			"security_token": "token-1-" + role,
			"expiration":     testTime.Add(time.Hour).Format(time.RFC3339), "ttl": int64(3600), "arn": role,
			"region": "us-east-1", "auth_type": connection.AuthRolesAnywhere,
		}
		if got := m.read("creds/orders-0").Data; !maps.Equal(got, want) {
			t.Errorf("credentials = %v\nwant %v", got, want)
		}
		m.write("orders-0", changed(map[string]any{}, []map[string]any{
			with("s3_region", "garage"), with("s3_endpoint", "https://s3.example:9000")}))
		got := m.read("creds/orders-0").Data
		if got["region"] != "garage" || got["endpoint"] != "https://s3.example:9000" {
			t.Errorf("region %v and endpoint %v, want those of the store", got["region"], got["endpoint"])
		}
	})
}

func TestCreds_AccessKeysComeAsTheyAreAndWithEmptyTokens(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields(with("custom_region", "xx-new-9"), with("s3_endpoint", "https://s3.example")))
	resp := m.read("creds/reports")
	want := map[string]any{
		"access_key": "AKIAEXAMPLE", "secret_key": "sEcReT/key+1", "session_token": "", "security_token": "",
		"region": "xx-new-9", "auth_type": connection.AuthAccessKey, "endpoint": "https://s3.example",
	}
	if !maps.Equal(resp.Data, want) {
		t.Errorf("credentials = %v\nwant %v", resp.Data, want)
	}
	if resp.Secret != nil || len(resp.Warnings) != 0 {
		t.Errorf("access keys came with lease %+v and warnings %q", resp.Secret, resp.Warnings)
	}
}

func TestCreds_WarnOfACertificateNearItsEnd(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		end := time.Date(2027, 11, 23, 9, 26, 49, 0, time.UTC)
		warned := func() bool {
			return strings.Contains(strings.Join(m.read("creds/orders-0").Warnings, "\n"),
				"certificate: it expires on 2027-11-23T09:26:49Z")
		}
		pass(end.Add(-30 * 24 * time.Hour).Sub(bubbleNow()))
		if warned() {
			t.Error("30 days before the end: a warning already")
		}
		pass(time.Second)
		if !warned() {
			t.Error("less than 30 days before the end: no warning")
		}
		m.write("orders-0", with("generate_lease", false))
		if !warned() {
			t.Error("without a lease: no warning")
		}
	})
}

func TestCreds_MissingConnectionIsNamed(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	if text := m.refused(logical.ReadOperation, "creds/nothing", nil); !strings.Contains(text,
		`there is no connection "nothing"`) {
		t.Errorf("the error is %q", text)
	}
}

func TestCreds_FailureKeepsItsStatus(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		for _, status := range []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
			http.StatusGatewayTimeout} {
			aws.set(func(s *service) { s.err = failedCall(status, "no") })
			pass(time.Minute) // no pause is longer
			resp, err := m.do(t.Context(), logical.ReadOperation, "creds/orders-0", nil)
			if got, text := asVaultSeesIt(t, resp, err); got != status || text != "CreateSession: no" {
				t.Errorf("a failure with status %d reaches the reader as %d, %q", status, got, text)
			}
		}
	})
}
