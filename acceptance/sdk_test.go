package acceptance

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// exampleEnv reads an example's environment file, with nothing changed but the addresses, and the path where they say
// so.
func (s *stack) exampleEnv(name string, addresses ...string) []string {
	s.t.Helper()
	var env []string
	for line := range strings.Lines(s.exampleText("aws-sdk", name)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, strings.NewReplacer(addresses...).Replace(line))
		}
	}
	return append(env, "AWS_ENDPOINT_URL_S3="+s.minio.Endpoint())
}

func TestSDK_EveryClientInEveryWayLivesThroughASessionChange(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true, TLS: true},
		rolesanywheretest.Options{Lifetime: shortSession})
	s.write("config/orders", s.fields(nil))
	clients := sdkClients(t)
	token := s.token("sdk.hcl")
	tokenFile := filepath.Join(t.TempDir(), "vault-authorization")
	if err := os.WriteFile(tokenFile, []byte("Bearer "+token), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := s.fronted("vault-proxy", "proxy.hcl", "sdk.hcl", "/v1/s3conn/sdk/orders")
	agent := s.fronted("aws-sdk", "agent.hcl", "sdk.hcl", "/v1/s3conn/sdk/orders")
	direct := []string{"https://vault.example:8200", s.vault.Address(), "=vault-authorization", "=" + tokenFile}
	inVariable := func() []string {
		var env []string
		for _, one := range s.exampleEnv("vault.env", direct...) {
			if !strings.HasPrefix(one, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=") {
				env = append(env, one)
			}
		}
		return append(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN=Bearer "+token)
	}

	for _, client := range clients {
		for way, env := range map[string]func(t *testing.T) []string{
			"TLS, token in a file": func(t *testing.T) []string {
				return append(s.exampleEnv("vault.env", direct...), client.trust(t, s.vault.CAFile())...)
			},
			"TLS, token in a variable": func(t *testing.T) []string {
				return append(inVariable(),
					client.trust(t, s.vault.CAFile())...)
			},
			"Vault Proxy, no token": func(*testing.T) []string {
				return s.exampleEnv("agent.env",
					"http://127.0.0.1:8100", proxy)
			},
			"Vault Agent, no token": func(*testing.T) []string {
				return s.exampleEnv("agent.env",
					"http://127.0.0.1:8100", agent)
			},
			"credential_process": func(t *testing.T) []string {
				return []string{"AWS_CONFIG_FILE=" + absolute(t, examplePath("credential-process", "config")), "PATH=" +
					vaultOnPath(t), "AWS_SDK_LOAD_CONFIG=1",
					"VAULT_ADDR=" + s.vault.Address(), "VAULT_TOKEN=" + token, "VAULT_CACERT=" + s.vault.CAFile(),
					"AWS_ENDPOINT_URL_S3=" + s.minio.Endpoint()}
			},
		} {
			t.Run(client.name+"/"+way, func(t *testing.T) {
				t.Parallel()
				t.Logf("buckets listed over %d sessions, no call failed",
					client.listAcrossChange(t, s.aws.Sessions, env(t)))
			})
		}
	}
}

func TestSDK_ClientsShowThePluginsWords(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true},
		rolesanywheretest.Options{RefuseRoleSessionName: true})
	s.write("config/orders", s.fields(nil))
	token := s.token("sdk.hcl")
	for _, client := range sdkClients(t) {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			env := []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.vault.Address() + "/v1/s3conn/sdk/orders",
				"AWS_REGION=us-east-1", "CHANGES=0",
				"AWS_CONTAINER_AUTHORIZATION_TOKEN=Bearer " + token, "AWS_ENDPOINT_URL_S3=" + s.minio.Endpoint()}
			stdout, stderr, err := client.run(t, env)
			if err == nil {
				t.Fatalf("a refused session listed buckets: %s", stdout)
			}
			for line := range strings.Lines(stderr) {
				if strings.Contains(line, "roleSessionName") {
					t.Logf("it prints: %s", strings.TrimSpace(line))
				}
			}
			if !strings.Contains(stderr, "Not authorized to set roleSessionName") {
				t.Errorf("the service's words are lost in:\n%s", stderr)
			}
		})
	}
}

