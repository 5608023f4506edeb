package acceptance

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"go.yaml.in/yaml/v3"
)

// TestExamples_AreSyntacticallyRight parses every example; those of Agent, Proxy, SDKs and policies are also run, elsewhere.
func TestExamples_AreSyntacticallyRight(t *testing.T) {
	t.Parallel()
	parsed := map[string]int{}
	err := filepath.WalkDir(examplePath(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		kind := filepath.Ext(path)
		switch kind {
		case ".hcl", ".tf":
			if _, diagnostics := hclparse.NewParser().ParseHCL(text, path); diagnostics.HasErrors() {
				t.Errorf("%s: %v", path, diagnostics)
			}
		case ".yaml":
			parseYAML(t, path, text)
		}
		parsed[kind]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{".hcl", ".tf", ".yaml", ".env", ".ctmpl"} {
		if parsed[kind] == 0 {
			t.Errorf("no example ending in %s was found", kind)
		}
	}
}

// parseYAML reads each document, and the HCL that a ConfigMap carries.
func parseYAML(t *testing.T, path string, text []byte) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document struct {
			APIVersion string            `yaml:"apiVersion"`
			Kind       string            `yaml:"kind"`
			Data       map[string]string `yaml:"data"`
		}
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || document.APIVersion == "" || document.Kind == "" {
			t.Errorf("%s: a document of kind %q does not parse: %v", path, document.Kind, err)
			return
		}
		for name, content := range document.Data {
			if !strings.HasSuffix(name, ".hcl") {
				continue
			}
			if _, diagnostics := hclparse.NewParser().ParseHCL([]byte(content), name); diagnostics.HasErrors() {
				t.Errorf("%s: %s: %v", path, name, diagnostics)
			}
		}
	}
}
