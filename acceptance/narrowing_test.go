package acceptance

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

// guideSection is a section of a document with its blocks of code by language. Of console the commands are left: what
// follows "$ ", up to the next "$ ".
type guideSection struct {
	title string
	code  map[string]string
}

func guideSections(t *testing.T, document string) []guideSection {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var sections []guideSection
	language, fenced := "", false
	for line := range strings.Lines(string(text)) {
		title, isTitle := strings.CutPrefix(line, "## ")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced, language = !fenced, strings.TrimSpace(line[3:])
		case fenced && len(sections) > 0:
			sections[len(sections)-1].code[language] += strings.TrimPrefix(line, "$ ")
		case !fenced && isTitle:
			sections = append(sections, guideSection{strings.TrimSpace(title), map[string]string{}})
		}
	}
	return sections
}

// narrowingGuide is a stack for docs/narrowing.md. Each section has a check of what its commands have done.
type narrowingGuide struct {
	*chainStack
	dir string
}

func (g *narrowingGuide) checks() map[string]func(output string, code map[string]string) {
	return map[string]func(output string, code map[string]string){
		"A bucket and a prefix for each team":                  g.checkTeam,
		"A prefix for each user, and their name in CloudTrail": g.checkUser,
		"A role of another account":                            g.checkPartner,
		"Objects that AWS KMS encrypts":                        g.checkKMS,
		"Only from your network":                               g.checkNetwork,
		"A policy of your own":                                 g.checkOwnPolicy,
		"A URL instead of credentials":                         g.checkURL,
		"And nothing wider":                                    g.checkNothingWider,
	}
}

func TestNarrowing_EveryExampleRunsAsItStands(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"jq", "curl", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("!!! docs/narrowing.md is NOT TESTED: this machine has no %s (%v) !!!", program, err)
		}
	}
	g := newNarrowingGuide(t)
	checks, seen := g.checks(), map[string]bool{}
	for _, section := range guideSections(t, "../docs/narrowing.md") {
		check := checks[section.title]
		if check == nil || section.code["console"] == "" {
			t.Fatalf("the section %q has no commands, or this test no check of it", section.title)
		}
		output, err := harness.Shell(t, g.vault, g.dir, section.code["console"], "ANN_PASSWORD=pass-ann")
		if err != nil {
			t.Fatalf("%s: %v\n%s", section.title, err, output)
		}
		seen[section.title] = true
		check(output, section.code)
		if t.Failed() {
			t.Fatalf("%s printed\n%s", section.title, output)
		}
	}
	if len(seen) != len(checks) {
		t.Errorf("the document has the sections %v, and this test checks others too", slices.Collect(maps.Keys(seen)))
	}
}