// get reads a path of the mount as an app with this token does.
func (s *stack) get(token, path string) (status int, header http.Header, body string) {
	s.t.Helper()
	return s.getPath(token, "s3conn/"+path)
}

func (s *stack) getPath(token, path string) (status int, header http.Header, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.vault.Address()+"/v1/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

func TestSDK_RawAnswersOfARealServer(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{InMemory: true, Audit: true}, rawAnswers)
}

func rawAnswers(t *testing.T, opts harness.VaultOptions) {
	s := newSessionStack(t, opts, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	s.write("config/reports", s.s3Fields(map[string]any{"access_key": "AKIAEXAMPLE", "secret_key": "CANARY-secret"}))
	status, header, body := s.get(s.vault.Token(), "sdk/orders")
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 ||
		header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" {
		t.Fatalf("HTTP %d, %v, %v: %s", status, header, err, body)
	}
	creds := credentialsOf(s.read("creds/orders"))
	if answer["AccessKeyId"] != creds.AccessKeyID || answer["Token"] != creds.SessionToken ||
		answer["RoleArn"] != roleARN || answer["AccountId"] != account {
		t.Errorf("sdk/orders = %v, want the session of creds/orders", answer)
	}
	if n := s.aws.Calls(); n != 1 {
		t.Errorf("%d CreateSession calls, want 1", n)
	}
	if status, _, body := s.get(s.vault.Token(), "sdk/nothing"); status != 404 ||
		!strings.Contains(body, `"code":"NoSuchConnection"`) {
		t.Errorf("a missing connection is HTTP %d: %s", status, body)
	}
	s.get(s.vault.Token(), "sdk/reports")

	audit := s.vault.AuditLog()
	if !strings.Contains(audit, "s3conn/sdk/reports") || !strings.Contains(audit, "hmac-sha256") {
		t.Fatal("the audit log does not show the reads: the test shows nothing")
	}
	for what, text := range map[string]string{"secret key": "CANARY-secret", "session token": creds.SessionToken,
		"session secret": creds.SecretAccessKey} {
		if strings.Contains(audit, text) || strings.Contains(s.vault.ServerLog(), text) {
			t.Errorf("the audit log or the server's log holds the %s", what)
		}
	}
}

func TestPolicies_EachAllowsItsPathAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	for _, name := range []string{"orders", "others"} {
		s.write("config/"+name, s.fields(nil))
	}
	for policy, allowed := range map[string]string{"sdk.hcl": "sdk/orders", "creds.hcl": "creds/orders",
		"operator.hcl": "config/orders", "auditor.hcl": "config/orders"} {
		token := s.token(policy)
		for _, path := range []string{"sdk/orders", "creds/orders", "config/orders", "sdk/others", "creds/others",
			"config/others", "config?list=true"} {
			want := http.StatusForbidden
			if path == allowed || strings.HasPrefix(allowed, "config/") && strings.HasPrefix(path, "config") {
				want = http.StatusOK
			}
			if status, _, body := s.get(token, path); status != want {
				t.Errorf("with %s, reading %s is HTTP %d, want %d: %s", policy, path, status, want, body)
			}
		}
		writer := s.vault.Client()
		writer.SetToken(token)
		for path, fields := range map[string]map[string]any{"config/orders": {"duration": 1200}, "test/orders": {}} {
			_, err := writer.Logical().WriteWithContext(t.Context(), "s3conn/"+path, fields)
			if denied := err != nil && strings.Contains(err.Error(),
				"permission denied"); denied == (policy == "operator.hcl") || err != nil && !denied {
				t.Errorf("with %s, writing %s: %v", policy, path, err)
			}
		}
	}
}
