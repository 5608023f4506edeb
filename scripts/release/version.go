package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// versionPattern is that of a semantic version with its v, without build metadata: a tag of a container image has no
// "+".
//
// https://semver.org
var versionPattern = regexp.MustCompile(`^v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

// sourceVersion returns the version that the plugin reports to Vault: the constant Version of backend.go is the one
// place that says it. The changelog has to have a section for it.
func sourceVersion(source string) (string, error) {
	path := filepath.Join(source, "backend.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return "", fmt.Errorf("reading the version: %w", err)
	}
	version, err := versionConstant(file)
	if err != nil {
		return "", fmt.Errorf("reading the version: %w", err)
	}
	if !versionPattern.MatchString(version) {
		return "", fmt.Errorf("reading the version: backend.go's %q is not of the form v1.2.3 or v1.2.3-rc1", version)
	}
	changelog, err := os.ReadFile(filepath.Join(source, "CHANGELOG.md"))
	if err != nil {
		return "", fmt.Errorf("reading the changelog: %w", err)
	}
	// A candidate is described under the version that it is a candidate for.
	section, _, _ := strings.Cut(version, "-")
	if !regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(section) + `\b`).Match(changelog) {
		return "", fmt.Errorf("checking the changelog: CHANGELOG.md has no section %q", "## "+section)
	}
	return version, nil
}

func versionConstant(file *ast.File) (string, error) {
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			constant := spec.(*ast.ValueSpec)
			if len(constant.Names) != 1 || constant.Names[0].Name != "Version" || len(constant.Values) != 1 {
				continue
			}
			if literal, ok := constant.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				return strconv.Unquote(literal.Value)
			}
		}
	}
	return "", errors.New(`backend.go has no constant of the form Version = "v1.2.3"`)
}