func newNarrowingGuide(t *testing.T) *narrowingGuide {
	t.Helper()
	g := &narrowingGuide{newChainStack(t, 0, awstest.Role{ARN: farRoleARN, ExternalID: farID}), t.TempDir()}
	root := g.minio.RootCredentials()
	for bucket, keys := range map[string][]string{
		"analytics":    {"teams/blue/x", "teams/blue-green/x", "teams/blue/today.csv"},
		"home":         {"users/ann/x", "users/bob/x"},
		"partner-feed": {"outgoing/x", "incoming/x"},
	} {
		g.minio.MakeBucket(bucket)
		for _, key := range keys {
			g.put(root, bucket, key)
		}
	}
	_, err := g.minio.Client(root).PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("analytics"),
		Key: aws.String("tagged"), Tagging: aws.String("public=yes")})
	if err != nil {
		t.Fatal(err)
	}
	g.write("config/orders", g.fields(nil))
	if err := g.api.Sys().EnableAuthWithOptionsWithContext(t.Context(), "userpass",
		&api.EnableAuthOptions{Type: "userpass"}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.api.Logical().WriteWithContext(t.Context(), "auth/userpass/users/ann",
		map[string]any{"password": "pass-ann"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "report.csv"), []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// shown are the credentials that a vault read has printed as a table.
func shown(t *testing.T, output string) aws.Credentials {
	t.Helper()
	field := func(name string) string {
		found := regexp.MustCompile(`(?m)^` + name + ` +(\S+)$`).FindStringSubmatch(output)
		if found == nil {
			t.Fatalf("there is no %s in\n%s", name, output)
		}
		return found[1]
	}
	return aws.Credentials{AccessKeyID: field("access_key"), SecretAccessKey: field("secret_key"),
		SessionToken: field("session_token")}
}

// opens checks that exactly the levels are open at inside, and none at outside.
func (g *narrowingGuide) opens(output, bucket, inside, outside string, levels ...string) {
	g.t.Helper()
	creds := shown(g.t, output)
	for _, level := range []string{"list", "read", "write", "delete"} {
		if g.open(level, creds, bucket, inside) != slices.Contains(levels, level) ||
			g.open(level, creds, bucket, outside) {
			g.t.Errorf("the credentials do not have exactly %v at %s/%s and nothing at %s (%s)", levels, bucket, inside,
				outside, level)
		}
	}
}

// allows asks the evaluator about the latest session's policy.
func (g *narrowingGuide) allows(r iamtest.Request) bool {
	g.t.Helper()
	policy, err := iamtest.Parse(g.lastAssumed().Parameters.Get("Policy"))
	if err != nil {
		g.t.Fatal(err)
	}
	return policy.Allows(r)
}

func (g *narrowingGuide) checkTeam(output string, _ map[string]string) {
	assertSays(g.t, output, "proven")
	g.opens(output, "analytics", "teams/blue/x", "teams/blue-green/x", "list", "read", "write")
}

func (g *narrowingGuide) checkUser(output string, _ map[string]string) {
	g.opens(output, "home", "users/ann/x", "users/bob/x", "list", "read", "write", "delete")
	sent := g.lastAssumed().Parameters
	if sent.Get("RoleSessionName") != "ann" || sent.Get("Tags.member.1.Key") != "team" ||
		sent.Get("Tags.member.1.Value") != "blue" {
		g.t.Errorf("AssumeRole was called with %v", sent)
	}
}

func (g *narrowingGuide) checkPartner(output string, code map[string]string) {
	g.opens(output, "partner-feed", "outgoing/x", "incoming/x", "list", "read")
	if sent := g.lastAssumed().Parameters; sent.Get("RoleArn") != farRoleARN || sent.Get("ExternalId") != farID {
		g.t.Errorf("AssumeRole was called with %v", sent)
	}
	if !json.Valid([]byte(code["json"])) {
		g.t.Errorf("the trust policy is not JSON: %s", code["json"])
	}
}

func (g *narrowingGuide) checkKMS(string, map[string]string) {
	key := "arn:aws:kms:us-east-1:" + account + ":key/0a1b2c3d-1111-2222-3333-444455556666"
	through := map[string]string{"kms:ViaService": "s3.us-east-1.amazonaws.com"}
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
		if !g.allows(iamtest.Request{Action: action, Resource: key, Context: through}) ||
			g.allows(iamtest.Request{Action: action, Resource: key}) ||
			g.allows(iamtest.Request{Action: action, Resource: key + "0", Context: through}) {
			g.t.Errorf("%s is not allowed for this key and for S3 alone", action)
		}
	}
	if !g.allows(iamtest.Object("s3:PutObject", "aws", "sealed", "2026/x", nil)) {
		g.t.Error("writing is not allowed")
	}
}

func (g *narrowingGuide) checkNetwork(string, map[string]string) {
	for want, contexts := range map[bool][]map[string]string{
		true:  {{"aws:SourceVpce": "vpce-0123456789abcdef0"}, {"aws:SourceIp": "203.0.113.7"}},
		false: {{"aws:SourceVpce": "vpce-0123456789abcdef1"}, {"aws:SourceIp": "203.0.114.7"}, nil},
	} {
		for _, context := range contexts {
			read := iamtest.Object("s3:GetObject", "aws", "analytics", "teams/blue/x", context)
			if got := g.allows(read); got != want {
				g.t.Errorf("from %v a read is allowed: %v, want %v", context, got, want)
			}
		}
	}
}

func (g *narrowingGuide) checkOwnPolicy(output string, _ map[string]string) {
	creds := shown(g.t, output)
	if !g.open("read", creds, "analytics", "tagged") || g.open("read", creds, "analytics", "teams/blue/x") {
		g.t.Error("the policy does not open exactly what has the tag")
	}
}

func (g *narrowingGuide) checkURL(output string, code map[string]string) {
	if output != "x" {
		g.t.Errorf("curl printed %q, want what today.csv holds", output)
	}
	g.stored("teams/blue/report.csv", "a,b\n1,2\n")
	program := `import { readFileSync } from "node:fs";` + "\n" + code["js"] +
		`await send(JSON.parse(readFileSync("put.json")).data, "c,d\n3,4\n");`
	command := exec.CommandContext(g.t.Context(), "node", "--input-type=module", "--eval", program)
	command.Dir = g.dir
	if output, err := command.CombinedOutput(); err != nil {
		g.t.Fatalf("sending with fetch: %v\n%s", err, output)
	}
	g.stored("teams/blue/report.csv", "c,d\n3,4\n")
}

// stored checks an object in the bucket analytics.
func (g *narrowingGuide) stored(key, want string) {
	g.t.Helper()
	object, err := g.minio.Client(g.minio.RootCredentials()).GetObject(g.t.Context(),
		&s3.GetObjectInput{Bucket: aws.String("analytics"), Key: &key})
	if err != nil {
		g.t.Fatal(err)
	}
	defer object.Body.Close()
	content, err := io.ReadAll(object.Body)
	if err != nil || string(content) != want || aws.ToString(object.ContentType) != "text/csv" {
		g.t.Errorf("%s is %q of type %s, %v; want %q", key, content, aws.ToString(object.ContentType), err, want)
	}
}

func (g *narrowingGuide) checkNothingWider(string, map[string]string) {
	assertSays(g.t, g.fails(http.StatusBadRequest, "creds/orders", nil), "only through its scopes")
	g.read("creds/orders/team-blue")
}
