package s3conn

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
)

func TestRotationLeft_UnreadableEntriesAreLoggedAndStopNothing(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"damaged": "CANARY", "newer": `{"version":2,"name":"CANARY"}`,
		"a damaged connection": `{"version":1,"connection":{"CANARY":1},"rotation":{"version":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			entry := &logical.StorageEntry{Key: leftPrefix + "x", Value: []byte(value)}
			if err := m.storage.Put(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
			if err := m.findJobs(); err != nil {
				t.Fatal(err)
			}
			if _, waiting := m.jobs.Due(leftOf("x")); !waiting {
				t.Error("nobody would log it")
			}
			next := m.runJob(t.Context(), leftOf("x"))
			log := m.log.String()
			if !next.IsZero() || !strings.Contains(log, "rotation-left/x") || strings.Contains(log, "CANARY") ||
				len(m.entries(leftPrefix)) != 1 {
				t.Errorf("again at %s; the log is %s", next, log)
			}
		})
	}
}

func TestRotationLeft_OneFaultOfStorageLosesNoKey(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(l *keyLab) error{
		"deletion": func(l *keyLab) error {
			_, err := l.do(l.t.Context(), "delete", "config/reports", nil)
			return err
		},
		"another key": func(l *keyLab) error {
			_, err := l.do(l.t.Context(), "update", "config/reports",
				map[string]any{"access_key": "AKIAOTHER", "secret_key": "s3cret-of-the-other-key"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at, reached := 1, true; reached; at++ {
				l := newKeyLab(t)
				l.must("update", "rotate/reports", nil)
				ids := l.ids()
				l.mount.storage.failOnce(at)
				failed := change(l)
				reached = l.mount.storage.hasFailed()
				l.mount.storage.failOnce(0)
				if failed != nil && !errors.Is(failed, errStorage) {
					t.Errorf("with operation %d failing: %v", at, failed)
				}
				if failed != nil && change(l) != nil {
					t.Errorf("with operation %d having failed the request cannot be repeated", at)
				}
				l.clock.Advance(time.Minute)
				for _, id := range l.entries(leftPrefix) {
					l.runJob(t.Context(), leftOf(id))
				}
				if left := l.entries(leftPrefix); !slices.Equal(l.ids(), ids[1:]) || len(left) > 0 {
					t.Errorf("with operation %d having failed IAM has %v of %v, stored is %v", at, l.ids(), ids, left)
				}
			}
		})
	}
}

func TestRotationLeft_FailingStorage(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	l.deletedInGrace()
	left := l.entries(leftPrefix)
	l.mount.storage.breakOn(errStorage, "get")
	if next := l.runJob(t.Context(), leftOf(left[0])); !next.Equal(l.clock.Now().Add(time.Minute)) {
		t.Errorf("without storage it is tried again at %s", next)
	}
	if err := l.findLeft(left[0]); !errors.Is(err, errStorage) {
		t.Errorf("looking for it: %v", err)
	}
	l.mount.storage.breakOn(errStorage, "delete")
	l.aws.Clear()
	if next := l.runJob(t.Context(), leftOf(left[0])); !next.Equal(l.clock.Now().Add(time.Minute)) ||
		len(l.ids()) != 1 {
		t.Errorf("where its end cannot be stored it is tried again at %s; IAM has %v", next, l.ids())
	}
}

func TestDeletion_OfWhatCannotBeReadNamesTheKeys(t *testing.T) {
	t.Parallel()
	for _, damaged := range []string{configPrefix, rotationPrefix} {
		t.Run(damaged, func(t *testing.T) {
			t.Parallel()
			l := newKeyLab(t)
			l.must("update", "rotate/reports", nil)
			entry := &logical.StorageEntry{Key: damaged + "reports", Value: []byte("CANARY")}
			if err := l.mount.storage.Put(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
			warnings := strings.Join(l.must("delete", "config/reports", nil).Warnings, "\n")
			if !strings.Contains(warnings, "in IAM") || strings.Contains(warnings, "CANARY") ||
				damaged == configPrefix && !strings.Contains(warnings, l.ids()[0]) {
				t.Errorf("the warnings are %s", warnings)
			}
			if left := append(l.entries(configPrefix), l.entries(rotationPrefix)...); len(left) > 0 {
				t.Errorf("stored are %v", left)
			}
		})
	}
	l := newKeyLab(t)
	l.mount.storage.breakOn(errStorage, "get")
	if _, err := l.do(t.Context(), "delete", "config/reports", nil); !errors.Is(err, errStorage) {
		t.Errorf("without storage: %v", err)
	}
	if len(l.entries(configPrefix)) != 1 {
		t.Error("a connection was deleted whose rotation could not be read")
	}
}

func TestWrite_OfAnotherKeyReplacesARotationThatCannotBeRead(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	entry := &logical.StorageEntry{Key: rotationPrefix + "reports", Value: []byte("CANARY")}
	if err := l.mount.storage.Put(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	other := l.aws.AddUser("other")
	warnings := l.write("reports", map[string]any{"access_key": other.ID, "secret_key": other.Secret}).Warnings
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, "look for the keys of its user in IAM") {
		t.Errorf("the warnings are %s", text)
	}
	l.must("update", "rotate/reports", nil)
}

func TestRotate_KeyOfTwoConnectionsIsRefused(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	key := l.aws.Keys("app")[0]
	l.write("ledger", accessKeyFields(with("access_key", key.ID), with("secret_key", key.Secret)))
	resp, err := l.do(t.Context(), "update", "rotate/reports", nil)
	status, text := asVaultSeesIt(t, resp, err)
	if status != http.StatusBadRequest || !strings.Contains(text, `of the connection "ledger" too`) ||
		len(l.ids()) != 1 {
		t.Errorf("status %d: %s; IAM has %v", status, text, l.ids())
	}
	l.read("status")
	warnings := l.write("ledger", with("rotation_period", "24h")).Warnings
	want := `the connection "reports" has the same access key`
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, want) {
		t.Errorf("the warnings of a connection that rotates are %q", text)
	}
	l.must("delete", "config/ledger", nil)
	l.must("update", "rotate/reports", nil)
}

func TestRotationsSave_IsRefusedWhereAnotherKeyWasWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	before, _, err := rotations{l.backend}.Load(t.Context(), "reports")
	if err != nil {
		t.Fatal(err)
	}
	other := l.aws.AddUser("other")
	l.write("reports", map[string]any{"access_key": other.ID, "secret_key": other.Secret})
	err = rotations{l.backend}.Save(t.Context(), "reports", before, rotation.State{Phase: rotation.Creating})
	if !errors.Is(err, rotation.ErrChanged) {
		t.Errorf("the error is %v", err)
	}
}
