package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	modulePath    = "github.com/s3conn/vault-plugin-s3conn"
	pluginName    = "vault-plugin-s3conn"
	pluginPackage = "./cmd/vault-plugin-s3conn"
)

// buildArguments are the same as those of packaging/Containerfile: whoever builds there gets the same bytes. Paths
// and the state of the repository are left out of the program, and so are its symbol table and debugging data.
func buildArguments() []string {
	return []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}
}

func (b *builder) buildPrograms() error {
	for _, t := range b.targets {
		b.report("building for %s", t)
		program := b.path(b.fileName(t, t.programSuffix()))
		if _, err := b.goCommand(t, append(buildArguments(), "-o", program, pluginPackage)...); err != nil {
			return fmt.Errorf("building for %s: %w", t, err)
		}
		// What "go build" gives the file depends on the builder's umask.
		if err := os.Chmod(program, 0o755); err != nil {
			return fmt.Errorf("building for %s: %w", t, err)
		}
	}
	return nil
}

// checkReportedVersion runs the programs of this machine's platform, where they are among those built.
func (b *builder) checkReportedVersion() error {
	for _, t := range b.targets {
		if t.os != runtime.GOOS || t.arch != runtime.GOARCH {
			continue
		}
		output, err := exec.Command(b.path(b.fileName(t, t.programSuffix())), "-version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("asking the program for its version: %w: %s", err, output)
		}
		if want := pluginName + " " + b.version + " "; !bytes.HasPrefix(output, []byte(want)) {
			return fmt.Errorf("asking the program for its version: it prints %q, not %q", output, want)
		}
		if reports := bytes.Contains(output, []byte("FIPS 140-3 module "+fipsModule)); reports != t.fips {
			return fmt.Errorf("asking the program for %s for its cryptographic module: it prints %q", t, output)
		}
	}
	return nil
}

// goCommand runs the go command in the plugin's module for a target and returns its standard output.
func (b *builder) goCommand(t target, args ...string) ([]byte, error) {
	return command(b.source, t.environment(), "go", args...)
}

// command runs a program in dir, with settings added to the environment, and returns its standard output. What it
// says on standard error becomes part of the error.
func command(dir string, settings []string, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), settings...)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
