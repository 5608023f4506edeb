package s3conn

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestTestConnection_SessionAndBuckets(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	for _, path := range []string{"test/orders", "test"} {
		var fields map[string]any
		if path == "test" {
			fields = l.sessionFields()
		}
		got := l.must(logical.UpdateOperation, path, fields).Data
		for name, want := range map[string]any{
			"auth_type": connection.AuthRolesAnywhere, "region": "us-east-1", "endpoint": l.store.URL,
			"bucket_count": 2,
			"expiration":   testTime.Add(time.Hour).Format(time.RFC3339), "create_session_ms": int64(0),
			"list_buckets_ms":       int64(0),
			"certificate_not_after": l.identity.Certificate.NotAfter.UTC().Format(time.RFC3339),
			"certificate_ttl":       int64(365 * 24 * 3600),
		} {
			if got[name] != want {
				t.Errorf("%s: %s = %#v, want %#v", path, name, got[name], want)
			}
		}
		if !slices.Equal(got["buckets"].([]string), []string{"invoices", "orders"}) ||
			!strings.Contains(got["identity"].(string), ":assumed-role/app/orders-api") {
			t.Errorf("%s: buckets %v of %v", path, got["buckets"], got["identity"])
		}
		calls := l.store.calls()
		if last := calls[len(calls)-1]; !strings.HasPrefix(signer(last), "ASIA") ||
			last.Get("X-Amz-Security-Token") == "" {
			t.Errorf("%s: ListBuckets was not signed with the session: %v", path, last)
		}
	}
}

func TestTestConnection_AccessKeysAndBuckets(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("reports", l.keyFields(with("s3_region", "garage")))
	for path, fields := range map[string]map[string]any{"test/reports": nil,
		"test": l.keyFields(with("s3_region", "garage"))} {
		got := l.must(logical.UpdateOperation, path, fields).Data
		if got["identity"] != "AKIAEXAMPLE" || got["auth_type"] != connection.AuthAccessKey ||
			got["region"] != "garage" || got["bucket_count"] != 2 {
			t.Errorf("%s: %v", path, got)
		}
		for _, field := range []string{"expiration", "create_session_ms", "certificate_ttl"} {
			if _, there := got[field]; there {
				t.Errorf("%s: access keys have %s", path, field)
			}
		}
		calls := l.store.calls()
		if last := calls[len(calls)-1]; signer(last) != "AKIAEXAMPLE" || last.Get("X-Amz-Security-Token") != "" ||
			!strings.Contains(last.Get("Authorization"), "/garage/s3/aws4_request") {
			t.Errorf("%s: ListBuckets was signed with %s", path, last.Get("Authorization"))
		}
	}
	if l.aws.Calls() != 0 {
		t.Error("a session was requested for access keys")
	}
}

func TestTestConnection_NoBucketsIsASuccess(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.store.say(say(http.StatusOK, "application/xml", `<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>`))
	if got := l.must(logical.UpdateOperation, "test", l.keyFields()).Data; got["bucket_count"] != 0 ||
		len(got["buckets"].([]string)) != 0 {
		t.Errorf("an empty store: %v", got)
	}
}

// A page of some other server must not pass for a store without buckets.
func TestTestConnection_AnswerThatIsNotS3sFails(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for name, answer := range map[string]http.HandlerFunc{
		"HTML":  say(http.StatusOK, "text/html", "<html><body>CANARY</body></html>"),
		"empty": say(http.StatusOK, "", ""),
		"JSON":  say(http.StatusOK, "application/json", `{"buckets":["CANARY"]}`),
		"another XML": say(http.StatusOK, "application/xml",
			"<ListBucketResult><Name>CANARY</Name></ListBucketResult>"),
		"no content":  say(http.StatusNoContent, "", ""),
		"cut off":     say(http.StatusOK, "application/xml", twoBuckets[:len(twoBuckets)-40]),
		"blank code":  refusing(http.StatusForbidden, " ", "CANARY"),
		"HTML error":  say(http.StatusForbidden, "text/html", "<html>CANARY</html>"),
		"bad gateway": say(http.StatusBadGateway, "", ""),
		"too long":    say(http.StatusOK, "application/xml", manyBuckets(9<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			store.say(answer)
			resp, err := m.do(t.Context(), logical.UpdateOperation, "test", keys(store.URL))
			status, text := asVaultSeesIt(t, resp, err)
			if want := map[bool]int{true: http.StatusBadGateway,
				false: http.StatusBadRequest}[name == "bad gateway"]; status != want {
				t.Errorf("answered with %d, want %d", status, want)
			}
			if !strings.HasPrefix(text, "ListBuckets: ") ||
				!strings.Contains(text, "is this the address of the S3 API?") ||
				strings.Contains(text, "CANARY") || len(text) > 300 {
				t.Errorf("described as %.300q", text)
			}
		})
	}
}

