package s3conn

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// readSDK returns the raw answer of sdk/NAME.
func (m *mount) readSDK(name string) (status int, body map[string]any) {
	m.t.Helper()
	resp := m.must(logical.ReadOperation, "sdk/"+name, nil)
	if resp.Secret != nil || resp.Data[logical.HTTPContentType] != "application/json" {
		m.t.Errorf("the answer has a lease or is not JSON: %+v", resp)
	}
	if err := json.Unmarshal(resp.Data[logical.HTTPRawBody].([]byte), &body); err != nil {
		m.t.Fatalf("decoding the raw body: %v", err)
	}
	return resp.Data[logical.HTTPStatusCode].(int), body
}

func TestSDK_SessionInBothFormsThatSDKsRead(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		status, body := m.readSDK("orders-0")
		want := map[string]any{
			"Version": 1.0, "AccessKeyId": "ASIA1", "SecretAccessKey": "secret-1",
			"Token":        "token-1-arn:aws:iam::123456789012:role/app-0",
			"SessionToken": "token-1-arn:aws:iam::123456789012:role/app-0",
			"Expiration":   testTime.Add(time.Hour).Format(time.RFC3339), "AccountId": testAccount,
			"RoleArn": "arn:aws:iam::123456789012:role/app-0",
		}
		if status != 200 || len(body) != len(want) {
			t.Errorf("status %d, body %v; want 200 and %v", status, body, want)
		}
		for name, value := range want {
			if body[name] != value {
				t.Errorf("%s = %v, want %v", name, body[name], value)
			}
		}
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" || aws.count() != 1 {
			t.Errorf("creds has another session: %+v after %d calls", g, aws.count())
		}
	})
}

func TestSDK_SessionAlwaysOutlastsTheRefreshWindow(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		for range 400 {
			_, body := m.readSDK("orders-0")
			expiration, err := time.Parse(time.RFC3339, body["Expiration"].(string))
			if err != nil || expiration.Sub(bubbleNow()) < sdkWant {
				t.Fatalf("a session with %s left was handed out (%v)", expiration.Sub(bubbleNow()), err)
			}
			pass(37 * time.Second)
		}
		if n := aws.count(); n < 4 || n > 7 {
			t.Errorf("%d sessions in 4 hours, want about one in 40 minutes", n)
		}
	})
}

func TestSDK_SessionInsideTheRefreshWindowIsReplacedFirst(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.readSDK("orders-0")
		pass(time.Hour - 15*time.Minute + time.Second) // nobody reads, so nobody refreshes
		if _, body := m.readSDK("orders-0"); body["AccessKeyId"] != "ASIA2" {
			t.Errorf("with 899 s left an SDK gets %v, want the next session", body["AccessKeyId"])
		}
	})
}

func TestSDK_AccessKeysExpireAnHourAhead(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	status, body := m.readSDK("reports")
	if status != 200 || body["Expiration"] != testTime.Add(time.Hour).Format(time.RFC3339) ||
		body["AccessKeyId"] != "AKIAEXAMPLE" ||
		body["SecretAccessKey"] != "sEcReT/key+1" || body["Token"] != "" || body["RoleArn"] != nil {
		t.Errorf("status %d, body %v", status, body)
	}
}

func TestSDK_FailureIsAStatusWithCodeAndMessage(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		if status, body := m.readSDK("nothing"); status != 404 || body["code"] != "NoSuchConnection" ||
			body["message"] == "" {
			t.Errorf("a missing connection is %d, %v", status, body)
		}
		refused := failedCall(http.StatusBadRequest, "AccessDeniedException: no")
		refused.Code = "AccessDeniedException"
		for _, failure := range []struct {
			err    *upstream.Error
			status int
			code   string
		}{
			{refused, http.StatusBadRequest, "AccessDeniedException"},
			{failedCall(http.StatusBadRequest, "the certificate has expired"), http.StatusBadRequest,
				codeInvalidRequest},
			{failedCall(http.StatusServiceUnavailable, "busy"), http.StatusServiceUnavailable, codeUnavailable},
		} {
			aws.set(func(s *service) { s.err = failure.err })
			pass(time.Minute)
			if status, body := m.readSDK("orders-0"); status != failure.status || body["code"] != failure.code ||
				body["message"] != failure.err.Error() || body["Code"] != body["code"] ||
				body["Message"] != body["message"] || !reflect.DeepEqual(body["errors"], []any{body["message"]}) {
				t.Errorf("%v is answered with %d, %v", failure.err, status, body)
			}
		}
		m.storage.breakOn(errStorage, "get")
		if status, body := m.readSDK("other"); status != 500 || body["code"] != codeInternal ||
			!strings.Contains(body["message"].(string), errStorage.Error()) {
			t.Errorf("with broken storage the answer is %d, %v", status, body)
		}
		m.storage.breakOn(logical.ErrReadOnly, "get")
		if _, err := m.do(t.Context(), logical.ReadOperation, "sdk/other", nil); !errors.Is(err, logical.ErrReadOnly) {
			t.Errorf("on a read-only node: %v", err)
		}
	})
}

// SDKs give up after a second or two and come again: no defect of this host, and nothing for its log.
func TestSDK_CallerThatHasGoneIsNoErrorOfThisHost(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		resp, err := m.do(ctx, logical.ReadOperation, "sdk/orders-0", nil)
		if err != nil || resp.Data[logical.HTTPStatusCode] != 503 ||
			!strings.Contains(string(resp.Data[logical.HTTPRawBody].([]byte)), `"code":"`+codeUnavailable+`"`) {
			t.Errorf("a caller that gave up got %+v, %v; want a 503", resp, err)
		}
		if log := m.log.String(); strings.Contains(log, "[ERROR]") {
			t.Errorf("the log has an error:\n%s", log)
		}
		close(gate)
		synctest.Wait()
	})
}
