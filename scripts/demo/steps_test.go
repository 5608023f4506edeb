package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// scripted returns a demo whose vault command is a shell script, for what a real Vault does not do.
func scripted(t *testing.T, script string) *demo {
	t.Helper()
	bin := writeProgram(t, script)
	service := rolesanywheretest.NewServer(rolesanywheretest.Options{})
	t.Cleanup(service.Close)
	return &demo{
		out: &terminal{w: io.Discard}, vault: &vault{bin: bin, dir: filepath.Dir(bin)}, rolesAnywhere: service,
		secretKey: "the-secret-key", session: map[string]string{"access_key": "ASIAFIRST"},
	}
}

// writeProgram returns the path of a program in a directory of its own.
func writeProgram(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vault")
	// A process that another test starts meanwhile would hold the file open for writing: it could not be run (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatalf("writing a script: %v", err)
	}
	return path
}

func TestSteps_NoticeWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		step   func(*demo, context.Context) error
		want   error
	}{
		"a secret that is shown":      {"echo secret_key the-secret-key", (*demo).readAccessKey, errSecretShown},
		"a session of one's own":      {"echo ASIAOTHER", (*demo).readAgain, errNotShared},
		"a session nobody requested":  {"echo ASIAFIRST", (*demo).readAgain, errNotShared},
		"an SDK's own session":        {"echo ASIAOTHER", (*demo).readForSDKs, errNotShared},
		"an accepted mistake":         {"echo duration", (*demo).makeMistake, errMistakeAccepted},
		"a command of the wrong form": {"echo duration; exit 1", (*demo).makeMistake, errMistakeAccepted},
		"another refusal":             {"echo permission denied; exit 2", (*demo).makeMistake, errMistakeAccepted},
		"a refused mistake":           {"echo duration; exit 2", (*demo).makeMistake, nil},
	} {
		if err := test.step(scripted(t, test.script), t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s: error = %v, want %v", name, err, test.want)
		}
	}
}

func TestTableValues_KeepsFirstWords(t *testing.T) {
	t.Parallel()
	got := tableValues("Key         Value\n---         -----\naccess_key  ASIA\nempty\nttl         59m59s\n")
	want := map[string]string{"Key": "Value", "---": "-----", "access_key": "ASIA", "ttl": "59m59s"}
	if !maps.Equal(got, want) {
		t.Errorf("values = %v, want %v", got, want)
	}
}

func TestStay_SaysThatVaultEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &demo{out: &terminal{w: io.Discard}, vault: &vault{exited: make(chan struct{})}, s3: &store{}}
		close(d.vault.exited)
		if err := d.stay(t.Context()); !errors.Is(err, errVaultEnded) {
			t.Errorf("error = %v, want %v", err, errVaultEnded)
		}
	})
}

func TestOwnAWSHidden_DropsOnlyAWSSettings(t *testing.T) {
	t.Parallel()
	got := ownAWSHidden([]string{"AWS_PROFILE=mine", "PATH=/bin", "AWS_ACCESS_KEY_ID=AKIA", "HOME=/home/me"})
	for _, variable := range got {
		if variable == "AWS_PROFILE=mine" || variable == "AWS_ACCESS_KEY_ID=AKIA" {
			t.Errorf("%s is left", variable)
		}
	}
	if got[len(got)-2] != "PATH=/bin" || got[len(got)-1] != "HOME=/home/me" {
		t.Errorf("environment = %v, want PATH and HOME kept", got)
	}
}
