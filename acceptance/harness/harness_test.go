package harness_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

const (
	secretPath  = "cubbyhole/kept"
	secretValue = "kept over a restart"
)

func write(t *testing.T, v *harness.Vault) {
	t.Helper()
	_, err := v.Client().Logical().WriteWithContext(t.Context(), secretPath, map[string]any{"value": secretValue})
	if err != nil {
		t.Fatalf("writing %s: %v", secretPath, err)
	}
}

func wantKept(t *testing.T, v *harness.Vault) {
	t.Helper()
	secret, err := v.Client().Logical().ReadWithContext(t.Context(), secretPath)
	if err != nil {
		t.Fatalf("reading %s: %v", secretPath, err)
	}
	if secret == nil || secret.Data["value"] != secretValue {
		t.Fatalf("reading %s: got %v, want value %q", secretPath, secret, secretValue)
	}
}

func TestHarness_VaultKeepsStorageOverRestart(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		t.Run(map[bool]string{false: "http", true: "https"}[tls], func(t *testing.T) {
			t.Parallel()
			v := harness.StartVault(t, harness.VaultOptions{TLS: tls})
			write(t, v)
			v.Restart()
			wantKept(t, v)
			v.Kill()
			if v.Running() {
				t.Fatal("Kill left the server running")
			}
			v.Restart()
			wantKept(t, v)
		})
	}
}

func TestHarness_SealAndUnseal(t *testing.T) {
	t.Parallel()
	v := harness.StartVault(t, harness.VaultOptions{InMemory: true})
	write(t, v)
	v.Seal()
	if status, err := v.Client().Sys().SealStatusWithContext(t.Context()); err != nil || !status.Sealed {
		t.Fatalf("after Seal: status %+v, error %v, want sealed", status, err)
	}
	v.Unseal()
	wantKept(t, v)
}

func TestHarness_AuditAndServerLog(t *testing.T) {
	t.Parallel()
	v := harness.StartVault(t, harness.VaultOptions{InMemory: true, Audit: true})
	write(t, v)
	if log := v.AuditLog(); !strings.Contains(log, secretPath) || strings.Contains(log, secretValue) {
		t.Errorf("the audit log should name %s and hide its value:\n%s", secretPath, log)
	}
	if log := v.ServerLog(); !strings.Contains(log, "[TRACE]") {
		t.Errorf("the server's log has no line of level trace:\n%s", log)
	}
}

func TestHarness_CLI(t *testing.T) {
	t.Parallel()
	v := harness.StartVault(t, harness.VaultOptions{InMemory: true, TLS: true})
	write(t, v)
	stdout, stderr, code := harness.CLI(t, v, "read", "-field=value", secretPath)
	if stdout != secretValue+"\n" && stdout != secretValue || code != 0 {
		t.Errorf("vault read: got %q, stderr %q, code %d, want %q", stdout, stderr, code, secretValue)
	}
	_, stderr, code = harness.CLI(t, v, "read", "no-such-mount/x")
	if code != 2 || !strings.Contains(stderr, "No value found at no-such-mount/x") {
		t.Errorf("vault read of a missing mount: stderr %q, code %d, want code 2", stderr, code)
	}
}

func TestHarness_ClusterStepsDownAndSurvivesALoss(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, harness.VaultOptions{})
	first := c.Leader()
	write(t, c.Nodes[first])
	second := c.StepDown()
	if second == first {
		t.Fatalf("node %d is active again after its StepDown", first)
	}
	wantKept(t, c.Nodes[second])
	third := c.Kill(second)
	if third == second {
		t.Fatalf("node %d is active after its Kill", second)
	}
	wantKept(t, c.Nodes[third])
	c.Restart(second)
	wantKept(t, c.Nodes[second])
}

