package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// buildTimeout is generous: the AWS engine takes minutes when nothing is in Go's build cache.
const buildTimeout = 20 * time.Minute

// program is one plugin's program.
type program struct {
	name      string // of the file, and in Vault's catalog
	directory string // of its module, from this one
	target    string // its package
	path      string
	sum       string   // SHA-256, in hex
	size      int64    // in bytes, stripped
	env       []string // for its process, beside Vault's own
}

var (
	oursProgram     = program{name: "vault-plugin-s3conn", directory: "..", target: "./cmd/vault-plugin-s3conn"}
	floorProgram    = program{name: "vault-plugin-floor", directory: ".", target: "./floor"}
	profiledProgram = program{name: "vault-plugin-s3conn-profiled", directory: ".", target: "./profiled"}
	// The module that builds the Vault server pins the AWS engine's version too.
	awsProgram = program{name: "vault-plugin-aws", directory: filepath.Join("..", "scripts", "servers", "vault"),
		target: "github.com/hashicorp/vault/builtin/logical/aws/cmd/aws"}
)

// plugins are what is compared, and the directory that they are in.
type plugins struct {
	floor, ours, aws program
	dir              string
}

func (p plugins) all() []program { return []program{p.floor, p.ours, p.aws} }

// buildPlugins builds below bin/, which git ignores.
func buildPlugins(ctx context.Context, o options) (plugins, error) {
	dir, err := filepath.Abs(filepath.Join("..", "bin", "bench"))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // Vault wants none on the way
	}
	if err != nil {
		return plugins{}, fmt.Errorf("making the plugins' directory: %w", err)
	}
	built := plugins{floor: floorProgram, ours: oursProgram, aws: awsProgram, dir: dir}
	if o.profile != "" {
		built.ours = profiledProgram
	}
	wanted := []*program{&built.floor, &built.ours, &built.aws}
	if o.connections > 0 {
		wanted = []*program{&built.ours}
	}
	for _, p := range wanted {
		say("building %s", p.name)
		if *p, err = p.build(ctx, dir); err != nil {
			return plugins{}, err
		}
	}
	return built, nil
}

// build builds the program as a release is built, into the directory, and returns it with its path, sum and size.
func (p program) build(ctx context.Context, into string) (program, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	p.path = filepath.Join(into, p.name)
	if err := goBuild(ctx, p, p.path, "-ldflags", "-s -w"); err != nil {
		return program{}, err
	}
	file, err := os.Open(p.path)
	if err != nil {
		return program{}, fmt.Errorf("reading %s: %w", p.name, err)
	}
	defer file.Close()
	hash := sha256.New()
	if p.size, err = io.Copy(hash, file); err != nil {
		return program{}, fmt.Errorf("reading %s: %w", p.name, err)
	}
	p.sum = hex.EncodeToString(hash.Sum(nil))
	return p, nil
}

func goBuild(ctx context.Context, p program, output string, options ...string) error {
	arguments := append([]string{"build", "-trimpath", "-o", output}, options...)
	cmd := exec.CommandContext(ctx, "go", append(arguments, p.target)...)
	cmd.Dir = p.directory
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s (this runs in bench/): %w\n%s", p.name, err, out)
	}
	return nil
}