func TestTestConnection_LongListOfBucketsIsASuccess(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	store.say(say(http.StatusOK, "application/xml", manyBuckets(1<<20)))
	if got := newMount(t).must(logical.UpdateOperation, "test",
		keys(store.URL)).Data; got["bucket_count"].(int) < 10_000 || len(got["buckets"].([]string)) != 1000 {
		t.Errorf("a list of 1 MiB has %d buckets, of which %d are named; want all and 1,000", got["bucket_count"],
			len(got["buckets"].([]string)))
	}
}

// manyBuckets is a whole list of a little more than this many bytes.
func manyBuckets(size int) string {
	const one = "<Bucket><Name>a-bucket-with-a-name-of-common-length</Name></Bucket>"
	return "<ListAllMyBucketsResult><Buckets>" + strings.Repeat(one, size/len(one)+1) +
		"</Buckets></ListAllMyBucketsResult>"
}

func TestTestConnection_RefusalHasTheServicesOwnWords(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.store.say(refusing(http.StatusForbidden, "InvalidAccessKeyId", "The key is not known."))
	text := l.refused(logical.UpdateOperation, "test", l.keyFields())
	if want := "ListBuckets: InvalidAccessKeyId: The key is not known. (HTTP 403, request id s3-req); the store " +
		"does not know the access key"; text != want {
		t.Errorf("the store's refusal is described as %q\nwant %q", text, want)
	}

	l.store.say(refusing(http.StatusForbidden, "AccessDenied", strings.Repeat("line\r\n", 3<<10/6)))
	text = l.refused(logical.UpdateOperation, "test", l.keyFields())
	if strings.ContainsAny(text, "\r\n") || len(text) > 500+300 || !strings.Contains(text, "AccessDenied: line") {
		t.Errorf("a message of 3 KiB is repeated in %d bytes: %.200q", len(text), text)
	}

	l.aws.Inject(rolesanywheretest.Fault{Times: 1, Status: 403, Code: "AccessDeniedException",
		Message: "Untrusted signing certificate"})
	before := len(l.store.calls())
	text = l.refused(logical.UpdateOperation, "test", l.sessionFields())
	if !strings.HasPrefix(text, "CreateSession: AccessDeniedException: Untrusted signing certificate (HTTP 403, "+
		"request id ") ||
		!strings.Contains(text, "the trust anchor does not hold the CA") {
		t.Errorf("the service's refusal is described as %q", text)
	}
	if len(l.store.calls()) != before {
		t.Error("the store was called without a session")
	}
}

func TestTestConnection_ObtainsAFreshSessionAndLeavesTheSharedOne(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	shared := l.read("creds/orders").Data["access_key"]
	stored := func() string {
		entry, err := l.mount.storage.Get(t.Context(), sessionPrefix+"orders")
		if err != nil || entry == nil {
			t.Fatalf("no stored session: %v", err)
		}
		return string(entry.Value)
	}
	before := stored()
	for sessions := 2; sessions <= 3; sessions++ {
		l.must(logical.UpdateOperation, "test/orders", nil)
		calls := l.store.calls()
		if signer(calls[len(calls)-1]) == shared || l.aws.Sessions() != sessions {
			t.Errorf("the test used the shared session: %d were requested, want %d", l.aws.Sessions(), sessions)
		}
	}
	if l.read("creds/orders").Data["access_key"] != shared || l.aws.Sessions() != 3 || stored() != before {
		t.Error("a test changed the session that readers share")
	}

	l.write("fresh", l.sessionFields())
	l.must(logical.UpdateOperation, "test/fresh", nil)
	if entry, err := l.mount.storage.Get(t.Context(), sessionPrefix+"fresh"); err != nil || entry != nil {
		t.Errorf("a test stored its session (%v)", err)
	}
}

