// Package examples checks the examples. Those of Vault Agent, Vault Proxy, the AWS SDKs, credential_process and
// policies also run against a real Vault, in the acceptance module. The others are checked here as far as their own
// types, schemas and parsers are at hand:
//
//   - kubernetes: every document of Kubernetes itself and of External Secrets is decoded into its own type, strictly.
//     Those of Vault Secrets Operator and of the Secrets Store CSI driver are checked for syntax alone. The acceptance
//     module holds a real server's answers against what these operators expect.
//   - aws: the CloudFormation templates are given to cfn-lint where that is installed. The Terraform configuration is
//     checked for syntax, form and names that nothing declares, and has to grant what the template grants.
//   - nomad, terraform: syntax and form.
package examples

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"sigs.k8s.io/yaml"
)

// exampleFiles are the paths of all examples that end in one of the suffixes. None is an error: the test would check
// nothing.
func exampleFiles(t *testing.T, suffixes ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, suffix := range suffixes {
			if strings.HasSuffix(path, suffix) {
				found = append(found, path)
			}
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no example ends in %v: %v", suffixes, err)
	}
	return found
}

func readExample(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHCL_ParsesAndIsFormatted(t *testing.T) {
	t.Parallel()
	for _, path := range exampleFiles(t, ".hcl", ".tf") {
		checkHCL(t, path, readExample(t, path))
	}
}

// checkHCL parses and compares with what the formatter makes of the text.
func checkHCL(t *testing.T, name string, text []byte) {
	t.Helper()
	if _, diagnostics := hclparse.NewParser().ParseHCL(text, name); diagnostics.HasErrors() {
		t.Errorf("%s: %v", name, diagnostics)
		return
	}
	if !bytes.Equal(hclwrite.Format(text), text) {
		t.Errorf("%s is not formatted", name)
	}
}

func TestYAML_HasNoKeyTwice(t *testing.T) {
	t.Parallel()
	for _, path := range exampleFiles(t, ".yaml") {
		for i, document := range documents(readExample(t, path)) {
			var content any
			if err := yaml.UnmarshalStrict(document, &content); err != nil {
				t.Errorf("%s, document %d: %v", path, i+1, err)
			}
		}
	}
}

// documents splits a file of YAML documents.
func documents(text []byte) [][]byte {
	var found [][]byte
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		if len(bytes.TrimSpace(document)) > 0 {
			found = append(found, document)
		}
	}
	return found
}
