package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licensesName is the file with the text of the license of everything that any of the programs links.
const licensesName = "THIRD_PARTY_LICENSES.txt"

// licenseFile matches the names of files that a license or a notice that has to go with it stands in.
var licenseFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// linkedModule is a module of which a program links packages. Packages of the plugin's own source tree are not among
// them.
type linkedModule struct {
	path, version, dir string
	packages           map[string]bool // directories of the linked packages
}

func (b *builder) writeLicenses() error {
	modules, err := b.linkedModules()
	if err != nil {
		return fmt.Errorf("collecting licenses: %w", err)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s links these modules. Their licenses follow, each file once per module.\n\n",
		pluginName, b.version)
	for _, m := range modules {
		fmt.Fprintf(&text, "  %s %s\n", m.path, m.version)
	}
	for _, m := range modules {
		files, err := m.licenseFiles()
		if err != nil {
			return fmt.Errorf("collecting licenses: %s: %w", m.path, err)
		}
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(m.dir, f))
			if err != nil {
				return fmt.Errorf("collecting licenses: %s: %w", m.path, err)
			}
			title := fmt.Sprintf("%s %s: %s", m.path, m.version, filepath.ToSlash(f))
			fmt.Fprintf(&text, "\n%s\n%s\n\n%s\n", title, strings.Repeat("=", len(title)), bytes.TrimSpace(content))
		}
	}
	if err := os.WriteFile(b.path(licensesName), text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("collecting licenses: %w", err)
	}
	return nil
}

// listedPackage is what "go list -json" says about a package.
type listedPackage struct {
	ImportPath, Dir string
	Standard        bool
	Module          *struct {
		Path, Version, Dir string
		Replace            *struct{ Path, Version string }
	}
}

// linkedModules are those of all targets together, sorted by path, with Go's standard library first.
func (b *builder) linkedModules() ([]linkedModule, error) {
	found := map[string]linkedModule{}
	for _, t := range b.targets {
		output, err := b.goCommand(t, "list", "-deps", "-json=ImportPath,Dir,Standard,Module", pluginPackage)
		if err != nil {
			return nil, err
		}
		for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
			var p listedPackage
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading the list of packages: %w", err)
			}
			if p.Module == nil || p.Module.Version == "" || p.Module.Replace != nil && p.Module.Replace.Version == "" {
				continue // the standard library, the plugin itself, and modules inside its source tree
			}
			m, known := found[p.Module.Path]
			if !known {
				m = linkedModule{p.Module.Path, p.Module.Version, p.Module.Dir, map[string]bool{}}
				found[m.path] = m
			}
			m.packages[p.Dir] = true
		}
	}
	goLicense, err := b.standardLibrary()
	if err != nil {
		return nil, err
	}
	sorted := slices.SortedFunc(maps.Values(found), func(a, b linkedModule) int { return cmp.Compare(a.path, b.path) })
	return append([]linkedModule{goLicense}, sorted...), nil
}

// standardLibrary stands for Go's own code.
func (b *builder) standardLibrary() (linkedModule, error) {
	output, err := b.goCommand(b.targets[0], "env", "GOROOT", "GOVERSION")
	if err != nil {
		return linkedModule{}, err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	return linkedModule{"Go's standard library", strings.TrimSpace(version), root, map[string]bool{root: true}}, nil
}

// licenseFiles are those in the directories from each linked package up to the module's root, relative to it. A
// module without any is an error: nobody could hand the program on.
func (m linkedModule) licenseFiles() ([]string, error) {
	dirs := map[string]bool{m.dir: true}
	for dir := range m.packages {
		for ; dir != m.dir; dir = filepath.Dir(dir) {
			if relative, err := filepath.Rel(m.dir, dir); err != nil || strings.HasPrefix(relative, "..") {
				return nil, fmt.Errorf("%s is not inside the module's directory", dir)
			}
			dirs[dir] = true
		}
	}
	var files []string
	for dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			name := entry.Name()
			if !entry.Type().IsRegular() || !licenseFile.MatchString(name) || strings.HasSuffix(name, ".go") {
				continue
			}
			relative, err := filepath.Rel(m.dir, filepath.Join(dir, name))
			if err != nil {
				return nil, err
			}
			files = append(files, relative)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the module has no license file")
	}
	slices.Sort(files)
	return files, nil
}