func TestTestSettings_StoresNothing(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.must(logical.UpdateOperation, "test", l.sessionFields())
	for _, prefix := range []string{"", configPrefix, sessionPrefix} {
		if names, err := l.mount.storage.List(t.Context(), prefix); err != nil || len(names) != 0 {
			t.Errorf("a test of settings stored %q under %q (%v)", names, prefix, err)
		}
	}
}

func TestTestConnection_TakesNoFields(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.keyFields())
	for field, value := range map[string]any{"region": "eu-west-1", "secret_key": "CANARY", "verify_connection": true,
		"x": "CANARY"} {
		text := l.refused(logical.UpdateOperation, "test/orders", with(field, value))
		if !strings.Contains(text, "takes no fields") || !strings.Contains(text, field) ||
			strings.Contains(text, "CANARY") {
			t.Errorf("test/orders with %s is described as %q", field, text)
		}
	}
	if text := l.refused(logical.UpdateOperation, "test",
		l.keyFields(with("verify_connection", true))); !strings.Contains(text, "verify_connection") {
		t.Errorf("test with verify_connection is described as %q", text)
	}
	if len(l.store.calls()) != 0 {
		t.Error("a refused request called the store")
	}
}

func TestTestConnection_MissingIsNamed(t *testing.T) {
	t.Parallel()
	if text := newMount(t).refused(logical.UpdateOperation, "test/nothing", nil); !strings.Contains(text,
		`there is no connection "nothing"`) {
		t.Errorf("the error is %q", text)
	}
}

func TestTestConnection_WarnsOfACertificateNearItsEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	l.clock.Advance(340 * 24 * time.Hour)
	want := fmt.Sprintf("certificate: it expires on %s", l.identity.Certificate.NotAfter.UTC().Format(time.RFC3339))
	for path, fields := range map[string]map[string]any{"test/orders": nil, "test": l.sessionFields()} {
		if got := strings.Join(l.must(logical.UpdateOperation, path, fields).Warnings, "\n"); !strings.Contains(got,
			want) {
			t.Errorf("%s warns %q, want %q", path, got, want)
		}
	}
}

func TestConnection_TestThatPassesEndsTheCoolDown(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	l.aws.Inject(rolesanywheretest.Fault{Status: 403, Code: "AccessDeniedException", Message: "disabled", Times: 1})
	if g := l.readCreds(t.Context(), "orders"); g.err == nil {
		t.Fatal("the stand-in did not refuse")
	}
	if g := l.readCreds(t.Context(), "orders"); g.err == nil {
		t.Fatal("there is no cool-down")
	}
	l.must(logical.UpdateOperation, "test/orders", nil)
	if g := l.readCreds(t.Context(), "orders"); g.err != nil {
		t.Errorf("after a test that passed: %v", g.err)
	}
}

func TestProbeResponse_CertificateEndsWithItsChain(t *testing.T) {
	t.Parallel()
	soon := testTime.Add(10 * 24 * time.Hour)
	intermediate, err := newAuthority(t).Intermediate(rolesanywheretest.AuthorityOptions{
		NotBefore: testTime.Add(-time.Hour), NotAfter: soon})
	if err != nil {
		t.Fatal(err)
	}
	issued := issue(t, intermediate, rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour)})
	conn := connection.New()
	conn.AuthType, conn.Certificate = connection.AuthRolesAnywhere, string(issued.CertificatePEM)
	result := &probeResult{credentials: session.Session{Expiration: testTime.Add(time.Hour)}}
	got := result.response(&conn, testTime)
	if got["certificate_not_after"] != soon.Format(time.RFC3339) || got["certificate_ttl"] != int64(10*24*3600) {
		t.Errorf("a chain that ends in 10 days: certificate_not_after %v, certificate_ttl %v",
			got["certificate_not_after"], got["certificate_ttl"])
	}
}
