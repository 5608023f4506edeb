package s3conn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
)

// entries returns what is stored under the prefix.
func (m *mount) entries(prefix string) []string {
	m.t.Helper()
	entries, err := m.storage.Storage.List(context.Background(), prefix)
	if err != nil {
		m.t.Fatal(err)
	}
	return entries
}

// deletedInGrace deletes the connection in the middle of a rotation's grace while IAM does not respond, and returns the
// keys and the warnings.
func (l *keyLab) deletedInGrace() (ids []string, warnings string) {
	l.t.Helper()
	l.must("update", "rotate/reports", nil)
	l.aws.Inject(awstest.Fault{Operation: "DeleteAccessKey", Status: 503, Code: "ServiceUnavailable"})
	ids = l.ids()
	return ids, strings.Join(l.must("delete", "config/reports", nil).Warnings, "\n")
}

func TestRotationLeft_IsDoneLaterAndByTheNextProcess(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	ids, warnings := l.deletedInGrace()
	if !strings.Contains(warnings, "deleting access key "+ids[0]) || !strings.Contains(warnings, "tried again later") ||
		!strings.Contains(warnings, `"`+ids[1]+`", which a rotation has made, stays in IAM`) {
		t.Errorf("the warnings are %s", warnings)
	}
	left := l.entries(leftPrefix)
	if len(left) != 1 || len(l.entries(rotationPrefix)) > 0 {
		t.Fatalf("stored are %v and %v", left, l.entries(rotationPrefix))
	}
	due, waiting := l.jobs.Due(leftOf(left[0]))
	if pause := due.Sub(l.clock.Now()); !waiting || pause < 45*time.Second || pause > time.Minute {
		t.Errorf("it is tried again in %s, %t", pause, waiting)
	}
	l.start()
	if err := l.findJobs(); err != nil {
		t.Fatal(err)
	}
	if again, _ := l.jobs.Due(leftOf(left[0])); !again.Equal(due) {
		t.Errorf("the next process tries it at %s, want %s", again, due)
	}
	l.clock.Advance(time.Minute)
	if next := l.runJob(t.Context(), leftOf(left[0])); next.Sub(l.clock.Now()) < 90*time.Second {
		t.Errorf("after a second failure it is tried again at %s", next)
	}
	l.aws.Clear()
	if next := l.runJob(t.Context(), leftOf(left[0])); !next.IsZero() || !slices.Equal(l.ids(), ids[1:]) ||
		len(l.entries(leftPrefix)) > 0 {
		t.Errorf("again at %s; IAM has %v of %v, stored is %v", next, l.ids(), ids, l.entries(leftPrefix))
	}
	if next := l.runJob(t.Context(), leftOf(left[0])); !next.IsZero() {
		t.Errorf("what is done is tried again at %s", next)
	}
	if log := l.log.String(); strings.Contains(log, l.aws.Keys("app")[0].Secret) {
		t.Error("the log holds a secret key")
	}
}

func TestRotationLeft_IsGivenUpInWords(t *testing.T) {
	t.Parallel()
	for name, giveUp := range map[string]func(l *keyLab){
		"IAM refuses": func(l *keyLab) { l.aws.Clear(); l.aws.Deny("app", "iam:DeleteAccessKey") },
		"IAM does not respond for a week": func(l *keyLab) {
			l.clock.Advance(maxLeftFor + time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newKeyLab(t)
			ids, _ := l.deletedInGrace()
			left := l.entries(leftPrefix)
			giveUp(l)
			if next := l.runJob(t.Context(), leftOf(left[0])); !next.IsZero() || len(l.entries(leftPrefix)) > 0 {
				t.Errorf("again at %s, stored is %v", next, l.entries(leftPrefix))
			}
			log := l.log.String()
			if !strings.Contains(log, "cleaning up after a rotation is given up") ||
				!strings.Contains(log, "deleting access key "+ids[0]) || !strings.Contains(log, "delete it in IAM") {
				t.Errorf("the log is %s", log)
			}
		})
	}
}

