// Shape checks that Go code stays easy to read: no function over 50 lines, no line over 120 columns, no file over 300
// lines.
//
//	go run ./shape [-functions=false] DIRECTORY...
//
// It reads the Go files of the directories themselves, not of those below, and prints a line for each fault. With
// -functions=false a function may have any length. A tab counts as 4 columns. Table data does not
// count as code: of a slice's, array's or map's literal a function has the first and last line alone, and a function
// that is such a literal may be as long as the file.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	maxFunction = 50
	maxColumns  = 120
	maxFile     = 300
	tabColumns  = 4
)

func main() {
	functions := flag.Bool("functions", true, "check the length of functions too")
	flag.Parse()
	found := 0
	for _, dir := range flag.Args() {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			fmt.Fprintf(os.Stderr, "shape: there are no Go files in %s\n", dir)
			os.Exit(2)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				fmt.Fprintln(os.Stderr, "shape:", err)
				os.Exit(2)
			}
			for _, fault := range check(file, source, *functions) {
				fmt.Println(fault)
				found++
			}
		}
	}
	if found > 0 {
		os.Exit(1)
	}
}

// check returns the faults of one file, those of its functions only if functions is set.
func check(name string, source []byte, functions bool) (faults []string) {
	lines := strings.Split(strings.TrimSuffix(string(source), "\n"), "\n")
	if len(lines) > maxFile {
		faults = append(faults, fmt.Sprintf("%s: the file has %d lines; at most %d", name, len(lines), maxFile))
	}
	for i, line := range lines {
		if n := columns(line); n > maxColumns {
			faults = append(faults, fmt.Sprintf("%s:%d: the line has %d columns; at most %d", name, i+1, n, maxColumns))
		}
	}
	if !functions {
		return faults
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, bytes.NewReader(source), 0)
	if err != nil {
		return append(faults, err.Error())
	}
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Body == nil {
			continue
		}
		if n := codeLines(files, function); n > maxFunction {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines of code; at most %d",
				files.Position(function.Pos()), function.Name.Name, n, maxFunction))
		}
	}
	return faults
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabColumns-1)
}

// codeLines is the length of a function from its declaration to its closing brace, less the lines inside of table data.
func codeLines(files *token.FileSet, function *ast.FuncDecl) int {
	line := func(pos token.Pos) int { return files.Position(pos).Line }
	n := line(function.End()) - line(function.Pos()) + 1
	ast.Inspect(function.Body, func(node ast.Node) bool {
		literal, ok := node.(*ast.CompositeLit)
		if !ok || !isTable(literal) {
			return true
		}
		if inside := line(literal.Rbrace) - line(literal.Lbrace) - 1; inside > 0 {
			n -= inside
		}
		return false
	})
	return n
}

func isTable(literal *ast.CompositeLit) bool {
	switch literal.Type.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}
