// Command demo shows the plugin at work: a real Vault, the plugin, a stand-in for IAM Roles Anywhere and an S3 in
// memory, all on loopback and all gone afterwards. It runs in its own directory; `make demo` does that.
//
// VAULT_BIN is the vault program, by default the one on PATH. With ONCE=1 the demo ends after its last step,
// otherwise it stays up to be played with until it is interrupted. NO_COLOR=1 turns colours off.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func main() {
	// A closed terminal must not leave a Vault behind any more than Ctrl-C.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	out := newTerminal(os.Stdout, os.Getenv("NO_COLOR"))
	err := run(ctx, settings{
		vaultBin: cmp.Or(os.Getenv("VAULT_BIN"), "vault"),
		once:     os.Getenv("ONCE") != "",
		now:      time.Now,
	}, out)
	switch {
	case err != nil && ctx.Err() != nil:
		os.Exit(130) // as a shell reports an interrupted program
	case err != nil:
		os.Exit(1)
	}
}

type settings struct {
	vaultBin string // a path, or a name to be found on PATH
	once     bool   // end after the last step
	now      func() time.Time
}

// demo is everything that the steps use.
type demo struct {
	out           *terminal
	dir           string // a temporary directory: files, the plugin, Vault's log
	vault         *vault
	s3            *store
	rolesAnywhere *rolesanywheretest.Server
	sts           *awstest.Server
	authority     *rolesanywheretest.Authority
	now           func() time.Time
	accessKey     string // long-lived, of the access_key connection
	secretKey     string
	session       map[string]string // what the first read of creds/orders showed
}

// run shows the demo and removes everything it made. An error has been shown when it is returned.
func run(ctx context.Context, s settings, out *terminal) (err error) {
	d := &demo{out: out, accessKey: "AKIA" + rand.Text()[:16], secretKey: rand.Text() + rand.Text()[:14]}
	defer func() {
		if err != nil && ctx.Err() == nil {
			out.failure(err)
			if d.vault != nil {
				out.printf("\nThe end of Vault's log:\n%s", d.vault.logTail())
			}
		}
		d.close()
	}()
	if err := d.start(ctx, s); err != nil {
		return err
	}
	for _, step := range d.steps() {
		out.explain(step.explanation)
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if s.once {
		return nil
	}
	return d.stay(ctx)
}

// start brings everything up. What was started when it fails, close ends.
func (d *demo) start(ctx context.Context, s settings) error {
	bin, err := exec.LookPath(s.vaultBin)
	if err != nil {
		return fmt.Errorf("finding the vault program, which VAULT_BIN may name: %w", err)
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return fmt.Errorf("finding the vault program: %w", err)
	}
	dir, err := os.MkdirTemp("", "s3conn-demo-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	d.dir = dir
	// Vault refuses a plugin directory behind a symbolic link, and macOS's temporary directory is behind one.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("resolving the temporary directory: %w", err)
	}
	d.out.printf("Building the plugin, starting Vault (%s), an S3 and stand-ins for IAM Roles Anywhere and STS ...",
		bin)
	plugins := filepath.Join(dir, "plugins")
	if err := buildPlugin(ctx, filepath.Join(plugins, pluginName)); err != nil {
		return err
	}
	if d.s3, err = startStore(ctx, s.now, d.accessKey, d.secretKey, "invoices", "orders"); err != nil {
		return err
	}
	d.now = s.now
	if d.authority, err = rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{Now: s.now}); err != nil {
		return fmt.Errorf("making the demo's CA: %w", err)
	}
	d.sts = startSTS(s.now, d.s3)
	if d.rolesAnywhere, err = startRolesAnywhere(dir, d.authority, s.now, d.s3, d.sts); err != nil {
		return err
	}
	d.vault, err = startVault(ctx, bin, dir, plugins)
	return err
}

func (d *demo) close() {
	d.vault.stop()
	if d.rolesAnywhere != nil {
		d.rolesAnywhere.Close()
	}
	if d.sts != nil {
		d.sts.Close()
	}
	if d.s3 != nil {
		d.s3.close()
	}
	if d.dir == "" {
		return
	}
	if err := os.RemoveAll(d.dir); err != nil {
		d.out.failure(fmt.Errorf("removing the temporary directory: %w", err))
	}
}

// stay keeps everything up until ctx ends, which is how the demo is meant to end.
func (d *demo) stay(ctx context.Context) error {
	d.out.explain("Everything stays up. In another terminal:")
	d.out.printf("export VAULT_ADDR=%s VAULT_TOKEN=%s", d.vault.address, d.vault.token)
	d.out.printf("vault list -detailed s3conn/config")
	d.out.printf("vault read s3conn/creds/orders")
	d.out.printf("vault write s3conn/config/orders duration=15m")
	d.out.printf("vault write s3conn/scopes/orders/reports access=read")
	d.out.printf("vault path-help s3conn/config/orders")
	d.out.printf("\nThe S3's endpoint is %s (path style, region %s), the certificate and key are in %s.", d.s3.url,
		region, d.vault.dir)
	d.out.printf("Ctrl-C ends it and removes everything.")
	select {
	case <-ctx.Done():
		return nil
	case <-d.vault.exited:
	}
	// Ctrl-C reaches Vault as well, and its end may be seen first.
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(time.Second):
		return errVaultEnded
	}
}
