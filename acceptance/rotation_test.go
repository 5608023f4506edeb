package acceptance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

// newKeyStack is a stack with the connection "orders" of an IAM user at the stand-in, which rotates once a day.
func newKeyStack(t *testing.T, options awstest.Options) (*stack, *awstest.Server) {
	t.Helper()
	s := newStack(t, harness.VaultOptions{InMemory: true, Audit: true})
	iam, fields := newKeyUser(t, options)
	s.write("config/orders", fields)
	return s, iam
}

// newKeyUser starts a stand-in with the IAM user "app", and returns the fields of a connection of the user's key.
func newKeyUser(t *testing.T, options awstest.Options) (*awstest.Server, map[string]any) {
	t.Helper()
	iam := awstest.NewServer(options)
	t.Cleanup(iam.Close)
	key := iam.AddUser("app")
	return iam, map[string]any{"access_key": key.ID, "secret_key": key.Secret, "iam_endpoint": iam.URL,
		"sts_endpoint": iam.URL, "rotation_period": "24h"}
}

// newUnacceptedKeyUser is newKeyUser at an IAM that accepts no new key until accept is called.
func newUnacceptedKeyUser(t *testing.T) (iam *awstest.Server, fields map[string]any, accept func()) {
	t.Helper()
	const unaccepted = 24 * time.Hour
	var ahead atomic.Int64 // of IAM's clock
	iam, fields = newKeyUser(t, awstest.Options{KeyDelay: unaccepted, MaxClockSkew: 2 * unaccepted,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	return iam, fields, func() { ahead.Store(int64(unaccepted)) }
}

// keyTemplate renders a key that is rotated. Agent reads again when the ttl is over: there is a rotation_period.
const keyTemplate = `{{ with secret "s3conn/creds/orders" }}
{{ .Data.access_key }} {{ .Data.ttl }} {{ .Data.rotation_period }}
{{ end }}`

func TestRotation_ReplacesTheKeyAndAgentRendersIt(t *testing.T) {
	t.Parallel()
	s, iam := newKeyStack(t, awstest.Options{})
	first := iam.Keys("app")[0]
	dir := s.example("vault-agent", "creds.hcl")
	if err := os.WriteFile(filepath.Join(dir, "credentials.ctmpl"), []byte(keyTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := harness.StartAgent(t, filepath.Join(dir, "agent-leaseless.hcl"), "VAULT_ADDR="+s.vault.Address())
	harness.WaitFor(t, "the key in the rendered file", func(context.Context) error {
		text, err := os.ReadFile(filepath.Join(dir, "credentials"))
		if err == nil && !strings.Contains(string(text), first.ID) {
			err = errors.New("it holds another key")
		}
		return err
	})
	read := s.read("creds/orders")
	if period, ttl := number(t, read.Data, "rotation_period"), number(t, read.Data, "ttl"); period != 86400 ||
		ttl < 86300 ||
		ttl > 86400 {
		t.Errorf("rotation_period %d, ttl %d", period, ttl)
	}
	rotated := s.write("rotate/orders", nil)
	keys := iam.Keys("app")
	if len(keys) != 2 || rotated.Data["access_key"] != keys[1].ID || rotated.Data["previous_access_key"] != first.ID {
		t.Fatalf("rotate returns %v, IAM has %v", rotated.Data, keys)
	}
	if read := s.read("creds/orders"); read.Data["access_key"] != keys[1].ID ||
		read.Data["secret_key"] != keys[1].Secret {
		t.Error("a read does not show the new key")
	}
	if !agent.Running() {
		t.Error("Agent has ended")
	}
	for where, text := range map[string]string{"log": s.vault.ServerLog(), "audit log": s.vault.AuditLog()} {
		if strings.Contains(text, first.Secret) || strings.Contains(text, keys[1].Secret) {
			t.Errorf("the %s holds a secret key", where)
		}
	}
}

func TestRotation_GoesOnAfterThePluginIsKilled(t *testing.T) {
	t.Parallel()
	// The new key is accepted when the plugin has been killed while it waits for that.
	s := newStack(t, harness.VaultOptions{InMemory: true, Audit: true})
	iam, fields, accept := newUnacceptedKeyUser(t)
	s.write("config/orders", fields)
	go func() {
		_, _ = s.api.Logical().
			WriteWithContext(t.Context(), "s3conn/rotate/orders", nil)
		// answered with a 503, or replayed
	}()
	harness.WaitFor(t, "the second key", func(context.Context) error {
		if len(iam.Keys("app")) < 2 {
			return errors.New("there is one key")
		}
		return nil
	})
	s.vault.KillPlugin()
	var first *api.Secret
	harness.WaitFor(t, "a read by the next process", func(ctx context.Context) (err error) {
		first, err = s.api.Logical().ReadWithContext(ctx, "s3conn/creds/orders")
		return err // Vault answers with an error while it starts the plugin again
	})
	if key := first.Data["access_key"]; key != iam.Keys("app")[0].ID {
		t.Errorf("after the kill a read shows %v", key)
	}
	accept()
	harness.WaitFor(t, "the new key in a read", func(context.Context) error {
		if read := s.read("creds/orders"); read.Data["access_key"] != iam.Keys("app")[1].ID {
			return errors.New("it is still the old one")
		}
		return nil
	})
	if made := iam.Calls("CreateAccessKey"); made != 1 {
		t.Errorf("%d keys were made", made)
	}
	if !slices.ContainsFunc(
		iam.Requests(),
		func(r awstest.Recorded) bool { return r.Operation == "GetCallerIdentity" },
	) {
		t.Error("the new key was never checked")
	}
}
