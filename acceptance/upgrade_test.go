package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// The first release, before there were tags.
const (
	firstVersion = "v0.1.0"
	firstCommit  = "5caffe57eae16507c7fb8e8c69ec79f2a8e1cd89"
)

// upgradeStack is a Vault whose mount runs one version of the plugin after the other.
type upgradeStack struct {
	*sessionStack
	current string // the work tree's version
}

func newUpgradeStack(t *testing.T, opts harness.VaultOptions) *upgradeStack {
	t.Helper()
	first, found := harness.BuildRelease(t, firstCommit)
	if !found {
		t.Skipf("!!! the upgrade from %s is NOT TESTED: this clone has no commit %s; git fetch --unshallow !!!",
			firstVersion, firstCommit)
	}
	s := &stack{t: t, minio: harness.StartMinIO(t), vault: harness.StartVault(t, opts)}
	s.minio.MakeBucket(bucketName)
	program := harness.WorkTreePlugin(t)
	u := &upgradeStack{sessionStack: &sessionStack{stack: s, aws: newAWS(t, s.minio, rolesanywheretest.Options{})},
		current: reportedVersion(t, program)}
	s.vault.RegisterVersion(pluginName, first, firstVersion)
	s.vault.RegisterVersion(pluginName, program, u.current)
	s.vault.MountVersion("s3conn", pluginName, firstVersion)
	s.api = s.vault.Client()
	return u
}

// reportedVersion is what the program says of itself, which has to equal the version that it is registered with.
func reportedVersion(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "-version").Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 {
		t.Fatalf("asking %s for its version: %v, %q", program, err, out)
	}
	return fields[1]
}

// change has the mount run the version, as an operator does, under readers of what is warm. Reads may fail during the
// reload alone.
func (u *upgradeStack) change(version string, warm []string) {
	u.t.Helper()
	readers := u.startReaders(warm)
	u.vault.RunVersion("s3conn", version)
	readers.until(u.t, 50)
	begin := time.Now()
	u.vault.ReloadPlugin(pluginName)
	end := time.Now()
	readers.until(u.t, 50)
	reads, failures := readers.stop()
	outside := 0
	for _, failed := range failures {
		if failed.end.Before(begin) || failed.begin.After(end) {
			outside++
			u.t.Errorf("changing to %s: a warm read failed outside of the reload: %v", version, failed.err)
		}
	}
	running, err := u.vault.RunningVersion("s3conn")
	if err != nil || running != version {
		u.t.Fatalf("the mount runs %q, %v; want %s", running, err, version)
	}
	u.t.Logf("changed to %s: the reload took %s; %d warm reads, %d failed during the reload, %d outside of it; "+
		"%d CreateSession calls in all", version, end.Sub(begin).Round(time.Millisecond), reads,
		len(failures)-outside, outside, u.aws.Calls())
}

type failedRead struct {
	begin, end time.Time
	err        error
}

// warmReaders read on and on until they are stopped.
type warmReaders struct {
	end   context.CancelFunc
	wg    sync.WaitGroup
	reads atomic.Int64

	mu       sync.Mutex
	failures []failedRead
}

func (u *upgradeStack) startReaders(paths []string) *warmReaders {
	ctx, cancel := context.WithCancel(u.t.Context())
	r := &warmReaders{end: cancel}
	u.t.Cleanup(cancel)
	for _, path := range paths {
		client := u.vault.Client()
		r.wg.Go(func() {
			for ctx.Err() == nil {
				r.read(client, path)
				waitUntil(ctx, time.Now().Add(breath))
			}
		})
	}
	return r
}

// read is not cancelled by the end of the readers: a read that has begun counts.
func (r *warmReaders) read(client *api.Client, path string) {
	begin := time.Now()
	resp, err := client.Logical().ReadRawWithContext(context.Background(), "s3conn/"+path)
	if resp != nil {
		resp.Body.Close()
	}
	r.reads.Add(1)
	if err == nil && resp.StatusCode == http.StatusOK {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, failedRead{begin, time.Now(), err})
}

