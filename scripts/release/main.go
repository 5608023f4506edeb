// Command release builds everything that a release of the plugin consists of, from the sources alone: the same sources
// and the same Go give the same bytes in any folder, on any day.
//
//	go run . -version v0.2.0 -out ../../dist/v0.2.0
//
// It needs Go and its module cache, no container engine and no archiver.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// run does what the arguments ask for, and reports its progress to log.
func run(args []string, log io.Writer) error {
	var options options
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.StringVar(&options.version, "version", "", "the version; it must be that of backend.go, which is the default")
	flags.StringVar(&options.source, "source", "../..", "the directory of the plugin's module")
	flags.StringVar(&options.out, "out", "", "the directory for the files; it must be new, or hold a release")
	chosen := flags.String("targets", "all", "which platforms to build, as os/architecture or "+
		"os/architecture/fips140, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("reading the arguments: %q is not a flag", flags.Arg(0))
	}
	if options.out == "" {
		return errors.New("reading the arguments: -out is required")
	}
	var err error
	if options.targets, err = chooseTargets(*chosen); err != nil {
		return fmt.Errorf("reading -targets: %w", err)
	}
	return options.release(log)
}

// options say what to release.
type options struct {
	version string   // empty for the version in backend.go
	source  string   // directory of the plugin's module
	out     string   // directory of the release's files
	targets []target // at least one
}

// release builds into a directory beside the final one and renames it at the end, so that what lies in the final one is
// always complete.
func (o options) release(log io.Writer) (err error) {
	version, err := sourceVersion(o.source)
	if err != nil {
		return err
	}
	if o.version != "" && o.version != version {
		return fmt.Errorf("checking the version: VERSION is %q, but backend.go says %q, which the plugin reports "+
			"to Vault; change the constant, commit it and release again", o.version, version)
	}
	out, err := filepath.Abs(o.out)
	if err != nil {
		return fmt.Errorf("finding the output directory: %w", err)
	}
	if err := replaceable(out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("making the output directory: %w", err)
	}
	partial, err := os.MkdirTemp(filepath.Dir(out), ".release-")
	if err != nil {
		return fmt.Errorf("making the output directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	if err := os.Chmod(partial, 0o755); err != nil {
		return fmt.Errorf("making the output directory: %w", err)
	}

	b := &builder{version: version, source: o.source, out: partial, targets: o.targets, log: log}
	if err := b.build(); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("replacing the earlier release: %w", err)
	}
	if err := os.Rename(partial, out); err != nil {
		return fmt.Errorf("moving the release into place: %w", err)
	}
	fmt.Fprintf(log, "release: %s is in %s\n", version, o.out)
	return nil
}

// replaceable refuses a directory that holds anything but an earlier release: it is going to be removed.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the output directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, sumsName)); err != nil {
		return fmt.Errorf("checking the output directory: %s has files but holds no release; nothing was removed", dir)
	}
	return nil
}

// builder makes the files of one release. Its methods build on each other in the order of build.
type builder struct {
	version string
	source  string
	out     string
	targets []target
	log     io.Writer
}

func (b *builder) build() error {
	for _, step := range []func() error{
		b.buildPrograms,
		b.checkReportedVersion,
		b.writeLicenses,
		b.writeArchives,
		b.writeSBOMs,
		b.writeImages,
		b.writeOpenBaoSnippets,
		b.writeSums,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) report(format string, values ...any) {
	fmt.Fprintf(b.log, "release: "+format+"\n", values...)
}

// path is that of a file of the release.
func (b *builder) path(name string) string { return filepath.Join(b.out, name) }

// fileName is the name of a file that belongs to one target: NAME_VERSION_OS_ARCHITECTURE, with fipsSuffix where it is
// for FIPS 140-3, and what follows.
func (b *builder) fileName(t target, suffix string) string {
	name := strings.Join([]string{pluginName, b.version, t.os, t.arch}, "_")
	if t.fips {
		name += fipsSuffix
	}
	return name + suffix
}
