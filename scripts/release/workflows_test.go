package main

import (
	"io"
	"path/filepath"
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
