package acceptance

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// moto is an STS, IAM and S3 of others' making. It checks signatures and the permissions of users and roles, and
// ignores session policies.
type moto struct {
	Endpoint string             `json:"endpoint"`
	Users    map[string]motoKey `json:"users"` // serve.py says what each may do
}

type motoKey struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// caller asks moto's STS who signs with the credentials.
func (m *moto) caller(ctx context.Context, creds aws.Credentials) (arn string, err error) {
	client := sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: &m.Endpoint,
		Credentials: credentials.StaticCredentialsProvider{Value: creds}, Retryer: aws.NopRetryer{}})
	who, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(who.Arn), nil
}

func startMoto(t *testing.T) *moto {
	t.Helper()
	python, err := python3With("boto3, moto.server")
	if err != nil {
		t.Skipf("!!! this is NOT JUDGED BY MOTO: this machine has no python3 that imports boto3 and moto.server "+
			"(%v) !!!", err)
	}
	command := exec.CommandContext(t.Context(), python, absolute(t, "clients/moto/serve.py"),
		absolute(t, "../examples/policies/rotating-user.json"))
	command.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("starting moto: %v", err)
	}
	t.Cleanup(func() {
		input.Close()
		timer := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		defer timer.Stop()
		_ = command.Wait() // killed or not, it has ended
	})
	line, err := bufio.NewReader(output).ReadBytes('\n')
	served := &moto{}
	if err == nil {
		err = json.Unmarshal(line, served)
	}
	if err != nil {
		t.Fatalf("reading where moto serves: %v: %s", err, line)
	}
	return served
}

// newMotoStack is a Vault with the plugin and nothing else.
func newMotoStack(t *testing.T) *stack {
	t.Helper()
	vault := harness.StartVault(t, harness.VaultOptions{PluginRace: true, InMemory: true})
	vault.RegisterPlugin(pluginName)
	vault.Mount("s3conn", pluginName)
	return &stack{t: t, vault: vault, api: vault.Client()}
}

func TestScope_MotoJudgesAssumeRole(t *testing.T) {
	t.Parallel()
	served := startMoto(t)
	s := newMotoStack(t)
	connection := map[string]any{"access_key": served.Users["store"].AccessKey,
		"secret_key":  served.Users["store"].SecretKey,
		"s3_endpoint": served.Endpoint, "s3_path_style": true, "sts_endpoint": served.Endpoint, "region": "us-east-1"}
	s.write("config/store", connection)
	role := "arn:aws:iam::" + account + ":role/scoped"
	// Without a slash: moto takes the signature of a list below "reports/" for wrong, boto3's too.
	scope := map[string]any{"role_arn": role, "buckets": bucketName, "prefixes": "reports-", "duration": "12h",
		"session_tags": "team=blue", "source_identity": "ann", "session_name": "ann-reports"}
	s.write("scopes/store/reports", scope)
	read := s.read("creds/store/reports")
	expiration, err := time.Parse(time.RFC3339, read.Data["expiration"].(string))
	if err != nil {
		t.Fatal(err)
	}
	assertWithin(t, "the session's life", time.Until(expiration), 12*time.Hour, time.Minute)
	creds := credentialsOf(read)
	who, err := served.caller(t.Context(), creds)
	if want := "arn:aws:sts::" + account + ":assumed-role/scoped/ann-reports"; err != nil || who != want ||
		read.Data["arn"] != want {
		t.Errorf("moto takes the credentials for %s, %v; the plugin says %v; want %s", who, err, read.Data["arn"], want)
	}
	// What the test of a scope is for: a store that obeys no session policy is named.
	assertSays(t, s.refused("test/store/reports", map[string]any{}), "was not refused",
		"this store ignores session policies", "do not hand them out")
	// And where the role itself may do nothing, nothing is proven by its refusals.
	s.write("scopes/store/barred", map[string]any{"role_arn": "arn:aws:iam::" + account + ":role/barred",
		"buckets": bucketName, "prefixes": "reports-", "access": "read"})
	fence, _ := s.write("test/store/barred", map[string]any{}).Data["fence"].(string)
	if !strings.HasPrefix(fence, "not proven: the role itself may neither list nor read") {
		t.Errorf("the fence of a role that may do nothing, at a store that ignores session policies, is %q", fence)
	}

	connection["secret_key"] = "CANARY-wrong"
	s.write("config/wrong", connection)
	s.write("scopes/wrong/reports", scope)
	assertSays(t, s.fails(http.StatusBadRequest, "creds/wrong/reports", nil), "AssumeRole: HTTP 403")
}