func TestHarness_AgentRendersTemplate(t *testing.T) {
	t.Parallel()
	v := harness.StartVault(t, harness.VaultOptions{InMemory: true, TLS: true})
	dir := t.TempDir()
	configFile, rendered := filepath.Join(dir, "agent.hcl"), filepath.Join(dir, "rendered")
	writeFile(t, configFile, autoAuth(t, v, dir)+`
template {
  contents = "{{ with secret \"auth/token/lookup-self\" }}{{ .Data.display_name }}{{ end }}"
  destination = "`+rendered+`"
}`)
	agent := harness.StartAgent(t, configFile, "VAULT_CACERT="+v.CAFile())
	harness.WaitFor(t, "the agent to render", func(context.Context) error {
		_, err := os.Stat(rendered) // the agent renames a finished file into place
		return err
	})
	if text, err := os.ReadFile(rendered); err != nil || string(text) != "root" {
		t.Errorf("the agent rendered %q, error %v, want root", text, err)
	}
	agent.Stop()
	if agent.Running() || !strings.Contains(agent.Log(), "shutdown") {
		t.Errorf("Stop should end the agent in order: running %v, log:\n%s", agent.Running(), agent.Log())
	}
}

func TestHarness_ProxyAddsItsToken(t *testing.T) {
	t.Parallel()
	v := harness.StartVault(t, harness.VaultOptions{InMemory: true})
	dir := t.TempDir()
	configFile, address := filepath.Join(dir, "proxy.hcl"), fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	writeFile(t, configFile, autoAuth(t, v, dir)+`
api_proxy { use_auto_auth_token = "force" }
listener "tcp" {
  address = "`+address+`"
  tls_disable = true
}`)
	harness.StartProxy(t, configFile)
	harness.WaitFor(t, "the proxy to forward with its token", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v1/auth/token/lookup-self", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the proxy answers %s", resp.Status)
		}
		return nil
	})
}

// autoAuth is the part of an agent's configuration that logs it in with the root token.
func autoAuth(t *testing.T, v *harness.Vault, dir string) string {
	t.Helper()
	tokenFile := filepath.Join(dir, "token")
	writeFile(t, tokenFile, v.Token())
	return `
vault { address = "` + v.Address() + `" }
auto_auth {
  method "token_file" {
    config = { token_file_path = "` + tokenFile + `" }
  }
}`
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHarness_MinIOEnforcesSessionCredentials(t *testing.T) {
	t.Parallel()
	const denyAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*",` +
		`"Resource":"arn:aws:s3:::*"}]}`
	for _, tls := range []bool{false, true} {
		t.Run(map[bool]string{false: "http", true: "https"}[tls], func(t *testing.T) {
			t.Parallel()
			start := harness.StartMinIO
			if tls {
				start = harness.StartMinIOTLS
			}
			m := start(t)
			m.MakeBucket("orders")
			good, err := m.AssumeRole(t.Context(), 15*time.Minute, "")
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(good.Expires); left > 15*time.Minute || left < 14*time.Minute {
				t.Errorf("the credentials expire in %v, want 15 minutes", left)
			}
			denied, err := m.AssumeRole(t.Context(), 15*time.Minute, denyAll)
			if err != nil {
				t.Fatal(err)
			}
			wrong, missing := good, good
			wrong.SessionToken = denied.SessionToken
			missing.SessionToken = ""
			for name, c := range map[string]struct {
				creds aws.Credentials
				code  string
			}{
				"session":          {good, ""},
				"root":             {m.RootCredentials(), ""},
				"another's token":  {wrong, "InvalidTokenId"},
				"no token":         {missing, "InvalidTokenId"},
				"denied by policy": {denied, "AccessDenied"},
				"unknown access id": {aws.Credentials{AccessKeyID: "AKIDNOBODY", SecretAccessKey: "x"},
					"InvalidAccessKeyId"},
			} {
				wantBuckets(t, name, m.Client(c.creds), c.code)
			}
		})
	}
}

// wantBuckets lists the buckets and wants the bucket orders, or the error code.
func wantBuckets(t *testing.T, name string, client *s3.Client, code string) {
	t.Helper()
	out, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if code == "" {
		if err != nil || len(out.Buckets) != 1 || aws.ToString(out.Buckets[0].Name) != "orders" {
			t.Errorf("%s: got %+v, error %v, want the bucket orders", name, out, err)
		}
		return
	}
	var refusal smithy.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode() != code {
		t.Errorf("%s: got error %v, want code %s", name, err, code)
	}
}
