package docs

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestContributing_HasAReasonForEveryDependency compares CONTRIBUTING.md with what the modules of the work tree require
// themselves, and with the tools that they pin.
func TestContributing_HasAReasonForEveryDependency(t *testing.T) {
	t.Parallel()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*go.mod")
	list.Dir = top
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, "CONTRIBUTING.md")
	found := 0
	for name := range bytes.SplitSeq(bytes.TrimSuffix(output, []byte{0}), []byte{0}) {
		for _, path := range requirements(read(t, string(name))) {
			found++
			if !named(text, path) {
				t.Errorf("CONTRIBUTING.md has no reason for %s, which %s names", path, name)
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d requirements were found", found)
	}
}

// requirements are the modules of others that a go.mod requires directly, and the packages of its tools.
func requirements(gomod string) (paths []string) {
	directive := ""
	for line := range strings.Lines(gomod) {
		line = strings.TrimSpace(line)
		switch fields := strings.Fields(line); {
		case line == ")":
			directive = ""
		case len(fields) == 2 && fields[1] == "(":
			directive = fields[0]
		case len(fields) >= 2 && (fields[0] == "require" || fields[0] == "tool"):
			paths = append(paths, ofOthers(fields[1], line)...)
		case len(fields) >= 1 && (directive == "require" || directive == "tool"):
			paths = append(paths, ofOthers(fields[0], line)...)
		}
	}
	return paths
}

func ofOthers(path, line string) []string {
	if strings.HasSuffix(line, "// indirect") || strings.HasPrefix(path, "github.com/s3conn/") {
		return nil
	}
	return []string{path}
}

// named says whether the text names the module, or for a tool the module of its package. "github.com/" is left out
// there, and of the SDK's modules after the first in a row all but the end.
func named(text, path string) bool {
	path = regexp.MustCompile(`/cmd/.*$`).ReplaceAllString(strings.TrimPrefix(path, "github.com/"), "")
	if part, found := strings.CutPrefix(path, "aws/aws-sdk-go-v2/"); found && strings.Contains(text, "`.../"+part+"`") {
		return true
	}
	return strings.Contains(text, "`"+path+"`")
}

func TestRequirements_AreFoundAndNamed(t *testing.T) {
	t.Parallel()
	gomod := "module m\n\ntool example.org/x/cmd/y\n\nrequire github.com/a/b v1\n\nrequire (\n\tc.org/d v1\n" +
		"\te.org/f v1 // indirect\n\tgithub.com/s3conn/g v0\n)\n"
	if got := strings.Join(requirements(gomod), " "); got != "example.org/x/cmd/y github.com/a/b c.org/d" {
		t.Errorf("requirements: %s", got)
	}
	text := "`example.org/x`, `a/b`, `.../service/s3`"
	for path, want := range map[string]bool{"example.org/x/cmd/y": true, "github.com/a/b": true, "c.org/d": false,
		"github.com/aws/aws-sdk-go-v2/service/s3": true, "github.com/aws/aws-sdk-go-v2/service/iam": false} {
		if got := named(text, path); got != want {
			t.Errorf("%s is named: %t, want %t", path, got, want)
		}
	}
}
