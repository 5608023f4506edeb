package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestShellLine_IsWhatAShellTakes(t *testing.T) {
	t.Parallel()
	long := "role_arn=arn:aws:iam::123456789012:role/a-role-with-quite-a-long-name-in-it"
	for name, test := range map[string]struct {
		words []string
		want  string
	}{
		"plain":            {[]string{"vault", "read", "s3conn/creds/orders"}, "vault read s3conn/creds/orders"},
		"a file":           {[]string{"vault", "certificate=@orders.pem"}, "vault certificate=@orders.pem"},
		"a value to quote": {[]string{"TOKEN=Bearer x", "aws"}, "TOKEN='Bearer x' aws"},
		"a word to quote":  {[]string{"echo", "a b"}, "echo 'a b'"},
		"a quote":          {[]string{"echo", "it's"}, `echo 'it'\''s'`},
		"an empty word":    {[]string{"echo", ""}, "echo ''"},
		"a long line": {[]string{"vault", "write", long, long, "x=y"}, "vault write " + long + " \\\n    " + long +
			" x=y"},
	} {
		if got := shellLine(test.words); got != test.want {
			t.Errorf("%s: line = %q, want %q", name, got, test.want)
		}
	}
}

func TestTerminal_StylesNoFile(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatalf("creating a file: %v", err)
	}
	t.Cleanup(func() { file.Close() })
	if newTerminal(file, "").styled {
		t.Error("output to a file is styled")
	}
}

// The null device is a character device, as a terminal is.
func TestTerminal_ObeysNoColor(t *testing.T) {
	t.Parallel()
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatalf("opening %s: %v", os.DevNull, err)
	}
	t.Cleanup(func() { device.Close() })
	if !newTerminal(device, "").styled {
		t.Error("output to a character device is not styled")
	}
	if newTerminal(device, "1").styled {
		t.Error("output is styled in spite of NO_COLOR")
	}
}
