package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

func examplePath(parts ...string) string {
	return filepath.Join(append([]string{"..", "examples"}, parts...)...)
}

func (s *stack) exampleText(parts ...string) string {
	s.t.Helper()
	text, err := os.ReadFile(examplePath(parts...))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// examplePolicy stores one of the example policies as the policy "app".
func (s *stack) examplePolicy(file string) {
	s.t.Helper()
	if err := s.api.Sys().PutPolicyWithContext(s.t.Context(), "app", s.exampleText("policies", file)); err != nil {
		s.t.Fatal(err)
	}
}

// token makes a Vault token that has one of the example policies and nothing else.
func (s *stack) token(policyFile string) string {
	s.t.Helper()
	s.examplePolicy(policyFile)
	secret, err := s.api.Auth().Token().CreateWithContext(s.t.Context(),
		&api.TokenCreateRequest{Policies: []string{"app"}, NoDefaultPolicy: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return secret.Auth.ClientToken
}

// example copies a directory of examples, and gives it an AppRole's role-id and secret-id with one of the example
// policies.
func (s *stack) example(name, policyFile string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(examplePath(name))); err != nil {
		s.t.Fatal(err)
	}
	s.examplePolicy(policyFile)
	err := s.api.Sys().EnableAuthWithOptionsWithContext(s.t.Context(), "approle",
		&api.EnableAuthOptions{Type: "approle"})
	if err != nil && !strings.Contains(err.Error(), "already in use") {
		s.t.Fatal(err)
	}
	logical := s.api.Logical()
	if _, err := logical.WriteWithContext(s.t.Context(), "auth/approle/role/app",
		map[string]any{"token_policies": "app"}); err != nil {
		s.t.Fatal(err)
	}
	role, err := logical.ReadWithContext(s.t.Context(), "auth/approle/role/app/role-id")
	if err != nil {
		s.t.Fatal(err)
	}
	secret, err := logical.WriteWithContext(s.t.Context(), "auth/approle/role/app/secret-id", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for file, text := range map[string]any{"role-id": role.Data["role_id"], "secret-id": secret.Data["secret_id"]} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text.(string)), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return dir
}

// fronted runs an example of Vault Agent or Proxy with nothing changed but its port, waits until it serves the path
// to a client without a token, and returns its address.
func (s *stack) fronted(name, file, policyFile, path string) string {
	s.t.Helper()
	config := filepath.Join(s.example(name, policyFile), file)
	text, err := os.ReadFile(config)
	if err != nil {
		s.t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(s.t))
	changed := strings.Replace(string(text), `"127.0.0.1:8100"`, `"`+address+`"`, 1)
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil || changed == string(text) {
		s.t.Fatalf("changing the port: %v", err)
	}
	env := []string{"VAULT_ADDR=" + s.vault.Address(), "VAULT_CACERT=" + s.vault.CAFile()}
	if file == "proxy.hcl" {
		harness.StartProxy(s.t, config, env...)
	} else {
		harness.StartAgent(s.t, config, env...)
	}
	harness.WaitFor(s.t, "an answer of "+file, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("HTTP %d", answer.StatusCode)
		}
		return nil
	})
	return "http://" + address
}

// clientOf returns a client of that address that has no token.
func (s *stack) clientOf(address string) *api.Client {
	s.t.Helper()
	client := s.vault.Client()
	client.ClearToken()
	if err := client.SetAddress(address); err != nil {
		s.t.Fatal(err)
	}
	return client
}
