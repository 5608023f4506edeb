package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The acceptance tests run the commands of renewal.md as they stand, so that those of the README are tested too.
func TestREADME_FiveCommandsAreThoseOfRenewal(t *testing.T) {
	t.Parallel()
	renewal, err := os.ReadFile("renewal.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(renewal), "```console\n")
	commands, _, found := strings.Cut(after, "```")
	if !found || strings.Count(commands, "$ ") != 5 ||
		!strings.Contains(string(readme), "```console\n"+commands+"```") {
		t.Errorf("the README does not have these five commands:\n%s", commands)
	}
}
