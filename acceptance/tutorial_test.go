package acceptance

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// tutorialStep is one section of docs/tutorial.md: who acts, Vault or AWS, and the commands.
type tutorialStep struct{ number, who, script string }

// tutorialSteps reads the commands of every section: what follows "$ " in a block of console, up to the next "$ ".
func tutorialSteps(t *testing.T) []tutorialStep {
	t.Helper()
	text, err := os.ReadFile("../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	var steps []tutorialStep
	heading := regexp.MustCompile(`^## (\d+)\. (Vault|AWS): `)
	console := false
	for line := range strings.Lines(string(text)) {
		if found := heading.FindStringSubmatch(line); found != nil {
			steps = append(steps, tutorialStep{number: found[1], who: found[2]})
			continue
		}
		if strings.HasPrefix(line, "```") {
			console = !console && strings.TrimSpace(line) == "```console"
			continue
		}
		if console {
			steps[len(steps)-1].script += strings.TrimPrefix(line, "$ ")
		}
	}
	if len(steps) != 10 {
		t.Fatalf("the tutorial has %d steps", len(steps))
	}
	return steps
}

// TestTutorial_VaultsStepsRunAsTheyStand runs them in one directory. The steps at AWS are done by stand-ins: Roles
// Anywhere trusts the CA that the tutorial has made, and MinIO is the S3. Between writing the connection and testing
// it the test adds where the stand-ins are, and nothing else.
func TestTutorial_VaultsStepsRunAsTheyStand(t *testing.T) {
	t.Parallel()
	cli, missing := exec.LookPath("aws")
	if missing == nil {
		missing = exec.Command(cli, "--version").Run()
	}
	s := &stack{t: t, minio: harness.StartMinIO(t),
		vault: harness.StartVault(t, harness.VaultOptions{PluginRace: true})}
	s.minio.MakeBucket(bucketName)
	s.api = s.vault.Client()
	dir, env := t.TempDir(), s.tutorialEnvironment()
	for _, step := range tutorialSteps(t) {
		if step.who == "AWS" {
			continue
		}
		if step.number == "10" && missing != nil {
			t.Logf("!!! the last step is NOT TESTED: this machine has no AWS CLI that runs (%v) !!!", missing)
			break
		}
		output, err := harness.Shell(t, s.vault, dir, step.script, env...)
		if err != nil {
			t.Fatalf("step %s: %v\n%s", step.number, err, output)
		}
		t.Logf("step %s:\n%s", step.number, output)
		switch step.number {
		case "5":
			s.write("config/orders", map[string]any{"rolesanywhere_endpoint": s.tutorialAWS(filepath.Join(dir,
				"ca.pem")),
				"s3_endpoint": s.minio.Endpoint(), "s3_path_style": true})
		case "7":
			assertSays(t, output, bucketName, "identity")
		case "8":
			assertSays(t, output, "session_token", "lease_id")
		case "10":
			assertSays(t, output, " "+bucketName+"\n", "session_policy")
		}
	}
}

// tutorialEnvironment holds what the tutorial takes for given, what its steps at AWS set, and where MinIO is.
func (s *stack) tutorialEnvironment() []string {
	s.t.Helper()
	program := s.vault.InstallPlugin()
	version, err := exec.Command(program, "-version").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return []string{
		"PLUGIN_DIRECTORY=" + filepath.Dir(program), "PROGRAM=" + filepath.Base(program),
		"VERSION=" + strings.Fields(string(version))[1],
		"TRUST_ANCHOR_ARN=" + trustAnchorARN, "PROFILE_ARN=" + profileARN, "ROLE_ARN=" + roleARN,
		"SCOPE_ROLE_ARN=" + roleARN + "-scopes",
		"AWS_ENDPOINT_URL_S3=" + s.minio.Endpoint(),
	}
}

// tutorialAWS starts the stand-in for Roles Anywhere, which trusts the CA in the file, and returns its address.
func (s *stack) tutorialAWS(caFile string) string {
	s.t.Helper()
	text, err := os.ReadFile(caFile)
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		s.t.Fatalf("%s holds no PEM", caFile)
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	server := rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors: []*x509.Certificate{ca},
		Vend: func(ctx context.Context, r rolesanywheretest.SessionRequest) (rolesanywheretest.Credentials, error) {
			made, err := s.minio.AssumeRole(ctx, r.Duration, "")
			return rolesanywheretest.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey,
				SessionToken: made.SessionToken}, err
		},
	})
	s.t.Cleanup(server.Close)
	return server.URL
}
