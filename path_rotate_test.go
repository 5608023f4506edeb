package s3conn

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

// keyLab is a mount with a connection of an IAM user at the stand-in.
type keyLab struct {
	*mount
	aws *awstest.Server
}

func newKeyLab(t *testing.T, changes ...map[string]any) *keyLab {
	t.Helper()
	l := &keyLab{mount: newMount(t)}
	l.aws = awstest.NewServer(awstest.Options{Now: l.clock.Now, Buckets: []string{"orders"}})
	t.Cleanup(l.aws.Close)
	l.writeUser(changes...)
	return l
}

// writeUser writes the connection "reports" with the key of the user "app".
func (l *keyLab) writeUser(changes ...map[string]any) {
	l.t.Helper()
	key := l.aws.AddUser("app")
	l.write(
		"reports",
		accessKeyFields(append([]map[string]any{with("access_key", key.ID), with("secret_key", key.Secret),
			with("iam_endpoint", l.aws.URL), with("sts_endpoint", l.aws.URL)}, changes...)...),
	)
}

// runDue runs the connection's rotation once, as the scheduler does, and returns when it is due again.
func (l *keyLab) runDue() time.Time {
	return l.runJob(l.t.Context(), schedule.Key{Kind: rotationJob, Name: "reports"})
}

func (l *keyLab) ids() (ids []string) {
	for _, key := range l.aws.Keys("app") {
		ids = append(ids, key.ID)
	}
	return ids
}

func TestRotate_ReplacesTheKeyForReadersAtOnce(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	before := l.read("creds/reports").Data["access_key"]
	got := l.must(logical.UpdateOperation, "rotate/reports", nil).Data
	read := l.read("creds/reports").Data
	ids := l.ids()
	if got["previous_access_key"] != before || got["access_key"] != read["access_key"] || len(ids) != 2 ||
		ids[1] != read["access_key"] ||
		read["secret_key"] != l.aws.Keys("app")[1].Secret {
		t.Errorf("rotated %v from %v; a read shows %v, IAM has %v", got, before, read["access_key"], ids)
	}
	end := testTime.Add(2*time.Hour + 2*time.Minute)
	if got["previous_key_end"] != end.Format(time.RFC3339) ||
		got["last_vault_rotation"] != testTime.Format(time.RFC3339) ||
		got["next_rotation"] != nil {
		t.Errorf("the response is %v", got)
	}
	if due, waiting := l.jobs.Due(rotationOf("reports")); !waiting || !due.Equal(end) {
		t.Errorf("the old key's end is due at %s, %t", due, waiting)
	}
	if text := l.must(logical.UpdateOperation, "rotate/reports", nil).Data["access_key"]; text != got["access_key"] {
		t.Errorf("asking again has made %v", text)
	}
	l.clock.Advance(5 * time.Minute)
	text := l.refused(logical.UpdateOperation, "rotate/reports", nil)
	if !strings.Contains(text, ids[0]+" was replaced by "+ids[1]) || len(l.ids()) != 2 {
		t.Errorf("within the grace: %s", text)
	}
	l.clock.Advance(2 * time.Hour)
	if next := l.runDue(); !next.Equal(l.clock.Now().Add(10 * time.Minute)) {
		t.Errorf("the deletion is due at %s", next)
	}
	l.clock.Advance(10 * time.Minute)
	if next := l.runDue(); !next.IsZero() || !slices.Equal(l.ids(), ids[1:]) {
		t.Errorf("due again at %s, IAM has %v", next, l.ids())
	}
	if strings.Contains(l.log.String(), l.aws.Keys("app")[0].Secret) {
		t.Error("the log holds a secret key")
	}
}

func TestRotate_FollowsThePeriodAndReadsSayWhen(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	read := l.read("creds/reports").Data
	if read["ttl"] != int64(86400) || read["rotation_period"] != int64(86400) ||
		read["last_vault_rotation"] != testTime.Format(time.RFC3339) {
		t.Errorf("a read shows %v", read)
	}
	if due, _ := l.jobs.Due(rotationOf("reports")); !due.Equal(testTime.Add(24 * time.Hour)) {
		t.Errorf("the rotation is due at %s", due)
	}
	l.clock.Advance(25 * time.Hour)
	if got := l.read("creds/reports").Data["ttl"]; got != int64(minRotationTTL) {
		t.Errorf("when the rotation is due the ttl is %v", got)
	}
	l.runDue()
	read = l.read("creds/reports").Data
	if read["access_key"] != l.ids()[1] || read["ttl"] != int64(86400) ||
		read["last_vault_rotation"] != l.clock.Now().Format(time.RFC3339) {
		t.Errorf("after the rotation a read shows %v", read)
	}
	rotation := l.read("status/reports").Data["rotation"].(map[string]any)
	if rotation["next_rotation"] != l.clock.Now().Add(24*time.Hour).Format(time.RFC3339) ||
		rotation["last_failure"] != nil {
		t.Errorf("the status is %v", rotation)
	}
	l.write("reports", with("rotation_period", 0))
	if due, waiting := l.jobs.Due(rotationOf("reports")); !waiting || due.After(l.clock.Now().Add(3*time.Hour)) {
		t.Errorf("without a period the grace's end is due at %s, %t", due, waiting)
	}
	if _, there := l.read("creds/reports").Data["ttl"]; there {
		t.Error("without a period a read shows a ttl")
	}
}

