package s3conn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// amongCanaries is set for the test's own program where it is the process with the canaries in its environment.
const amongCanaries = "S3CONN_TEST_AMONG_CANARIES"

// Vault's own environment is inherited by its plugins and must not decide for a connection. AWS's libraries and
// net/http may read it once for a process, so the calls are made in processes of their own.
func TestNetwork_TakesNothingFromTheEnvironment(t *testing.T) {
	t.Parallel()
	if os.Getenv(amongCanaries) != "" {
		callAmongCanaries(t)
		return
	}
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	home, address := t.TempDir(), "http://"+trap.Addr().String()
	writeCanaries(t, home, address)
	for name, variables := range canaries(home, address) {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), amongCanaries+"=1", "HOME="+home)
		child.Env = append(child.Env, variables...)
		if said, err := child.CombinedOutput(); err != nil || !bytes.Contains(said, []byte("--- PASS: "+t.Name())) {
			t.Errorf("with %s: %v\n%s", name, err, said)
		}
	}
	if _, err := os.Stat(filepath.Join(home, "marker")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the credential process ran: %v", err)
	}
	// Connections are accepted in their order, so this one is the first if there was no other.
	own, err := net.Dial("tcp", trap.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	first, err := trap.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != own.LocalAddr().String() {
		t.Error("an address of the environment was called")
	}
}

// writeCanaries writes AWS's files, those of the home directory and those that variables name: by default a process
// gives the credentials, in the profile a role does.
func writeCanaries(t *testing.T, home, address string) {
	t.Helper()
	_, ca := tlsStore(t, func(*tls.Config) {})
	settings := fmt.Sprintf("region = eu-west-3\nendpoint_url = %s\nca_bundle = %s\n", address,
		filepath.Join(home, "ca.pem"))
	process := "credential_process = touch " + filepath.Join(home, "marker") + "\n"
	role := "role_arn = arn:aws:iam::999999999999:role/CANARY\nsource_profile = keys\n"
	keys := "aws_access_key_id = AKIACANARY\naws_secret_access_key = CANARY\n"
	config := "[default]\n" + settings + process + "[profile canary]\n" + settings + role
	credentials := "[default]\n" + process + "[canary]\n" + role + "[keys]\n" + keys
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ca.pem": ca, ".aws/config": config, ".aws/credentials": credentials, "config": config,
		"credentials": credentials,
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// canaries are sets of variables. One alone would not do: keys in variables hide those in files, and these a
// container's.
func canaries(home, address string) map[string][]string {
	files := func(dir string) []string {
		return []string{"AWS_CONFIG_FILE=" + filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE=" +
			filepath.Join(dir, "credentials")}
	}
	return map[string][]string{
		"the files at home":        nil,
		"the files that are named": files(home),
		"AWS's variables": append(files(home), "AWS_PROFILE=canary",
			"AWS_ACCESS_KEY_ID=AKIACANARY", "AWS_SECRET_ACCESS_KEY=CANARY", "AWS_SESSION_TOKEN=CANARY",
			"AWS_REGION=eu-west-3", "AWS_DEFAULT_REGION=eu-west-3",
			"AWS_ENDPOINT_URL="+address, "AWS_ENDPOINT_URL_S3="+address, "AWS_ENDPOINT_URL_ROLESANYWHERE="+address,
			"AWS_ENDPOINT_URL_STS="+address,
			"AWS_CA_BUNDLE="+filepath.Join(home, "ca.pem"), "AWS_USE_FIPS_ENDPOINT=true",
			"AWS_USE_DUALSTACK_ENDPOINT=true",
			"AWS_EXECUTION_ENV=CANARY", "AWS_SDK_UA_APP_ID=CANARY"),
		"a container's credentials": append(files("/nowhere"), "AWS_CONTAINER_CREDENTIALS_FULL_URI="+address,
			"AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARY"),
		"a machine's credentials and a proxy": append(files("/nowhere"), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+address,
			"HTTP_PROXY="+address, "HTTPS_PROXY="+address, "ALL_PROXY="+address, "NO_PROXY=",
			"http_proxy="+address, "https_proxy="+address, "all_proxy="+address, "no_proxy="),
	}
}

// callAmongCanaries tests one connection of each kind and sees where the calls go, and signed with what.
func callAmongCanaries(t *testing.T) {
	t.Helper()
	l := newLab(t, rolesanywheretest.Options{})
	// net/http exempts loopback from the environment's proxies, but does not know it under this name.
	named := func(address string) string { return strings.Replace(address, "127.0.0.1", "LOCALHOST", 1) }
	s3 := with("s3_endpoint", named(l.store.URL))
	l.must(logical.UpdateOperation, "test", l.keyFields(s3))
	l.must(logical.UpdateOperation, "test", l.sessionFields(s3, with("rolesanywhere_endpoint", named(l.aws.URL))))
	calls := l.store.calls()
	if len(calls) != 2 || l.aws.Calls() != 1 {
		t.Fatalf("%d calls came to the store and %d to the service, want 2 and 1", len(calls), l.aws.Calls())
	}
	if signer(calls[0]) != "AKIAEXAMPLE" || calls[0].Get("X-Amz-Security-Token") != "" ||
		calls[1].Get("X-Amz-Security-Token") == "" {
		t.Errorf("the calls were signed with %s and %s", signer(calls[0]), signer(calls[1]))
	}
	for _, head := range calls {
		if !strings.Contains(head.Get("Authorization"), "/us-east-1/s3/") ||
			strings.Contains(fmt.Sprint(head), planted) {
			t.Errorf("a call came with %v", head)
		}
	}
	server, _ := tlsStore(t, func(*tls.Config) {})
	resp, err := l.do(t.Context(), logical.UpdateOperation, "test", keys(server.URL))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway ||
		!strings.Contains(text, "of an authority that is not trusted") {
		t.Errorf("a store whose CA the environment alone trusts: %d, %q", status, text)
	}
}
