package s3conn

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// wantFigures fails the test where a scrape lacks one of the lines.
func (m *mount) wantFigures(lines ...string) {
	m.t.Helper()
	data := m.read("metrics").Data
	if data[logical.HTTPStatusCode] != http.StatusOK || data[logical.HTTPContentType] != health.ContentType ||
		data[logical.HTTPCacheControlHeader] != "no-store" {
		m.t.Errorf("the scrape is %v", data)
	}
	have := strings.Split(string(data[logical.HTTPRawBody].([]byte)), "\n")
	for _, line := range lines {
		if !slices.Contains(have, line) {
			name, _, _ := strings.Cut(line, " ")
			at := slices.IndexFunc(have, func(l string) bool { return strings.HasPrefix(l, name+" ") })
			found := "nothing"
			if at >= 0 {
				found = have[at]
			}
			m.t.Errorf("the scrape has %s, want %s", found, line)
		}
	}
}

func TestMetrics_CountReadsAndCalls(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	l.write("reports", l.keyFields())
	l.read("creds/orders")
	l.read("creds/orders")
	l.read("sdk/orders")
	l.read("sdk/nothing")
	l.refused(logical.ReadOperation, "creds/nothing", nil)
	l.must(logical.UpdateOperation, "test/orders", nil)
	l.store.say(refusing(http.StatusForbidden, "AccessDenied", "no"))
	l.refused(logical.UpdateOperation, "test/reports", nil)
	l.wantFigures(
		`s3conn_reads_total{outcome="ok",path="creds"} 2`,
		`s3conn_reads_total{outcome="permanent",path="creds"} 1`,
		`s3conn_reads_total{outcome="ok",path="sdk"} 1`,
		`s3conn_reads_total{outcome="permanent",path="sdk"} 1`,
		`s3conn_calls_total{operation="CreateSession",outcome="ok"} 2`,
		`s3conn_calls_total{operation="ListBuckets",outcome="ok"} 1`,
		`s3conn_calls_total{operation="ListBuckets",outcome="permanent"} 1`,
		`s3conn_call_seconds_count{operation="CreateSession"} 2`,
		`s3conn_queue_wait_seconds_count 2`,
		`s3conn_sessions 1`, `s3conn_queue_length 0`,
		`s3conn_connections{state="ok"} 1`, `s3conn_connections{state="idle"} 1`,
		`s3conn_connections_failing{activity="session"} 0`,
		`s3conn_build_info{version="`+Version+`"} 1`,
	)
}

func TestMetrics_CountRefusalsByKind(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	l.aws.Inject(rolesanywheretest.Fault{Status: http.StatusForbidden, Code: "AccessDeniedException"})
	l.refused(logical.ReadOperation, "creds/orders", nil)
	l.read("sdk/orders")
	l.wantFigures(
		`s3conn_calls_total{operation="CreateSession",outcome="permanent"} 1`,
		`s3conn_reads_total{outcome="permanent",path="creds"} 1`,
		`s3conn_reads_total{outcome="permanent",path="sdk"} 1`,
		`s3conn_connections{state="failing"} 1`, `s3conn_connections_failing{activity="session"} 1`,
	)
}

func TestMetrics_HaveTheFirstEnds(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(2)
		aws.set(func(s *service) { s.lifetime = 2 * time.Hour })
		m.readCreds(t.Context(), "orders-0")
		aws.set(func(s *service) { s.lifetime = time.Hour })
		m.readCreds(t.Context(), "orders-1")
		text := string(m.read("metrics").Data[logical.HTTPRawBody].([]byte))
		session := m.status("orders-1")["session"].(map[string]any)["expiration"].(string)
		certificate := m.status("orders-1")["certificate"].(map[string]any)["not_after"].(string)
		for name, end := range map[string]string{`s3conn_first_session_end_seconds `: session,
			`s3conn_first_certificate_end_seconds{renewal="none"} `: certificate} {
			at, err := time.Parse(time.RFC3339, end)
			if err != nil {
				t.Fatal(err)
			}
			_, value, found := strings.Cut(text, "\n"+name)
			value, _, _ = strings.Cut(value, "\n")
			if parsed, err := parseFigure(value); !found || err != nil || parsed != at.Unix() {
				t.Errorf("%s is %q, want %d", name, value, at.Unix())
			}
		}
	})
}

func TestMetrics_StorageThatFailsLeavesTheOtherFigures(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	m.read("creds/reports")
	m.storage.breakOn(errStorage, "list")
	m.wantFigures(`s3conn_reads_total{outcome="ok",path="creds"} 1`)
	text := string(m.read("metrics").Data[logical.HTTPRawBody].([]byte))
	if strings.Contains(text, "s3conn_connections") {
		t.Error("the scrape has figures that it cannot know")
	}
}

func TestMetrics_ReadsThatFailAreCountedByTheirStatus(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]health.Outcome{
		logical.ErrReadOnly: health.Forwarded,
		errors.New("rpc error: code = Unknown desc = " + logical.ErrReadOnly.Error()): health.Forwarded,
		failedCall(http.StatusTooManyRequests, "x"):                                   health.Throttled,
		failedCall(http.StatusBadGateway, "x"):                                        health.Unavailable,
		failedCall(http.StatusBadRequest, "x"):                                        health.Permanent,
		&missingError{"x"}:                                                            health.Permanent,
		session.ErrPending:                                                            health.Unavailable,
		errStorage:                                                                    health.Unavailable,
	} {
		if got := outcomeOfError(err); got != want {
			t.Errorf("%v is counted as %s, want %s", err, got, want)
		}
	}
}

// A name that nobody has written must not cost memory.
func TestMetrics_RefusedNamesAreNotRemembered(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, path := range []string{"creds/nothing", "sdk/nothing", "creds/nothing/x"} {
		if _, err := m.do(t.Context(), logical.ReadOperation, path, nil); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	first, second := m.monitor.records.Find("nothing"), m.monitor.records.Find("nothing")
	if first == second {
		t.Error("a record of a connection that is not there has been made")
	}
}

// parseFigure reads a figure as Prometheus writes it.
func parseFigure(text string) (int64, error) {
	value, err := strconv.ParseFloat(text, 64)
	return int64(value), err
}
