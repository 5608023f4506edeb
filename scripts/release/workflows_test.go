package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rhysd/actionlint"
)

// TestWorkflows_AreValid checks syntax, types of expressions and names of events; the commands in them are not run.
func TestWorkflows_AreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(source, ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflow was found: %v", err)
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.LintFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range found {
		t.Errorf("%s: %s", filepath.Base(problem.Filepath), problem.Error())
	}
}

// TestWorkflows_BuildWithOneGo compares the versions of Go that releases and images are built with: another gives other
// bytes, and go.mod names the oldest that will do.
func TestWorkflows_BuildWithOneGo(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(source, ".github", "workflows", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	versions, named := map[string]bool{}, 0
	for _, file := range append(files, filepath.Join(source, "packaging", "Containerfile")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pattern := regexp.MustCompile(`(?m)(?:go-version: "|^ARG GO_VERSION=)(\d+\.\d+\.\d+)`)
		for _, found := range pattern.FindAllSubmatch(text, -1) {
			versions[string(found[1])] = true
			named++
		}
	}
	if len(versions) != 1 || named != 4 {
		t.Errorf("%d places name the versions %v, want one version in 4 places", named, versions)
	}
}