func TestRotationLeft_ConnectionOfTheSameNameIsNotDisturbed(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	ids, _ := l.deletedInGrace()
	left := l.entries(leftPrefix)
	old := l.aws.Keys("app")[0]
	l.write("reports", accessKeyFields(with("access_key", old.ID), with("secret_key", old.Secret),
		with("iam_endpoint", l.aws.URL), with("sts_endpoint", l.aws.URL), with("rotation_period", "24h")))
	due, _ := l.jobs.Due(rotationOf("reports"))
	l.aws.Clear()
	if next := l.runJob(t.Context(), leftOf(left[0])); !next.IsZero() || !slices.Equal(l.ids(), ids) {
		t.Errorf("again at %s; IAM has %v of %v", next, l.ids(), ids)
	}
	if after, _ := l.jobs.Due(rotationOf("reports")); !due.Equal(testTime.Add(24*time.Hour)) || !after.Equal(due) ||
		len(l.entries(rotationPrefix)) != 1 {
		t.Errorf("the rotation is due at %s, then at %s; stored is %v", due, after, l.entries(rotationPrefix))
	}
}

func TestRotationLeft_KeyThatIsNotListedYetIsLookedForAgain(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(l *keyLab) *logical.Response{
		"deletion": func(l *keyLab) *logical.Response { return l.must("delete", "config/reports", nil) },
		"another key": func(l *keyLab) *logical.Response {
			other := l.aws.AddUser("other")
			return l.write("reports", map[string]any{"access_key": other.ID, "secret_key": other.Secret})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &keyLab{mount: newMount(t)}
			l.aws = awstest.NewServer(awstest.Options{Now: l.clock.Now, ListDelay: 5 * time.Minute})
			t.Cleanup(l.aws.Close)
			l.writeUser()
			l.aws.Inject(awstest.Fault{Operation: "CreateAccessKey", Times: 1, Lose: true})
			if _, err := l.do(t.Context(), "update", "rotate/reports", nil); err == nil || len(l.ids()) != 2 {
				t.Fatalf("IAM has %v, %v", l.ids(), err)
			}
			warnings := strings.Join(change(l).Warnings, "\n")
			left := l.entries(leftPrefix)
			if !strings.Contains(warnings, "it is looked for again at 2026-11-23T12:1") || len(left) != 1 {
				t.Fatalf("the warnings are %q, stored is %v", warnings, left)
			}
			due, _ := l.jobs.Due(leftOf(left[0]))
			l.clock.Advance(due.Sub(l.clock.Now()))
			if next := l.runJob(t.Context(), leftOf(left[0])); !next.IsZero() || len(l.ids()) != 1 ||
				len(l.entries(leftPrefix)) > 0 {
				t.Errorf("again at %s; IAM has %v, stored is %v", next, l.ids(), l.entries(leftPrefix))
			}
		})
	}
}

func TestRotationLeft_WaitsForTheRotationOfTheSameKey(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	l.aws.Inject(awstest.Fault{Operation: "CreateAccessKey", Times: 1, Lose: true})
	_, _ = l.do(t.Context(), "update", "rotate/reports", nil)
	conn, err := loadConfig(t.Context(), l.mount.storage, "reports")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := loadRotation(t.Context(), l.mount.storage, "reports", conn)
	if err != nil || stored.State.Phase != rotation.Creating {
		t.Fatalf("the state is %+v, %v", stored.State, err)
	}
	left := &leftRotation{id: "x", name: "reports", conn: conn, stored: stored, since: l.clock.Now()} // of a lost write
	if err := left.save(t.Context(), l.mount.storage); err != nil {
		t.Fatal(err)
	}
	if next := l.runJob(t.Context(), leftOf("x")); next.IsZero() || len(l.ids()) != 2 ||
		!strings.Contains(l.log.String(), errRotating.Error()) {
		t.Errorf("again at %s; IAM has %v", next, l.ids())
	}
}

func TestRotationLeft_StandbysDoNothing(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	ids, _ := l.deletedInGrace()
	l.aws.Clear()
	l.mount.role = consts.ReplicationPerformanceStandby
	l.start()
	if err := errors.Join(l.initialize(t.Context(), nil), l.periodic(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	if l.jobs.Len() > 0 || !slices.Equal(l.ids(), ids) {
		t.Errorf("%d jobs; IAM has %v of %v", l.jobs.Len(), l.ids(), ids)
	}
}