// until waits for so many more reads.
func (r *warmReaders) until(t *testing.T, more int64) {
	t.Helper()
	want := r.reads.Load() + more
	harness.WaitFor(t, "warm reads", func(context.Context) error {
		if n := r.reads.Load(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
}

func (r *warmReaders) stop() (reads int64, failures []failedRead) {
	r.end()
	r.wg.Wait()
	return r.reads.Load(), r.failures
}

// renewAndRevoke renews a lease twice and revokes it.
func (u *upgradeStack) renewAndRevoke(when string, lease *api.Secret) {
	u.t.Helper()
	renewed, err := u.api.Sys().RenewWithContext(u.t.Context(), lease.LeaseID, 0)
	if err != nil || renewed.LeaseDuration <= 0 || renewed.LeaseDuration > lease.LeaseDuration {
		u.t.Errorf("%s: renewing a lease of %d s: %+v, %v", when, lease.LeaseDuration, renewed, err)
	}
	revoke := &api.RevokeOptions{LeaseID: lease.LeaseID, Sync: true}
	err = u.api.Sys().RevokeWithOptionsWithContext(u.t.Context(), revoke)
	if err != nil {
		u.t.Errorf("%s: revoking a lease: %v", when, err)
	}
	if _, err := u.api.Sys().LookupWithContext(u.t.Context(), lease.LeaseID); err == nil {
		u.t.Errorf("%s: a revoked lease is still there", when)
	}
}

func TestUpgrade_FromTheFirstReleaseAndBack(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{}, upgradesFromTheFirstReleaseAndBack)
}

func upgradesFromTheFirstReleaseAndBack(t *testing.T, opts harness.VaultOptions) {
	u := newUpgradeStack(t, opts)
	u.write("config/orders", u.fields(nil))
	u.write("config/batch", u.fields(map[string]any{"generate_lease": false}))
	u.write("config/keys", u.rootFields())
	warm := []string{"creds/orders", "creds/batch", "sdk/orders", "sdk/batch", "creds/keys"}
	wanted := map[string]string{}
	for _, path := range []string{"creds/orders", "creds/batch", "creds/keys"} {
		wanted[path] = credentialsOf(u.read(path)).SecretAccessKey
	}
	const sessions = 2
	same := func(when string) {
		t.Helper()
		for path, secret := range wanted {
			if got := credentialsOf(u.read(path)); got.SecretAccessKey != secret {
				t.Errorf("%s: %s returns other credentials than %s did", when, path, firstVersion)
			} else if _, err := u.listBuckets(got); err != nil {
				t.Errorf("%s: the store refuses the credentials of %s: %v", when, path, err)
			}
		}
		if n := u.aws.Calls(); n != sessions {
			t.Errorf("%s: %d CreateSession calls in all, want %d", when, n, sessions)
		}
	}
	before, kept := u.read("creds/orders"), u.read("creds/orders")

	u.change(u.current, warm)
	same("after the upgrade")
	u.renewAndRevoke("after the upgrade", before)
	if state := u.read("status/orders").Data["state"]; state != "ok" {
		t.Errorf("after the upgrade orders is %v", state)
	}
	after := u.read("creds/orders")

	u.change(firstVersion, warm)
	same("after the way back")
	u.renewAndRevoke("after the way back, a lease of the newer version", after)
	u.renewAndRevoke("after the way back, a lease that is older than the upgrade", kept)

	u.change(u.current, warm)
	u.downgradeRefusesWhatIsNew(wanted)
}

// downgradeRefusesWhatIsNew writes connections in the newer version: the first release must not misread them. What it
// does not know leaves the others alone, and is there again after the next upgrade.
func (u *upgradeStack) downgradeRefusesWhatIsNew(wanted map[string]string) {
	u.t.Helper()
	u.write("config/batch", map[string]any{"session_name": "batch-2"}) // its identity moves to an entry of its own
	u.write("config/keys", map[string]any{"allow_unscoped": false})
	u.write("scopes/orders/reports", map[string]any{"buckets": bucketName})
	u.change(firstVersion, []string{"creds/orders", "sdk/orders"})
	for _, path := range []string{"config/batch", "creds/batch", "config/keys", "creds/keys"} {
		text := u.fails(http.StatusInternalServerError, path, nil)
		if !strings.Contains(text, "run the newer plugin") {
			u.t.Errorf("%s after the way back: %s", path, text)
		}
	}
	if got := credentialsOf(u.read("creds/orders")).SecretAccessKey; got != wanted["creds/orders"] {
		u.t.Error("what the newer version has not written is not read as before")
	}
	u.change(u.current, []string{"creds/orders", "sdk/orders"})
	u.mustListBuckets(credentialsOf(u.read("creds/batch")))
	if buckets := u.read("scopes/orders/reports").Data["buckets"]; len(buckets.([]any)) != 1 {
		u.t.Errorf("the scope is read as %v", buckets)
	}
}
