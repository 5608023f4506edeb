package acceptance

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestSession_OneCallServesHundredsOfColdReaders(t *testing.T) {
	t.Parallel()
	const connections, readers = 50, 500
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	for i := range connections + 1 {
		// An account each: the budget is per account, and is not what this test is about.
		role := fmt.Sprintf("arn:aws:iam::%012d:role/orders", i+1)
		swap := func(arn string) string {
			return fmt.Sprintf("%s%012d%s", arn[:len("arn:aws:rolesanywhere:us-east-1:")], i+1,
				arn[len("arn:aws:rolesanywhere:us-east-1:")+12:])
		}
		s.write(fmt.Sprintf("config/orders-%d", i),
			s.fields(map[string]any{"role_arn": role, "profile_arn": swap(profileARN),
				"trust_anchor_arn": swap(trustAnchorARN)}))
	}
	s.readAll(readers, func(int) string { return fmt.Sprintf("creds/orders-%d", connections) })
	if n := s.aws.Calls(); n != 1 {
		t.Errorf("%d cold readers of one connection caused %d CreateSession calls, want 1", readers, n)
	}
	t.Logf("%d readers of one connection: %d CreateSession calls", readers, s.aws.Calls())

	s.aws.Reset()
	s.readAll(readers, func(i int) string { return fmt.Sprintf("creds/orders-%d", i%connections) })
	if n := s.aws.Calls(); n != connections {
		t.Errorf("%d cold readers over %d connections caused %d calls, want %d", readers, connections, n, connections)
	}
	t.Logf("%d readers over %d connections: %d CreateSession calls", readers, connections, s.aws.Calls())

	s.aws.Reset()
	s.vault.ReloadPlugin(pluginName) // nothing is forgotten
	s.readAll(readers, func(i int) string { return fmt.Sprintf("creds/orders-%d", i%(connections+1)) })
	if n := s.aws.Calls(); n != 0 {
		t.Errorf("the same after a reload caused %d calls, want 0", n)
	}
}

// readAll reads with so many clients at once.
func (s *stack) readAll(readers int, path func(int) string) {
	s.t.Helper()
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			secret, err := s.api.Logical().ReadWithContext(s.t.Context(), "s3conn/"+path(i))
			if err != nil || secret == nil {
				s.t.Errorf("reader %d: %v", i, err)
				return
			}
			if token, _ := secret.Data["session_token"].(string); token == "" {
				s.t.Errorf("reader %d got no session token", i)
			}
		})
	}
	wg.Wait()
}

func TestSession_ServesAfterEveryKindOfRestart(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{}, servesAfterEveryKindOfRestart)
}

func servesAfterEveryKindOfRestart(t *testing.T, opts harness.VaultOptions) {
	s := newSessionStack(t, opts, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	want := credentialsOf(s.read("creds/orders"))
	for _, restart := range []struct {
		name string
		do   func()
	}{
		{"kill -9 of the plugin", s.vault.KillPlugin},
		{"plugin reload", func() { s.vault.ReloadPlugin(pluginName) }},
		{"seal and unseal", func() { s.vault.Seal(); s.vault.Unseal() }},
		{"restart of Vault", s.vault.Restart},
		{"kill -9 of Vault", func() { s.vault.Kill(); s.vault.Restart() }},
	} {
		restart.do()
		if got := credentialsOf(s.readSoon(s.api, "creds/orders")); got != want {
			t.Errorf("after %s the credentials are others", restart.name)
		}
		t.Logf("after %s: %d CreateSession calls in all", restart.name, s.aws.Calls())
	}
	if n := s.aws.Calls(); n != 1 {
		t.Errorf("%d CreateSession calls over all restarts, want 1", n)
	}
	s.mustListBuckets(want)
}

// readSoon reads as soon as the server answers.
func (s *stack) readSoon(client *api.Client, path string) *api.Secret {
	s.t.Helper()
	var read *api.Secret
	harness.WaitFor(s.t, "an answer of "+path, func(ctx context.Context) error {
		secret, err := client.Logical().ReadWithContext(ctx, "s3conn/"+path)
		if err == nil && secret == nil {
			err = fmt.Errorf("nothing at %s", path)
		}
		read = secret
		return err
	})
	return read
}