func TestRotate_IsFoundAfterARestart(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	l.start()
	if err := l.findJobs(); err != nil {
		t.Fatal(err)
	}
	if due, _ := l.jobs.Due(rotationOf("reports")); !due.Equal(testTime.Add(24 * time.Hour)) {
		t.Errorf("after a restart the rotation is due at %s", due)
	}
	l.must(logical.DeleteOperation, "config/reports", nil)
	if keys, err := l.mount.storage.List(t.Context(), rotationPrefix); err != nil || len(keys) > 0 {
		t.Errorf("after the connection's deletion there are %v, %v", keys, err)
	}
	if _, waiting := l.jobs.Due(rotationOf("reports")); waiting {
		t.Error("the job of a deleted connection waits")
	}
}

func TestRotate_RefusalsSayWhyAndChangeNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(l *keyLab)
		status  int
		says    []string
	}{
		"no permission": {func(l *keyLab) { l.aws.Deny("app", "iam:CreateAccessKey") }, http.StatusBadRequest,
			[]string{`rotating the access key of connection "reports": CreateAccessKey: AccessDenied`,
				"have to allow iam:CreateAccessKey"}},
		"two keys": {func(l *keyLab) { l.aws.AddKey("app") }, http.StatusBadRequest,
			[]string{"has two access keys", "delete the one that nobody uses"}},
		"a user that is gone": {func(l *keyLab) { l.aws.RemoveUser("app") }, http.StatusBadRequest,
			[]string{"InvalidClientTokenId"}},
		"throttling": {func(l *keyLab) { l.aws.Inject(awstest.Throttling("ListAccessKeys", 1)) },
			http.StatusTooManyRequests,
			[]string{"ListAccessKeys: Throttling"}},
		"no service": {func(l *keyLab) {
			l.aws.Inject(awstest.Fault{Operation: "ListAccessKeys", Status: 503, Code: "ServiceUnavailable"})
		},
			http.StatusServiceUnavailable, []string{"ListAccessKeys: ServiceUnavailable"}},
		"a store": {func(l *keyLab) {
			l.write("reports", map[string]any{"iam_endpoint": "", "s3_endpoint": "https://minio.example"})
		},
			http.StatusBadRequest, []string{"iam_endpoint", "MinIO and Garage have none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newKeyLab(t)
			tt.prepare(l)
			before, stored := len(l.ids()), l.read("creds/reports").Data["access_key"]
			resp, err := l.do(t.Context(), logical.UpdateOperation, "rotate/reports", nil)
			status, text := asVaultSeesIt(t, resp, err)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			for _, one := range tt.says {
				if !strings.Contains(text, one) {
					t.Errorf("%q does not say %q", text, one)
				}
			}
			if len(l.ids()) != before || l.read("creds/reports").Data["access_key"] != stored {
				t.Errorf("the keys are %v, a read shows %v", l.ids(), l.read("creds/reports").Data["access_key"])
			}
		})
	}
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	if text := m.refused(logical.UpdateOperation, "rotate/orders", nil); !strings.Contains(
		text,
		"auth_type: the connection has no access key",
	) {
		t.Errorf("sessions: %s", text)
	}
	if text := m.refused(logical.UpdateOperation, "rotate/nothing", nil); !strings.Contains(
		text,
		"there is no connection",
	) {
		t.Errorf("no connection: %s", text)
	}
	if text := m.refused(logical.UpdateOperation, "rotate/orders", with("force", true)); !strings.Contains(
		text,
		"there is no such field",
	) {
		t.Errorf("a field: %s", text)
	}
}

func TestRotate_AnotherKeyOrTheConnectionsDeletionEndsTheGrace(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(l *keyLab) []string{
		"another key": func(l *keyLab) []string {
			other := l.aws.AddUser("other")
			return l.write("reports", map[string]any{"access_key": other.ID, "secret_key": other.Secret}).Warnings
		},
		"deletion": func(l *keyLab) []string { return l.must(logical.DeleteOperation, "config/reports", nil).Warnings },
	} {
		for _, allowed := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				l := newKeyLab(t)
				l.must(logical.UpdateOperation, "rotate/reports", nil)
				ids := l.ids()
				if !allowed {
					l.aws.Deny("app", "iam:DeleteAccessKey")
				}
				warnings := strings.Join(change(l), "\n")
				if left := l.ids(); allowed != slices.Equal(left, ids[1:]) {
					t.Errorf("IAM has %v of %v", left, ids)
				}
				if !allowed && !strings.Contains(warnings, "deleting access key "+ids[0]) {
					t.Errorf("the warnings are %s", warnings)
				}
			})
		}
	}
}
