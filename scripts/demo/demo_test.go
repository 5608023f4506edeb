package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// vaultProgram is VAULT_BIN, or what the Makefile's demo target uses without it.
func vaultProgram(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join("..", "build-server"), "vault").Output()
	bin := cmp.Or(os.Getenv("VAULT_BIN"), strings.TrimSpace(string(out)))
	if bin == "" {
		t.Fatalf("finding Vault: %v", err)
	}
	return bin
}

// The whole demo, as with ONCE=1.
func TestDemo_ShowsTheEssentialsAndCleansUp(t *testing.T) {
	t.Parallel()
	var shown bytes.Buffer
	err := run(t.Context(), settings{vaultBin: vaultProgram(t), once: true, now: time.Now}, &terminal{w: &shown})
	if err != nil {
		t.Fatalf("running the demo: %v\n%s", err, shown.String())
	}
	after := shown.String()
	for _, line := range []string{
		`(?s)\$ vault plugin register -sha256=[0-9a-f]{64} .*-version=v`,
		`Success! Enabled the vault-plugin-s3conn secrets engine at: s3conn/`,
		`Data written to: s3conn/config/backup`,
		`(?m)^access_key +AKIA\w{16}$`,
		`certificate=@orders\.pem private_key=@orders\.key`,
		`Reads of this connection come with a lease\.`,
		`\$ vault write -f s3conn/test/orders`,
		`(?m)^buckets +\[invoices orders\]$`,
		`(?m)^identity +arn:aws:sts::123456789012:assumed-role/orders/orders$`,
		`(?m)^lease_duration +\d+m`,
		`(?m)^access_key +ASIA\w{16}$`,
		`(?m)^buckets: invoices, orders$`,
		`CreateSession calls for both reads: 1\n`,
		`\$ vault write s3conn/config/orders duration=899\n`,
		`duration: 899 s is outside 900 s to 3600 s`,
		`\{"Version":1,"AccessKeyId":"ASIA\w{16}",`,
		`(?s)aws s3 ls.*? invoices\n.*? orders\n|\(skipped: there is no AWS CLI here\)`,
		`(?s)\$ vault write s3conn/scopes/orders/reports .*?prefixes=reports/ access=list,read`,
		`\{"Version":"2012-10-17","Statement":.*"arn:aws:s3:::orders/reports/\*"`,
		`(?m)^fence +proven$`,
		`(?m)^orders/reports/november\.csv: a report of orders$`,
		`(?m)^orders/readme\.txt: AccessDenied: `,
		`\$ vault write -field=url s3conn/presign/orders/reports bucket=orders key=reports/november\.csv`,
		`X-Amz-Security-Token=`,
		`(?m)^GET, without any credentials: a report of orders$`,
		`certificate: there is none yet`,
		`-----BEGIN CERTIFICATE REQUEST-----`,
		`(?m)^key_origin +vault$`,
		`(?m)^access_key +ASIA\w{16}$`,
	} {
		at := regexp.MustCompile(line).FindStringIndex(after)
		if at == nil {
			t.Errorf("the demo does not show, in its place, %s", line)
			continue
		}
		after = after[at[1]:]
	}
	if t.Failed() {
		t.Log(shown.String())
	}
	if strings.ContainsRune(shown.String(), '\x1b') {
		t.Error("what is no terminal was sent colours")
	}
}

// whenShown is a terminal's writer that calls then, once, with all the text when it holds the words.
type whenShown struct {
	words string
	then  func(text string)
	mu    sync.Mutex
	text  strings.Builder
	once  sync.Once
}

func (w *whenShown) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if strings.Contains(w.text.String(), w.words) {
		w.once.Do(func() { w.then(w.text.String()) })
	}
	return len(p), nil
}

func TestDemo_StaysUntilInterruptedAndRemovesEverything(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var dir, address string
	out := &whenShown{words: "Ctrl-C ends it", then: func(text string) {
		dir = regexp.MustCompile(`key are in (\S+)\.\n`).FindStringSubmatch(text)[1]
		address = regexp.MustCompile(`export VAULT_ADDR=http://(\S+) VAULT_TOKEN=demo-`).FindStringSubmatch(text)[1]
		if _, err := os.Stat(filepath.Join(dir, certificateFile)); err != nil {
			t.Errorf("while the demo stays: %v", err)
		}
		interrupt()
	}}
	if err := run(ctx, settings{vaultBin: vaultProgram(t), now: time.Now}, &terminal{w: out}); err != nil {
		t.Fatalf("running the demo until it is interrupted: %v\n%s", err, out.text.String())
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory %s is still there (%v)", dir, err)
	}
	if connection, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		connection.Close()
		t.Errorf("Vault still listens on %s", address)
	}
}

func TestDemo_AnInterruptDuringItIsNoFailure(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	out := &whenShown{words: "s3conn/config/backup", then: func(string) { interrupt() }}
	err := run(ctx, settings{vaultBin: vaultProgram(t), now: time.Now}, &terminal{w: out})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if strings.Contains(out.text.String(), "The demo failed") {
		t.Errorf("the demo speaks of a failure:\n%s", out.text.String())
	}
}

func TestDemo_AFailureShowsItsReasonAndTheEndOfVaultsLog(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		want   error
		shown  string
	}{
		"no server":   {"echo 'a port is taken' >&2; exit 1", errVaultEnded, "a port is taken"},
		"no such one": {"", exec.ErrNotFound, "VAULT_BIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bin := "no-such-vault-program"
			if test.script != "" {
				bin = writeProgram(t, test.script)
			}
			var shown bytes.Buffer
			err := run(t.Context(), settings{vaultBin: bin, once: true, now: time.Now}, &terminal{w: &shown})
			if !errors.Is(err, test.want) {
				t.Errorf("error = %v, want %v", err, test.want)
			}
			for _, text := range []string{"The demo failed: ", test.shown} {
				if !strings.Contains(shown.String(), text) {
					t.Errorf("the demo does not show %q:\n%s", text, shown.String())
				}
			}
		})
	}
}
