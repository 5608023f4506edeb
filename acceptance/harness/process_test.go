package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errNotReady = errors.New("not ready")

func notReady(context.Context) error { return errNotReady }

func TestPoll_EndsWithReadyOrTheLastError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		err := poll(t.Context(), func(context.Context) error {
			if calls++; calls < 3 {
				return errNotReady
			}
			return nil
		})
		if took := time.Since(start); err != nil || calls != 3 || took != 2*pollEvery {
			t.Errorf("ready at the third call: error %v, %d calls, %v, want 3 calls in %v", err, calls, took,
				2*pollEvery)
		}

		start = time.Now()
		err = poll(t.Context(), notReady)
		if !errors.Is(err, errNotReady) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("never ready: got error %v, want the deadline and the last error", err)
		}
		if took := time.Since(start); took != readyTimeout {
			t.Errorf("never ready: gave up after %v, want %v", took, readyTimeout)
		}
	})
}

func TestPoll_GivesUpWhenTheProgramHasEnded(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, processSpec{
		name: "no test", path: self, args: []string{"-test.run=^$"}, env: cleanEnv(t.TempDir()),
		logPath: filepath.Join(t.TempDir(), "log"),
	})
	if err := poll(t.Context(), notReady, p); !errors.Is(err, errEnded) || !errors.Is(err, errNotReady) {
		t.Errorf("got error %v, want %v and the last error", err, errEnded)
	}
	if log := tail(p.logPath, 10); !strings.Contains(log, "PASS") {
		t.Errorf("the program's output is not in its log: %q", log)
	}
}

func TestTail_KeepsTheLastLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     "",
		"one\n":                "one",
		"one\ntwo\n":           "one\ntwo",
		"one\ntwo\nthree\n\n":  "two\nthree",
		"one\ntwo\nno newline": "two\nno newline",
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := tail(path, 2); got != want {
			t.Errorf("the last 2 lines of %q: got %q, want %q", text, got, want)
		}
	}
}

// recorder takes what a test's failure would be.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestVault_DataRaceInThePluginFailsTheTest(t *testing.T) {
	t.Parallel()
	for log, want := range map[string]bool{
		"[DEBUG] core: all is well\n": false,
		"[DEBUG] s3conn.plugin: WARNING: DATA RACE\nRead at 0x1 by goroutine 7\n": true,
	} {
		r := &recorder{TB: t}
		v := &Vault{t: r, dir: t.TempDir()}
		if err := os.WriteFile(v.logFile(), []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		v.checkRaces()
		if got := len(r.errors) > 0; got != want {
			t.Errorf("log %q: failed %v with %q, want %v", log, got, r.errors, want)
		}
	}
}
