package s3conn

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	modulePath  = "github.com/s3conn/vault-plugin-s3conn"
	libraryPath = modulePath + "/rolesanywhere"

	awsCore = "github.com/aws/aws-sdk-go-v2/aws" // types, signer and retryer; no service
	mlDSA   = "filippo.io/mldsa"
)

// mayImport says what each internal package may import beside the standard library: its neighbours by their names in
// internal/, other modules by the beginning of the import path. Nothing imports the root but the program. A new package
// gets its row here and in ARCHITECTURE.md.
func mayImport() map[string][]string {
	return map[string][]string{
		"secret":     nil,
		"problem":    nil,
		"schedule":   nil,
		"gate":       nil,
		"budget":     nil,
		"awstest":    nil,
		"health":     {"github.com/prometheus/"},
		"field":      {"problem", "secret"},
		"session":    {"secret"},
		"network":    {"problem", "secret"},
		"upstream":   {"network", libraryPath},
		"awscall":    {"network", "secret", awsCore},
		"connection": {"field", "network", "problem", "secret", libraryPath, awsCore, mlDSA},
		"scope":      {"field", "problem", "secret"},
		"enroll":     {"field", "network", "problem", "secret", libraryPath},
		"identity":   {"connection", "enroll", "field", "network", "problem", "secret", libraryPath, mlDSA},
		"renewal":    {"enroll", "identity", "schedule"},
		"rotation":   {"schedule", "secret"},
		"source": {"awscall", "budget", "connection", "network", "rotation", "scope", "secret", "session", "upstream",
			libraryPath, awsCore},
	}
}

func TestArchitecture_PackagesImportWhatTheyMay(t *testing.T) {
	t.Parallel()
	rules := mayImport()
	dirs, err := os.ReadDir("internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		allowed, known := rules[dir.Name()]
		if !known {
			t.Errorf("internal/%s has no row in mayImport", dir.Name())
			continue
		}
		for file, imports := range importsIn(t, filepath.Join("internal", dir.Name())) {
			for _, one := range imports {
				if !permitted(one, allowed) {
					t.Errorf("%s imports %s, which package %s may not", file, one, dir.Name())
				}
			}
		}
	}
}

// permitted reports whether an import is of the standard library or has a row's entry.
func permitted(imported string, allowed []string) bool {
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true
	}
	if neighbour, isOurs := strings.CutPrefix(imported, modulePath+"/internal/"); isOurs {
		return slices.Contains(allowed, neighbour)
	}
	return slices.ContainsFunc(allowed, func(one string) bool {
		return strings.Contains(one, ".") && strings.HasPrefix(imported, one)
	})
}

func TestArchitecture_LibraryKnowsNoVault(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir("rolesanywhere", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || entry.Name() == "testdata" {
			return err
		}
		for file, imports := range importsIn(t, path) {
			for _, one := range imports {
				if strings.Contains(one, "hashicorp") ||
					strings.HasPrefix(one, modulePath) && !strings.HasPrefix(one, libraryPath) {
					t.Errorf("%s imports %s: the library is for anybody", file, one)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A path decodes, checks and responds; calls are made by what it asks.
func TestArchitecture_PathsMakeNoCalls(t *testing.T) {
	t.Parallel()
	for file, imports := range importsIn(t, ".") {
		if !strings.HasPrefix(filepath.Base(file), "path_") {
			continue
		}
		for _, forbidden := range []string{"/internal/network", "/internal/awscall"} {
			if slices.Contains(imports, modulePath+forbidden) {
				t.Errorf("%s imports %s", file, forbidden)
			}
		}
	}
}

// One process serves many mounts, so a variable that changes would be shared by them. What a package declares with
// var is a value that cannot be a constant.
func TestArchitecture_NoPackageVariableChanges(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("internal/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(dirs, ".") {
		for name, file := range parsed(t, dir, parser.SkipObjectResolution) {
			for _, spec := range variables(file) {
				for i, variable := range spec.Names {
					if variable.Name != "_" && (i >= len(spec.Values) || !staysAsItIs(variable.Name, spec.Values[i])) {
						t.Errorf("%s: the package variable %s may change", name, variable.Name)
					}
				}
			}
		}
	}
}

// staysAsItIs reports whether a package variable's value is one that code cannot help but leave as it is: the result
// of a function that makes such values, an object identifier, or an error.
func staysAsItIs(name string, value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CallExpr:
		return slices.Contains([]string{"errors.New", "regexp.MustCompile", "netip.MustParsePrefix"}, qualified(v.Fun))
	case *ast.CompositeLit:
		return qualified(v.Type) == "asn1.ObjectIdentifier"
	case *ast.UnaryExpr:
		return v.Op == token.AND && strings.HasPrefix(strings.ToLower(name), "err")
	}
	return false
}

// qualified returns the expression where it is a name of another package.
func qualified(expression ast.Expr) string {
	if selector, ok := expression.(*ast.SelectorExpr); ok {
		if of, ok := selector.X.(*ast.Ident); ok {
			return of.Name + "." + selector.Sel.Name
		}
	}
	return ""
}

func variables(file *ast.File) (specs []*ast.ValueSpec) {
	for _, declaration := range file.Decls {
		if general, ok := declaration.(*ast.GenDecl); ok && general.Tok == token.VAR {
			for _, spec := range general.Specs {
				specs = append(specs, spec.(*ast.ValueSpec))
			}
		}
	}
	return specs
}

// importsIn returns the import paths of a directory's files, tests left out.
func importsIn(t *testing.T, dir string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for name, file := range parsed(t, dir, parser.ImportsOnly) {
		for _, one := range file.Imports {
			path, err := strconv.Unquote(one.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			imports[name] = append(imports[name], path)
		}
	}
	return imports
}

func parsed(t *testing.T, dir string, mode parser.Mode) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, mode)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = file
	}
	return files
}
