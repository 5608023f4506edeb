package field

import (
	"maps"
	"slices"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

const (
	maxUnknown = 10  // unknown fields that an error names
	maxName    = 128 // bytes of a name for which a similar one is searched
)

// RefuseUnknown adds the fields of data that are not among the known names to problems: a misspelt field must not
// look as if it had been obeyed.
func RefuseUnknown(problems *problem.List, data map[string]any, known []string) {
	unknown := slices.DeleteFunc(slices.Sorted(maps.Keys(data)), func(name string) bool {
		return slices.Contains(known, name)
	})
	for i, name := range unknown {
		if i == maxUnknown {
			problems.Add("...", "and %d more that do not exist", len(unknown)-maxUnknown)
			return
		}
		if similar := mostSimilar(name, known); similar != "" {
			problems.Add(problem.Quote(name), "there is no such field; did you mean %s?", similar)
		} else {
			problems.Add(problem.Quote(name), "there is no such field; the fields are in the path's help (vault "+
				"path-help)")
		}
	}
}

// mostSimilar finds the known name that differs only in case, dashes or at most two letters.
func mostSimilar(name string, known []string) string {
	if len(name) > maxName {
		return ""
	}
	plain := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	best, distance := "", 3
	for _, candidate := range known {
		if d := editDistance(plain, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// editDistance is the number of bytes to insert, delete or replace to make b of a (Levenshtein's distance).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
