package rolesanywhere

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/logging"
)

// identityFiles are the files of a FileIdentity in a directory of the test's.
type identityFiles struct {
	t                *testing.T
	certificate, key string
	log              bytes.Buffer
	now              time.Time
}

func newIdentityFiles(t *testing.T) *identityFiles {
	dir := t.TempDir()
	return &identityFiles{
		t:           t,
		certificate: filepath.Join(dir, "tls.crt"),
		key:         filepath.Join(dir, "tls.key"),
		now:         vectorTime,
	}
}

func (f *identityFiles) write(path string, parts ...[]byte) {
	f.t.Helper()
	// As Kubernetes and Vault Agent do: the new file takes the old one's place at once.
	if err := os.WriteFile(path+".new", slices.Concat(parts...), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *identityFiles) options() FileIdentityOptions {
	return FileIdentityOptions{CertificateFile: f.certificate, PrivateKeyFile: f.key,
		Logger: logging.NewStandardLogger(&f.log), Now: func() time.Time { return f.now }}
}

func TestFileIdentity_ReadsAgainWhatHasChanged(t *testing.T) {
	t.Parallel()
	files := newIdentityFiles(t)
	files.write(files.certificate, readTestdata(t, "p256.pem"))
	files.write(files.key, readTestdata(t, "p256.key"))
	source, err := NewFileIdentity(t.Context(), files.options())
	if err != nil {
		t.Fatal(err)
	}
	get := func() *Identity {
		t.Helper()
		id, err := source.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := get()
	files.write(files.key, readTestdata(t, "p256.key"))
	if get() != first {
		t.Error("files that hold the same gave another identity")
	}
	files.write(files.certificate, readTestdata(t, "rsa.pem"))
	if get() != first || !strings.Contains(files.log.String(), "the identity before is used until 2027") ||
		!strings.Contains(files.log.String(), ErrKeyMismatch.Error()) {
		t.Errorf("half of a renewal replaced the identity, or was not logged: %s", files.log.String())
	}
	files.write(files.key, readTestdata(t, "rsa.key"))
	if got := get(); got.Certificate().Subject.CommonName != "rsa" {
		t.Errorf("identity of %s after the renewal", got.Certificate().Subject)
	}
}

func TestFileIdentity_ReturnsTheErrorOnceTheIdentityHasEnded(t *testing.T) {
	t.Parallel()
	files := newIdentityFiles(t)
	files.write(files.certificate, readTestdata(t, "p256.pem"))
	files.write(files.key, readTestdata(t, "p256.key"))
	source, err := NewFileIdentity(t.Context(), files.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files.key); err != nil {
		t.Fatal(err)
	}
	if id, err := source.Identity(t.Context()); id == nil || err != nil {
		t.Errorf("error = %v with a valid identity", err)
	}
	files.now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if id, err := source.Identity(t.Context()); id != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v after the end, want fs.ErrNotExist", err)
	}
}

func TestFileIdentity_ReadsEveryArrangement(t *testing.T) {
	t.Parallel()
	leaf, key := readTestdata(t, "rsa-chain.pem"), readTestdata(t, "rsa-chain.key")
	chain := readTestdata(t, "intermediate.pem")
	encrypted, p256 := readTestdata(t, "keys/scrypt.pem"), readTestdata(t, "p256.pem")
	passphrase := func(context.Context) ([]byte, error) { return []byte(keysPassphrase), nil }
	for name, tt := range map[string]struct {
		certificate, key [][]byte
		change           func(*FileIdentityOptions)
		chained          int
	}{
		"chain behind the leaf": {[][]byte{leaf, chain}, [][]byte{key}, nil, 1},
		"all in one file": {[][]byte{key, leaf, chain}, nil,
			func(o *FileIdentityOptions) { o.PrivateKeyFile = o.CertificateFile }, 1},
		"chain in its own file": {[][]byte{bytes.TrimSpace(leaf)}, [][]byte{key},
			func(o *FileIdentityOptions) { o.ChainFile = "testdata/intermediate.pem" }, 1},
		"encrypted key": {[][]byte{p256}, [][]byte{encrypted},
			func(o *FileIdentityOptions) { o.Passphrase = passphrase }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newIdentityFiles(t)
			files.write(files.certificate, tt.certificate...)
			files.write(files.key, tt.key...)
			o := files.options()
			if tt.change != nil {
				tt.change(&o)
			}
			source, err := NewFileIdentity(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := source.Identity(t.Context()); err != nil || len(id.Chain()) != tt.chained {
				t.Errorf("identity with a chain of %d, %v", len(id.Chain()), err)
			}
		})
	}
}

func TestNewFileIdentity_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	lost := errors.New("the agent is away")
	for name, tt := range map[string]struct {
		change func(*identityFiles, *FileIdentityOptions)
		want   error
		says   string
	}{
		"no certificate file": {func(_ *identityFiles, o *FileIdentityOptions) { o.CertificateFile = "" },
			ErrInvalidInput, "name CertificateFile"},
		"no key file": {func(_ *identityFiles, o *FileIdentityOptions) { o.PrivateKeyFile = "" },
			ErrInvalidInput, "PrivateKeyFile"},
		"no such certificate": {func(_ *identityFiles, o *FileIdentityOptions) { o.CertificateFile += "x" },
			fs.ErrNotExist, "tls.crtx"},
		"no such chain": {func(_ *identityFiles, o *FileIdentityOptions) {
			o.ChainFile = o.CertificateFile +
				"x"
		}, fs.ErrNotExist, "tls.crtx"},
		"a directory": {func(_ *identityFiles, o *FileIdentityOptions) { o.PrivateKeyFile = "." },
			errNotRegular, "not a regular file"},
		"damaged": {func(f *identityFiles,
			_ *FileIdentityOptions) {
			f.write(f.certificate, []byte("CANARY"))
		}, ErrInvalidCertificate, "PEM"},
		"damaged in one file": {func(f *identityFiles, o *FileIdentityOptions) {
			f.write(f.certificate, []byte("CANARY"))
			o.PrivateKeyFile = o.CertificateFile
		}, ErrInvalidCertificate, "PEM"},
		"too long": {func(f *identityFiles, _ *FileIdentityOptions) { f.write(f.key, make([]byte, 10*maxPEM)) },
			ErrInvalidPrivateKey, "at most"},
		"no passphrase": {func(_ *identityFiles, o *FileIdentityOptions) {
			o.Passphrase = func(context.Context) ([]byte, error) { return nil, lost }
		}, lost, "obtaining the passphrase"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newIdentityFiles(t)
			files.write(files.certificate, readTestdata(t, "p256.pem"))
			files.write(files.key, readTestdata(t, "p256.key"))
			o := files.options()
			tt.change(files, &o)
			source, err := NewFileIdentity(t.Context(), o)
			if source != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) ||
				strings.Contains(err.Error(), "CANARY") {
				t.Errorf("error = %v; want %v saying %q", err, tt.want, tt.says)
			}
		})
	}
}
