package rolesanywhere_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const modulePath = "github.com/s3conn/vault-plugin-s3conn/rolesanywhere"

// program is the least that a program does with the library.
const program = `package main

import (
	"fmt"

	"` + modulePath + `"
)

func main() {
	_, err := rolesanywhere.ParseCertificates(nil)
	fmt.Println(err)
}
`

// TestModule_ProgramGetsNoVaultModule builds a program that requires this module and nothing else, and reads its module
// graph: whoever wants AWS credentials must not download Vault.
func TestModule_ProgramGetsNoVaultModule(t *testing.T) {
	t.Parallel()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Fatalf("this test builds a program and needs the go command on PATH: %v", err)
	}
	module, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile("go.sum") // so that nothing has to be asked of the checksum database
	if err != nil {
		t.Fatal(err)
	}
	write("main.go", program)
	write("go.sum", string(sums))
	write("go.mod", "module example.com/program\n\ngo 1.26.0\n\nrequire "+modulePath+" v0.0.0\n\n"+
		"replace "+modulePath+" => "+module+"\n")

	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), goCommand, args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("build", "-o", filepath.Join(dir, "program"), ".")
	graph := run("list", "-m", "all")
	if !strings.Contains(graph, modulePath) {
		t.Fatalf("the program's module graph lacks the library:\n%s", graph)
	}
	for line := range strings.Lines(graph) {
		if strings.Contains(line, "hashicorp") || strings.HasPrefix(line, "github.com/s3conn/vault-plugin-s3conn ") {
			t.Errorf("a program that imports only the library gets module %s", strings.TrimSpace(line))
		}
	}
}
