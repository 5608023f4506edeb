package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeSource(t *testing.T, backend, changelog string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"backend.go": backend, "CHANGELOG.md": changelog} {
		writeTestFile(t, filepath.Join(dir, name), []byte(text))
	}
	return dir
}

func TestSourceVersion_IsTheConstantOfBackendGo(t *testing.T) {
	t.Parallel()
	constant := func(version string) string { return "package p\n\nconst Version = \"" + version + "\"\n" }
	for _, c := range []struct {
		name, backend, changelog, version, err string
	}{
		{"alone", constant("v1.2.3"), "## v1.2.3\n", "v1.2.3", ""},
		{"in a group", "package p\n\nconst (\n\tVersion = \"v0.10.0\"\n)\n", "## v0.10.0 (new)\n", "v0.10.0", ""},
		{"a candidate", constant("v1.2.3-rc.1"), "## v1.2.3\n", "v1.2.3-rc.1", ""},
		{"no constant", "package p\n\nvar Version = \"v1.2.3\"\n", "## v1.2.3\n", "", "backend.go has no constant"},
		{"without its v", constant("1.2.3"), "## 1.2.3\n", "", `"1.2.3" is not of the form`},
		{"build metadata", constant("v1.2.3+ent"), "## v1.2.3\n", "", `"v1.2.3+ent" is not of the form`},
		{"not in the changelog", constant("v1.2.3"), "## v1.2.30\n", "", `CHANGELOG.md has no section "## v1.2.3"`},
		{"not Go", "Version", "", "", "reading the version"},
	} {
		version, err := sourceVersion(writeSource(t, c.backend, c.changelog))
		asExpected := err == nil && c.err == "" || err != nil && c.err != "" && strings.Contains(err.Error(), c.err)
		if version != c.version || !asExpected {
			t.Errorf("%s: %q, %v; want %q and an error with %q", c.name, version, err, c.version, c.err)
		}
	}
}

func TestRun_RefusesBeforeItBuilds(t *testing.T) {
	t.Parallel()
	dir := writeSource(t, "package p\n\nconst Version = \"v1.2.3\"\n", "## v1.2.3\n")
	occupied := t.TempDir()
	writeTestFile(t, filepath.Join(occupied, "thesis.txt"), []byte("years of work"))
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		name string
		args []string
		err  string
	}{
		{"another version", []string{"-out", out, "-version", "v1.2.4"}, `"v1.2.4", but backend.go says "v1.2.3"`},
		{"a directory with other files", []string{"-out", occupied}, "holds no release; nothing was removed"},
		{"no output directory", nil, "-out is required"},
		{"an unknown platform", []string{"-out", out, "-targets", "linux/arm,plan9/386"}, `"plan9/386" is not one of`},
		{"FIPS 140-3 where it is not built", []string{"-out", out, "-targets", "darwin/arm64/fips140"},
			`"darwin/arm64/fips140" is not one of`},
		{"a platform twice", []string{"-out", out, "-targets", "linux/arm,linux/arm"}, `"linux/arm" is given twice`},
		{"no platform", []string{"-out", out, "-targets", ""}, `"" is not one of`},
		{"words", []string{"-out", out, "v1.2.3"}, `"v1.2.3" is not a flag`},
	} {
		err := run(append([]string{"-source", dir}, c.args...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.err)
		}
	}
	if _, err := os.Stat(filepath.Join(occupied, "thesis.txt")); err != nil {
		t.Errorf("the other file is gone: %v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a refused release left its output directory: %v", err)
	}
}

func TestLicenseFiles_AreThoseOnTheWayToEveryPackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"LICENSE.md", "license.go", "a/NOTICE", "a/b/COPYING", "a/c/LICENSE", "unlinked/LICENSE", "a/b/licenses.txt",
	} {
		writeTestFile(t, filepath.Join(dir, name), nil)
	}
	m := linkedModule{path: "example.org/m", dir: dir, packages: map[string]bool{filepath.Join(dir, "a", "b"): true}}
	files, err := m.licenseFiles()
	if got := strings.Join(files, " "); err != nil || filepath.ToSlash(got) != "LICENSE.md a/NOTICE a/b/COPYING" {
		t.Errorf("%q, %v", got, err)
	}
	m = linkedModule{path: "example.org/m", dir: filepath.Join(dir, "a", "b"), packages: map[string]bool{dir: true}}
	if _, err := m.licenseFiles(); err == nil || !strings.Contains(err.Error(), "not inside the module's directory") {
		t.Errorf("a package outside its module: %v", err)
	}
	bare := linkedModule{path: "example.org/bare", dir: t.TempDir()}
	if _, err := bare.licenseFiles(); err == nil || !strings.Contains(err.Error(), "has no license file") {
		t.Errorf("a module without license: %v", err)
	}
}

// TestContainerfile_BuildsAsTheReleaseDoes compares the two places that say how a program is built.
func TestContainerfile_BuildsAsTheReleaseDoes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../packaging/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, argument := range append(buildArguments(), targets()[0].environment()[2:]...) {
		if !strings.Contains(string(text), argument) {
			t.Errorf("packaging/Containerfile does not contain %q", argument)
		}
	}
}
