//go:build unix

package rolesanywhere

import (
	"errors"
	"syscall"
	"testing"
)

// Reading a pipe that nobody writes to would wait for ever.
func TestNewFileIdentity_RefusesAPipe(t *testing.T) {
	t.Parallel()
	files := newIdentityFiles(t)
	files.write(files.certificate, readTestdata(t, "p256.pem"))
	if err := syscall.Mkfifo(files.key, 0o600); err != nil {
		t.Fatal(err)
	}
	if source, err := NewFileIdentity(t.Context(), files.options()); source != nil || !errors.Is(err, errNotRegular) {
		t.Errorf("error = %v", err)
	}
}
