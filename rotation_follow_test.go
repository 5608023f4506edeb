package s3conn

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRotate_GoingBackToTheKeyBeforeKeepsIt(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	before := l.read("creds/reports").Data
	l.must("update", "rotate/reports", nil)
	ids := l.ids()
	warnings := l.write("reports", map[string]any{
		"access_key": before["access_key"], "secret_key": before["secret_key"]}).Warnings
	l.clock.Advance(3 * time.Hour)
	l.runDue()
	if left := l.ids(); !slices.Contains(left, ids[0]) || l.read("creds/reports").Data["access_key"] != ids[0] {
		t.Errorf("IAM has %v of %v, and a read shows %v", left, ids, l.read("creds/reports").Data["access_key"])
	}
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, ids[1]) || strings.Contains(text, ids[0]) {
		t.Errorf("the warnings are %s", text)
	}
}

func TestRotate_IsFoundAfterARestartAlsoWhereAnotherKeyWasWritten(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	l.must("update", "rotate/reports", nil)
	other := l.aws.AddUser("other")
	l.write("reports", map[string]any{"access_key": other.ID, "secret_key": other.Secret})
	l.start()
	if err := l.findJobs(); err != nil {
		t.Fatal(err)
	}
	if due, _ := l.jobs.Due(rotationOf("reports")); !due.Equal(testTime.Add(24 * time.Hour)) {
		t.Errorf("after a restart the rotation is due at %s", due)
	}
}

func TestFindJobs_PanicEndsNothing(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	l.mount.storage.afterGet = func(key string) {
		if strings.HasPrefix(key, rotationPrefix) {
			panic("CANARY")
		}
	}
	if err := l.findJobs(); err == nil {
		t.Error("a search that panicked has succeeded")
	}
	l.mount.storage.afterGet = nil
	if log := l.log.String(); !strings.Contains(log, "looking for a job panicked") || strings.Contains(log, "CANARY") {
		t.Errorf("the log is %s", log)
	}
}
