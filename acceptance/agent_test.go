package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	// Sessions this short change every 20 to 40 seconds, and their leases end after 20 or 40.
	shortSession   = 80 * time.Second
	longerSession  = 100 * time.Second
	sessionChanges = 3
	longestWatch   = 5 * time.Minute
)

func TestAgent_TemplateNeverHoldsAnExpiredSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config string
		leased bool
		life   time.Duration
	}{
		"leased":    {"agent.hcl", true, shortSession},
		"leaseless": {"agent-leaseless.hcl", false, longerSession},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSessionStack(t, harness.VaultOptions{InMemory: true},
				rolesanywheretest.Options{Lifetime: test.life})
			s.write("config/orders", s.fields(map[string]any{"generate_lease": test.leased}))
			dir := s.example("vault-agent", "creds.hcl")
			agent := harness.StartAgent(t, filepath.Join(dir, test.config), "VAULT_ADDR="+s.vault.Address())
			rendered := filepath.Join(dir, "credentials")
			harness.WaitFor(t, "the first rendering",
				func(context.Context) error { _, err := os.Stat(rendered); return err })
			s.watch("the rendered file", func() (seen, error) { return readRendered(rendered) })
			if !agent.Running() {
				t.Error("Agent has ended")
			}
		})
	}
}

func TestProxy_NeverServesAnExpiredSession(t *testing.T) {
	t.Parallel()
	for name, leased := range map[string]bool{"leased": true, "leaseless": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSessionStack(t, harness.VaultOptions{InMemory: true},
				rolesanywheretest.Options{Lifetime: shortSession})
			s.write("config/orders", s.fields(map[string]any{"generate_lease": leased}))
			client := s.clientOf(s.fronted("vault-proxy", "proxy.hcl", "creds.hcl", "/v1/s3conn/creds/orders"))
			s.watch("the proxy's answer", func() (seen, error) {
				secret, err := client.Logical().ReadWithContext(t.Context(), "s3conn/creds/orders")
				if err != nil {
					return seen{}, err
				}
				return seenIn(secret, time.Now())
			})
		})
	}
}

// TestLifetimeWatcher_LeadsToFreshCredentials does what an app written with Vault's Go client does: read, renew in the
// background for as long as that extends the lease, then read again.
func TestLifetimeWatcher_LeadsToFreshCredentials(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{Lifetime: shortSession})
	s.write("config/orders", s.fields(nil))
	keys, lowest := map[string]bool{}, time.Hour
	for deadline := time.Now().Add(longestWatch); len(keys) <= sessionChanges; {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions within %s", len(keys), longestWatch)
		}
		secret := s.read("creds/orders")
		held, err := seenIn(secret, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		keys[held.accessKey] = true
		watcher, err := s.api.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		go watcher.Start()
		if err := <-doneOf(watcher); err != nil {
			t.Logf("the watcher ended with %v", err)
		}
		watcher.Stop()
		lowest = min(lowest, time.Until(held.expiration))
	}
	t.Logf("lowest remaining lifetime held by the app: %s over %d sessions, %d CreateSession calls", lowest, len(keys),
		s.aws.Sessions())
	if lowest < 50*time.Second {
		t.Errorf("the watcher led to new credentials with %s left, want about a minute", lowest)
	}
}

// doneOf drains the watcher's renewals and passes on its end.
func doneOf(w *api.LifetimeWatcher) <-chan error {
	done := make(chan error, 1)
	go func() {
		for {
			select {
			case <-w.RenewCh():
			case err := <-w.DoneCh():
				done <- err
				return
			}
		}
	}()
	return done
}

// seen is what a consumer holds at one moment.
type seen struct {
	accessKey  string
	expiration time.Time
	since      time.Time // when it got it
}

func seenIn(secret *api.Secret, since time.Time) (seen, error) {
	text, _ := secret.Data["expiration"].(string)
	expiration, err := time.Parse(time.RFC3339, text)
	key, _ := secret.Data["access_key"].(string)
	return seen{key, expiration, since}, err
}

var renderedFile = regexp.MustCompile(`(?s)^# valid until (\S+)\n\[default\]\naws_access_key_id = (\S+)\n` +
	`aws_secret_access_key = \S+\naws_session_token = \S+\n$`)

func readRendered(path string) (seen, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return seen{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return seen{}, err
	}
	parts := renderedFile.FindSubmatch(text)
	if parts == nil {
		return seen{}, fmt.Errorf("the file is not what the template makes: %q", text)
	}
	expiration, err := time.Parse(time.RFC3339, string(parts[1]))
	return seen{string(parts[2]), expiration, info.ModTime()}, err
}

// watch looks many times a second, until the session has changed often enough: what is there must never be missing,
// never be expired, and must have had 60 seconds left when it came.
func (s *sessionStack) watch(what string, look func() (seen, error)) {
	s.t.Helper()
	const latency = 5 * time.Second // between the plugin's answer and the consumer's clock, on a busy machine
	lowest, lowestAtFirst, keys := time.Hour, time.Hour, map[string]bool{}
	ticks := time.NewTicker(50 * time.Millisecond)
	defer ticks.Stop()
	for deadline := time.Now().Add(longestWatch); len(keys) <= sessionChanges; <-ticks.C {
		held, err := look()
		if err != nil {
			s.t.Fatalf("%s: %v", what, err)
		}
		left := time.Until(held.expiration)
		lowest = min(lowest, left)
		if !keys[held.accessKey] {
			keys[held.accessKey] = true
			first := held.expiration.Sub(held.since)
			lowestAtFirst = min(lowestAtFirst, first)
			if first < time.Minute-latency {
				s.t.Errorf("%s had %s left when it came", what, first)
			}
		}
		if left <= 0 {
			s.t.Fatalf("%s is expired since %s", what, -left)
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s changed %d times within %s, want %d", what, len(keys)-1, longestWatch, sessionChanges)
		}
	}
	s.t.Logf("%s: %d changes; lowest remaining lifetime %s, lowest when it came %s; %d CreateSession calls",
		what, len(keys)-1, lowest.Truncate(time.Millisecond), lowestAtFirst.Truncate(time.Millisecond),
		s.aws.Sessions())
}
