package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// source is the plugin's module.
const source = "../.."

// TestRelease_TwoFoldersGiveTheSameBytes builds two platforms, one of them for FIPS 140-3 too, in two copies of the
// work tree, and looks into what comes out.
func TestRelease_TwoFoldersGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	version, err := sourceVersion(source)
	if err != nil {
		t.Fatal(err)
	}
	// A program of its own, as in a release: the race detector makes packing ten times slower.
	program := filepath.Join(t.TempDir(), "release")
	if _, err := command(".", nil, "go", "build", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	var outs [2]string
	var failures [2]error
	var builds sync.WaitGroup
	for i, name := range []string{"one", "another-folder/with a longer name"} {
		work := filepath.Join(t.TempDir(), name)
		copyWorkTree(t, work)
		outs[i] = filepath.Join(t.TempDir(), "dist")
		builds.Go(func() {
			_, failures[i] = command(".", nil, program, "-source", work, "-out", outs[i], "-version", version,
				"-targets", "linux/amd64,windows/amd64,linux/amd64/fips140")
		})
	}
	builds.Wait()
	if err := errors.Join(failures[:]...); err != nil {
		t.Fatal(err)
	}
	one, another := readDir(t, outs[0]), readDir(t, outs[1])
	if len(one) != len(another) {
		t.Errorf("one folder gives %d files, the other %d", len(one), len(another))
	}
	for name := range one {
		if !bytes.Equal(one[name], another[name]) {
			t.Errorf("%s differs between the folders", name)
		}
	}
	t.Run("sums", func(t *testing.T) { checkSums(t, one) })
	t.Run("archives", func(t *testing.T) { checkArchives(t, one, version) })
	t.Run("sbom", func(t *testing.T) { checkSBOM(t, outs[0], one, version) })
	t.Run("licenses", func(t *testing.T) { checkLicenses(t, one) })
	for _, variant := range []string{"", fipsSuffix} {
		t.Run("image"+variant, func(t *testing.T) { checkImage(t, one, version, variant) })
		t.Run("openbao"+variant, func(t *testing.T) { checkOpenBaoSnippet(t, one, version, variant) })
	}
	t.Run("module", func(t *testing.T) { checkModules(t, outs[0], one, version) })
}

// copyWorkTree copies the files that git knows or would add, so that the test judges what a commit of the work tree
// would build.
func copyWorkTree(t *testing.T, to string) {
	t.Helper()
	listed, err := command(source, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(source, name))
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, filepath.Join(to, name), data)
	}
}

func writeTestFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func readDir(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = data
	}
	return files
}

func checkSums(t *testing.T, files map[string][]byte) {
	summed := 0
	for line := range strings.Lines(string(files[sumsName])) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if data, found := files[name]; !found || fmt.Sprintf("%x", sha256.Sum256(data)) != sum {
			t.Errorf("%q is not the sum of a file of the release", line)
		}
		summed++
	}
	if summed != len(files)-1 {
		t.Errorf("%d of %d files are summed", summed, len(files)-1)
	}
}

func checkArchives(t *testing.T, files map[string][]byte, version string) {
	for _, variant := range []string{"", fipsSuffix} {
		program := "vault-plugin-s3conn_" + version + "_linux_amd64" + variant
		compressed, err := gzip.NewReader(bytes.NewReader(files[program+".tar.gz"]))
		if err != nil {
			t.Fatal(err)
		}
		packed := untar(t, compressed)
		if !bytes.Equal(packed[program], files[program]) || len(files[program]) == 0 {
			t.Errorf("%s.tar.gz does not hold the bare program", program)
		}
		if len(packed["LICENSE"]) == 0 || !bytes.Equal(packed[licensesName], files[licensesName]) {
			t.Errorf("%s.tar.gz lacks licenses", program)
		}
	}
	program := "vault-plugin-s3conn_" + version + "_windows_amd64"
	zipped, err := zip.NewReader(bytes.NewReader(files[program+".zip"]), int64(len(files[program+".zip"])))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := zipped.Open(program + ".exe")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(entry); err != nil || !bytes.Equal(data, files[program+".exe"]) || len(data) == 0 {
		t.Errorf("the zip does not hold the bare program: %v", err)
	}
}

func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func checkImage(t *testing.T, files map[string][]byte, version, variant string) {
	dir := t.TempDir()
	for name, data := range untar(t, bytes.NewReader(files["vault-plugin-s3conn_"+version+variant+"_image.tar"])) {
		writeTestFile(t, filepath.Join(dir, name), data)
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Errorf("the layout is not valid: %v", err)
	}
	index := onlyIndex(t, top, version)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Platform.String() != "linux/amd64" {
		t.Fatalf("the image is for %v", manifest.Manifests)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x  linux/amd64%s\n", sha256.Sum256(raw), strings.Replace(variant, "_", "/", 1))
	if got := string(files["vault-plugin-s3conn_"+version+variant+"_image_ids.txt"]); got != want {
		t.Errorf("the image's ID is given as %q, want %q", got, want)
	}
	extracted := mutate.Extract(image)
	defer extracted.Close()
	contents := untar(t, extracted)
	// Where OpenBao and Vault look for the program.
	program := contents[strings.TrimPrefix(config.Config.Entrypoint[0], "/")]
	if !bytes.Equal(program, files["vault-plugin-s3conn_"+version+"_linux_amd64"+variant]) || len(program) == 0 {
		t.Errorf("the image's entrypoint %q is not the bare program", config.Config.Entrypoint)
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(contents["etc/ssl/certs/ca-certificates.crt"]) {
		t.Errorf("the image has no trust store")
	}
}

// onlyIndex returns the one entry of a layout, which has to be named after the version.
func onlyIndex(t *testing.T, top v1.ImageIndex, version string) v1.ImageIndex {
	t.Helper()
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	held := manifest.Manifests
	if len(held) != 1 || held[0].Annotations["org.opencontainers.image.ref.name"] != version {
		t.Fatalf("the layout holds %v", held)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func checkOpenBaoSnippet(t *testing.T, files map[string][]byte, version, variant string) {
	program := "vault-plugin-s3conn_" + version + "_linux_amd64" + variant
	text := string(files[program+"_openbao.hcl"])
	for _, want := range []string{
		`plugin "secret" "vault-plugin-s3conn" {`,
		fmt.Sprintf(`version     = "%s"`, version),
		fmt.Sprintf(`sha256sum   = "%x"`, sha256.Sum256(files[program])),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("OpenBao's stanza lacks %s:\n%s", want, text)
		}
	}
}
