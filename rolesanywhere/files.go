package rolesanywhere

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/aws/smithy-go/logging"
)

// FileIdentityOptions names the files of an identity that something else renews: cert-manager's csi-driver, SPIFFE's
// helper, Vault Agent.
type FileIdentityOptions struct {
	// CertificateFile holds the PEM of the leaf and then of its intermediates, if any. Required.
	CertificateFile string
	// ChainFile holds the intermediates where they are in a file of their own. Empty: none.
	ChainFile string
	// PrivateKeyFile holds the PEM of the private key. Required; it may be CertificateFile's with both in one file.
	PrivateKeyFile string
	// Passphrase returns the passphrase of an encrypted key, each time that the key is read. nil: there is none.
	Passphrase func(ctx context.Context) ([]byte, error)
	// Logger gets a warning each time that files cannot be used and the identity before them is. Default: none.
	Logger logging.Logger
	// Now judges whether the identity before is still valid. Default: time.Now.
	Now func() time.Time
}

// FileIdentity is an identity in files, read again when they change. Its method Identity is an [IdentityFunc]. It is
// safe for concurrent use, needs no goroutine and is not closed.
type FileIdentity struct {
	options FileIdentityOptions

	mu      sync.Mutex
	current loadedIdentity
}

// loadedIdentity is an identity with the hash of the files that it was read from.
type loadedIdentity struct {
	*Identity
	sum [sha256.Size]byte
}

// NewFileIdentity reads the files once, so that a mistake shows at the program's start. Errors are those of
// [FileIdentity.Identity], or wrap [ErrInvalidInput] where a file is not named.
func NewFileIdentity(ctx context.Context, o FileIdentityOptions) (*FileIdentity, error) {
	if o.CertificateFile == "" || o.PrivateKeyFile == "" {
		return nil, fmt.Errorf("reading identity: %w: name CertificateFile and PrivateKeyFile", ErrInvalidInput)
	}
	if o.Logger == nil {
		o.Logger = logging.Nop{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &FileIdentity{options: o}
	if _, err := f.Identity(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// Identity returns the identity that is in the files now: it reads them, and parses them only if they differ from the
// last time. Where they cannot be used, for example because only one of the two has been written yet, the identity
// before is returned until its certificate ends, and then the error: that of the file system, or one of
// [ParseIdentity]. Only regular files of at most 128 KiB are read.
func (f *FileIdentity) Identity(ctx context.Context) (*Identity, error) {
	f.mu.Lock()
	before := f.current
	f.mu.Unlock()
	// Reading is not under the lock: a file system, or whoever has the passphrase, may be slow.
	now, err := f.load(ctx, before)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.current = now
		return now.Identity, nil
	}
	err = fmt.Errorf("reading identity: %w", err)
	if before.Identity == nil || before.CheckValidity(f.options.Now()) != nil {
		return nil, err
	}
	logging.WithContext(ctx, f.options.Logger).Logf(logging.Warn, "the identity before is used until %s: %v",
		before.Certificate().NotAfter.UTC().Format(time.RFC3339), err)
	return before.Identity, nil
}

// load returns before where the files have not changed.
func (f *FileIdentity) load(ctx context.Context, before loadedIdentity) (loadedIdentity, error) {
	certificate, key, err := f.read()
	if err != nil {
		return loadedIdentity{}, err
	}
	defer clear(key)
	sum := sha256.Sum256(bytes.Join([][]byte{certificate, key}, []byte{0}))
	if before.Identity != nil && sum == before.sum {
		return before, nil
	}
	if f.options.PrivateKeyFile == f.options.CertificateFile {
		if certificate, key, err = splitPEM(certificate); err != nil {
			return loadedIdentity{}, err
		}
	}
	var passphrase []byte
	if f.options.Passphrase != nil {
		if passphrase, err = f.options.Passphrase(ctx); err != nil {
			return loadedIdentity{}, fmt.Errorf("obtaining the passphrase: %w", err)
		}
	}
	identity, err := ParseIdentity(certificate, key, passphrase)
	if err != nil {
		return loadedIdentity{}, err
	}
	return loadedIdentity{identity, sum}, nil
}

// read returns what the files hold; a chain of its own follows the leaf.
func (f *FileIdentity) read() (certificate, key []byte, err error) {
	if certificate, err = readFile(f.options.CertificateFile); err != nil {
		return nil, nil, err
	}
	if f.options.ChainFile != "" {
		chain, err := readFile(f.options.ChainFile)
		if err != nil {
			return nil, nil, err
		}
		certificate = append(append(certificate, '\n'), chain...)
	}
	if key, err = readFile(f.options.PrivateKeyFile); err != nil {
		return nil, nil, err
	}
	return certificate, key, nil
}

var errNotRegular = errors.New("it is not a regular file")

// readFile refuses what is not a regular file: reading a pipe could wait for ever.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: name, Err: errNotRegular}
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxPEM+1)) // the parsers refuse what is longer
}
