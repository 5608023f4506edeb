package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// checkModules reads which cryptographic module each program was linked with, as "go version -m" shows it, and asks
// those that run here for it.
func checkModules(t *testing.T, dir string, files map[string][]byte, version string) {
	for suffix, fips := range map[string]bool{
		"_linux_amd64": false, "_windows_amd64.exe": false, "_linux_amd64_fips140": true,
	} {
		program := filepath.Join(dir, "vault-plugin-s3conn_"+version+suffix)
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]string{}
		for _, setting := range info.Settings {
			settings[setting.Key] = setting.Value
		}
		linked := strings.HasPrefix(settings["GOFIPS140"], "v1.0.0-")
		switchedOn := strings.Contains(settings["DefaultGODEBUG"], "fips140=on")
		if linked != fips || switchedOn != fips {
			t.Errorf("%s was built with GOFIPS140=%q and DefaultGODEBUG=%q", filepath.Base(program),
				settings["GOFIPS140"], settings["DefaultGODEBUG"])
		}
		sbom := files[filepath.Base(strings.TrimSuffix(program, ".exe"))+sbomSuffix]
		if named := bytes.Contains(sbom, []byte("env:GOFIPS140")); len(sbom) == 0 || named != fips {
			t.Errorf("the SBOM of %s names the module: %t", filepath.Base(program), named)
		}
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" || strings.HasSuffix(suffix, ".exe") {
			continue
		}
		checkModuleInUse(t, program, fips)
	}
}

// checkModuleInUse starts the program, which then checks the module's integrity and its algorithms.
func checkModuleInUse(t *testing.T, program string, fips bool) {
	t.Helper()
	for setting, says := range map[string]string{
		"":             "FIPS 140-3 module v1.0.0)",
		"fips140=only": "FIPS 140-3 module v1.0.0, enforced)",
	} {
		if setting != "" && !fips {
			continue
		}
		asked := exec.Command(program, "-version")
		asked.Env = append(os.Environ(), "GODEBUG="+setting)
		output, err := asked.CombinedOutput()
		if err != nil || strings.Contains(string(output), says) != fips {
			t.Errorf("with GODEBUG=%q %s prints %q, %v", setting, filepath.Base(program), output, err)
		}
	}
}
