package field

import (
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestRefuseUnknown_SuggestsWhatIsMeant(t *testing.T) {
	t.Parallel()
	known := []string{"region", "secret_key", "s3_endpoint"}
	for name, says := range map[string]string{
		"regoin":                     "did you mean region?",
		"Secret-Key":                 "did you mean secret_key?",
		"s3endpoint":                 "did you mean s3_endpoint?",
		"colour":                     "path-help",
		strings.Repeat("region", 30): "path-help",
	} {
		var problems problem.List
		RefuseUnknown(&problems, map[string]any{name: canary, "region": "x"}, known)
		err := problems.Err("writing", "")
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), canary) {
			t.Errorf("%.20s: %v, want words with %q", name, err, says)
		}
	}
}

func TestRefuseUnknown_NamesTenAndCountsTheOthers(t *testing.T) {
	t.Parallel()
	data := map[string]any{}
	for i := range 13 {
		data[string(rune('a'+i))+"-unknown"] = true
	}
	var problems problem.List
	RefuseUnknown(&problems, data, nil)
	err := problems.Err("writing", "")
	if err == nil || !strings.Contains(err.Error(), "and 3 more that do not exist") ||
		strings.Contains(err.Error(), "k-unknown") {
		t.Errorf("13 unknown fields: %v", err)
	}
}
