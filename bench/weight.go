package main

import (
	"context"
	"debug/elf"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// weight is how many bytes of symbols each module brings into a program: code and data, without the tables for the
// debugger and the runtime, which grow with them.
type weight map[string]int64

// weigh builds the program once more with its symbols and adds them up by module.
func weigh(ctx context.Context, p program, into string) (weight, error) {
	modules, err := modulesOf(ctx, p)
	if err != nil {
		return nil, err
	}
	unstripped := filepath.Join(into, p.name+"-symbols")
	if err := goBuild(ctx, p, unstripped); err != nil {
		return nil, err
	}
	file, err := elf.Open(unstripped)
	if err != nil {
		return nil, fmt.Errorf("reading %s (this needs Linux): %w", p.name, err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		return nil, fmt.Errorf("reading the symbols of %s: %w", p.name, err)
	}
	w := weight{}
	for _, symbol := range symbols {
		// Zeroed memory takes no room in the file; indexes past the sections mean none.
		if i := int(symbol.Section); i < len(file.Sections) && file.Sections[i].Type != elf.SHT_NOBITS {
			w.add(symbol.Name, int64(symbol.Size), modules)
		}
	}
	return w, nil
}

func (w weight) add(symbol string, size int64, modules map[string]string) {
	module, known := modules[packageOf(symbol)]
	if !known {
		module = "the linker's own (types, strings, tables)"
	}
	w[module] += size
}

// packageOf cuts a symbol's name down to its package: what stands before the first dot after the last slash that is not
// in a type argument.
func packageOf(symbol string) string {
	symbol, _, _ = strings.Cut(symbol, "[")
	symbol, _, _ = strings.Cut(symbol, "(")
	start := strings.LastIndexByte(symbol, '/') + 1
	name, _, _ := strings.Cut(symbol[start:], ".")
	// The linker writes a dot in a path's last element as %2e: gopkg.in/yaml%2ev3.
	return strings.ReplaceAll(symbol[:start]+name, "%2e", ".")
}

// modulesOf maps the program's packages to their modules.
func modulesOf(ctx context.Context, p program) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}",
		p.target)
	cmd.Dir = p.directory
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages of %s: %w", p.name, err)
	}
	modules := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, module, _ := strings.Cut(strings.TrimSpace(line), " ")
		if module == "" {
			module = "the standard library"
		}
		modules[path] = module
	}
	modules["main"] = "the program's own"
	return modules, nil
}

// excess is what one program has over another, by module, the largest first.
func excess(of, over weight) []string {
	names := slices.Collect(maps.Keys(of))
	more := func(name string) int64 { return of[name] - over[name] }
	slices.SortFunc(names, func(a, b string) int { return int(more(b) - more(a)) })
	return slices.DeleteFunc(names, func(name string) bool { return more(name) < minimalExcess })
}

// minimalExcess is what is worth a line in the report, in bytes.
const minimalExcess = 16 << 10
