package main

import (
	"slices"
	"testing"
)

func TestPackageOf_CutsSymbols(t *testing.T) {
	t.Parallel()
	for symbol, want := range map[string]string{
		"runtime.mallocgc": "runtime",
		"github.com/hashicorp/vault/sdk/framework.(*Backend).HandleRequest": "github.com/hashicorp/vault/sdk/framework",
		"gopkg.in/yaml%2ev3.Unmarshal":                                      "gopkg.in/yaml.v3",
		"slices.SortFunc[go.shape.[]github.com/x/y.T]":                      "slices",
		"main.main": "main",
		"go:func.*": "go:func",
	} {
		if got := packageOf(symbol); got != want {
			t.Errorf("packageOf(%q) = %q, want %q", symbol, got, want)
		}
	}
}

func TestWeight_AddsByModule(t *testing.T) {
	t.Parallel()
	modules := map[string]string{"runtime": "the standard library", "sort": "the standard library",
		"x.org/m/p": "x.org/m"}
	w := weight{}
	w.add("runtime.mallocgc", 100, modules)
	w.add("sort.Sort", 20, modules)
	w.add("x.org/m/p.(*T).M", 3, modules)
	w.add("type:.eq.x", 4, modules)
	if w["the standard library"] != 120 || w["x.org/m"] != 3 || len(w) != 3 {
		t.Errorf("weights are %v", w)
	}
}

func TestExcess_LargestFirst(t *testing.T) {
	t.Parallel()
	of := weight{"small": minimalExcess - 1, "large": 1 << 20, "medium": 1 << 19, "shared": 1 << 21, "less": 5}
	over := weight{"shared": 1 << 21, "less": 1 << 20}
	if got := excess(of, over); !slices.Equal(got, []string{"large", "medium"}) {
		t.Errorf("excess = %v, want large and medium", got)
	}
}
