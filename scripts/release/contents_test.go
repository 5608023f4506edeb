package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func checkSBOM(t *testing.T, dir string, files map[string][]byte, version string) {
	program := "vault-plugin-s3conn_" + version + "_linux_amd64"
	bom, err := decodeSBOM(files[program+sbomSuffix])
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, c := range *bom.Components {
		listed[c.Name] = c.Version
	}
	library := modulePath + "/rolesanywhere"
	purl := "pkg:golang/" + library + "@" + version + "?"
	if listed[library] != version || !bytes.Contains(files[program+sbomSuffix], []byte(purl)) {
		t.Errorf("the SBOM gives %s the version %q", library, listed[library])
	}
	if bom.Metadata.Component.Version != version {
		t.Errorf("the SBOM is for version %q", bom.Metadata.Component.Version)
	}
	if !bytes.Contains(files[program+sbomSuffix], fmt.Appendf(nil, "%x", sha256.Sum256(files[program]))) {
		t.Errorf("the SBOM does not name the program's sum")
	}
	// The test's own list: what "go version -m" says about the program.
	output, err := exec.Command("go", "version", "-m", filepath.Join(dir, program)).Output()
	if err != nil {
		t.Fatal(err)
	}
	dependencies := 0
	for line := range strings.Lines(string(output)) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "dep" {
			dependencies++
			if _, found := listed[fields[1]]; !found {
				t.Errorf("the SBOM lacks %s %s", fields[1], fields[2])
			}
		}
	}
	if dependencies < 10 || listed["std"] == "" {
		t.Errorf("the program has %d dependencies, and the SBOM names Go %q", dependencies, listed["std"])
	}
}

func checkLicenses(t *testing.T, files map[string][]byte) {
	text := string(files[licensesName])
	for _, want := range []string{
		"Go's standard library", "Copyright 2009 The Go Authors",
		"github.com/hashicorp/vault/sdk ", "Mozilla Public License",
		"github.com/aws/aws-sdk-go-v2 ", "Apache License",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not contain %q", licensesName, want)
		}
	}
}
