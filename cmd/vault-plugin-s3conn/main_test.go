package main

import (
	"bytes"
	"strings"
	"testing"

	s3conn "github.com/s3conn/vault-plugin-s3conn"
)

func TestRun_VersionIsPrintedAndNothingServed(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"-version", "--version", "-version=true"} {
		var stdout, stderr bytes.Buffer
		if err := run([]string{flag}, &stdout, &stderr); err != nil {
			t.Errorf("%s: %v", flag, err)
		}
		if text := stdout.String(); stderr.Len() > 0 ||
			!strings.HasPrefix(text, "vault-plugin-s3conn "+s3conn.Version+" (go") || strings.Count(text, "\n") != 1 {
			t.Errorf("%s prints %q", flag, text)
		}
	}
}

func TestModule_IsNamedWhereItIsInUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		enabled, enforced bool
		want              string
	}{
		{false, false, ""},
		{true, false, ", FIPS 140-3 module v1.0.0"},
		{true, true, ", FIPS 140-3 module v1.0.0, enforced"},
	} {
		if got := module(c.enabled, c.enforced, "v1.0.0"); got != c.want {
			t.Errorf("enabled %t, enforced %t: %q, want %q", c.enabled, c.enforced, got, c.want)
		}
	}
}

func TestRun_HelpIsNoError(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if err := run([]string{"-h"}, &stdout, &stderr); err != nil {
		t.Errorf("-h: %v", err)
	}
	if !strings.Contains(stderr.String(), "vault plugin register") {
		t.Errorf("-h prints %q", stderr.String())
	}
}

func TestRun_UnknownFlagIsRefused(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if err := run([]string{"-no-such-flag"}, &stdout, &stderr); err == nil ||
		!strings.Contains(err.Error(), "-no-such-flag") {
		t.Errorf("an unknown flag is answered with %v", err)
	}
	if stdout.Len() > 0 {
		t.Errorf("standard output, where Vault reads the plugin's handshake, has %q", stdout.String())
	}
}

// Not parallel: the environment is the process's.
func TestBallast_LeavesTheOperatorsChoice(t *testing.T) {
	for _, c := range []struct {
		gogc, limit string
		want        int
	}{{"", "", ballastSize}, {"50", "", 0}, {"", "64MiB", 0}} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", c.limit)
		if got := len(ballast()); got != c.want {
			t.Errorf("GOGC=%q GOMEMLIMIT=%q: %d bytes, want %d", c.gogc, c.limit, got, c.want)
		}
	}
}
