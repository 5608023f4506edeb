package s3conn

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// The framework's own error quotes a value of the wrong type, so no field of any path may reach it undecoded.
func TestIntake_FieldsOfEveryPathAreDecodedBeforeTheFrameworkSeesThem(t *testing.T) {
	t.Parallel()
	captures := regexp.MustCompile(`\(\?P<([a-z_]+)>`)
	b, storage, log := fuzzMount(t)
	for _, path := range b.Paths {
		captured := map[string]bool{}
		for _, group := range captures.FindAllStringSubmatch(path.Pattern, -1) {
			captured[group[1]] = true
		}
		concrete := concretePath(path.Pattern)
		if b.Route(concrete) != path {
			t.Errorf("%s is not the path of %q", concrete, path.Pattern)
			continue
		}
		for name := range path.Fields {
			if captured[name] {
				continue
			}
			for op := range path.Operations {
				req := &logical.Request{Operation: op, Path: concrete, Storage: storage,
					Data: map[string]any{name: map[string]any{"a": []any{planted}}}}
				resp, err := b.HandleRequest(t.Context(), req)
				if text := fmt.Sprint(resp, err, log.String()); strings.Contains(text, planted) {
					t.Errorf("%s of %s quotes %s: %s", op, concrete, name, text)
				}
			}
		}
	}
}

// concretePath is a path that the pattern matches: every named group holds an x.
func concretePath(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		if pattern[i] != '(' {
			b.WriteByte(pattern[i])
			i++
			continue
		}
		depth := 0
		for ; i < len(pattern); i++ {
			switch pattern[i] {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				break
			}
		}
		b.WriteByte('x')
		i++
	}
	return strings.Trim(strings.NewReplacer("?", "", "$", "", "^", "").Replace(b.String()), "/")
}
