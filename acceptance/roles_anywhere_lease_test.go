package acceptance

import (
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestRolesAnywhere_LeaseFollowsTheSession(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{InMemory: true}, leaseFollowsTheSession)
}

func leaseFollowsTheSession(t *testing.T, opts harness.VaultOptions) {
	s := newSessionStack(t, opts, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	read := s.read("creds/orders")
	expiration, err := time.Parse(time.RFC3339, read.Data["expiration"].(string))
	if err != nil {
		t.Fatal(err)
	}
	leaseOf := func(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
	assertWithin(t, "the session's life", time.Until(expiration), time.Hour, 10*time.Second)
	assertWithin(t, "the lease", leaseOf(read.LeaseDuration), time.Until(expiration)-time.Minute, 10*time.Second)
	if !read.Renewable || read.LeaseID == "" {
		t.Errorf("the lease is %+v, want a renewable one", read)
	}
	if len(read.Warnings) != 0 {
		t.Errorf("a read warns: %q", read.Warnings)
	}

	left := time.Until(expiration) - time.Minute
	for increment, want := range map[int]time.Duration{0: left, 86400: left,
		10: 10 * time.Second} { // Vault obeys a shorter increment itself
		renewed, err := s.api.Sys().RenewWithContext(t.Context(), read.LeaseID, increment)
		if err != nil {
			t.Fatalf("renewing: %v", err)
		}
		assertWithin(t, "the renewed lease", leaseOf(renewed.LeaseDuration), want, 10*time.Second)
	}

	// The lease needs no connection to be revoked.
	if _, err := s.api.Logical().DeleteWithContext(t.Context(), "s3conn/config/orders"); err != nil {
		t.Fatal(err)
	}
	if err := s.api.Sys().RevokeWithContext(t.Context(), read.LeaseID); err != nil {
		t.Errorf("revoking after the connection was deleted: %v", err)
	}
	if _, err := s.api.Sys().LookupWithContext(t.Context(), read.LeaseID); err == nil {
		t.Error("the revoked lease is still there")
	}
	s.mustListBuckets(credentialsOf(read)) // as the warning says
	assertSays(t, s.fails(400, "creds/orders", nil), `there is no connection "orders"`)
}

func TestRolesAnywhere_NothingLeftToRenewIsSaid(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{Lifetime: 66 * time.Second})
	for range 5 { // a machine that stands still for two seconds finds the lease gone
		s.write("config/orders", s.fields(nil)) // the next session
		read := s.read("creds/orders")
		if read.LeaseDuration > 6 || read.LeaseDuration < 1 {
			t.Errorf("the lease of a session of 66 s is %d s, want 1 to 6", read.LeaseDuration)
		}
		err := s.renewUntilRefused(read.LeaseID, 20*time.Second)
		if err == nil {
			t.Fatal("the lease was renewed past what its session has left")
		}
		if !strings.Contains(err.Error(), "lease not found") && !strings.Contains(err.Error(), "lease expired") {
			assertSays(t, err.Error(), "nothing is left, because its session ends at", "read the credentials again")
			return
		}
	}
	t.Error("no renewal was refused in the plugin's own words")
}

// renewUntilRefused returns what the first renewal that fails ends with, or nil.
func (s *stack) renewUntilRefused(lease string, within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := s.api.Sys().RenewWithContext(s.t.Context(), lease, 3600); err != nil {
			return err
		}
	}
	return nil
}

func TestRolesAnywhere_LeaselessIsTheSameDataWithoutALease(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	leased := s.read("creds/orders")
	s.write("config/orders", map[string]any{"generate_lease": false})
	leaseless := s.read("creds/orders")
	if leaseless.LeaseID != "" || leaseless.LeaseDuration != 0 {
		t.Errorf("a lease came with generate_lease=false: %+v", leaseless)
	}
	for name := range leased.Data {
		if _, there := leaseless.Data[name]; !there {
			t.Errorf("%s is missing without a lease", name)
		}
	}
	s.mustListBuckets(credentialsOf(leaseless))
}
