package main

import (
	"strings"
	"testing"
)

func TestCheck_CountsCodeAndNotTables(t *testing.T) {
	t.Parallel()
	body := func(line string, n int) string { return strings.Repeat(line+"\n", n) }
	for name, test := range map[string]struct {
		source, fault string
	}{
		"50 lines": {"package p\nfunc f() {\n" + body("\tf()", 48) + "}\n", ""},
		"51 lines": {"package p\nfunc f() {\n" + body("\tf()", 49) + "}\n", "f has 51 lines of code"},
		"a table": {"package p\nfunc f() []int {\n\treturn []int{\n" + body("\t\t1,", 100) + "\t}\n}\n",
			""},
		"a map": {"package p\nvar m = map[int]int{\n" + body("\t// data", 100) + "}\n", ""},
		"code behind one": {"package p\nfunc f() {\n\t_ = []int{\n" + body("\t\t1,", 100) + "\t}\n" +
			body("\tf()", 47) + "}\n", "f has 51 lines of code"},
		"120 columns":         {"package p\n//" + strings.Repeat("ü", 118) + "\n", ""},
		"121 columns":         {"package p\n//" + strings.Repeat("ü", 119) + "\n", ":2: the line has 121 columns"},
		"tabs":                {"package p\nvar a = \"" + strings.Repeat("\t", 30) + "\"\n", "columns"},
		"300 lines":           {"package p\n" + body("//", 299), ""},
		"301 lines":           {"package p\n" + body("//", 300), "the file has 301 lines"},
		"what does not parse": {"package\n", "expected"},
	} {
		faults := strings.Join(check("x.go", []byte(test.source), true), "\n")
		if (test.fault == "") != (faults == "") || !strings.Contains(faults, test.fault) {
			t.Errorf("%s: the faults are %q, want %q", name, faults, test.fault)
		}
	}
}

func TestCheck_LeavesFunctionsOutWhenAskedTo(t *testing.T) {
	t.Parallel()
	long := "package p\nfunc f() {\n" + strings.Repeat("\tf()\n", 49) + "}\n"
	if faults := check("x.go", []byte(long), false); len(faults) != 0 {
		t.Errorf("the faults are %q, want none", faults)
	}
	long += "//" + strings.Repeat("a", 119) + "\n" + strings.Repeat("//\n", 300)
	faults := strings.Join(check("x.go", []byte(long), false), "\n")
	if !strings.Contains(faults, "the file has 353 lines") || !strings.Contains(faults, "the line has 121 columns") ||
		strings.Contains(faults, "lines of code") {
		t.Errorf("the faults are %q, want the file's and the line's", faults)
	}
}
