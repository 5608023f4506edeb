package acceptance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

func monitoringFile(name string) string { return filepath.Join("..", "monitoring", name) }

// alertRules is what is used of Prometheus's format for rules.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

func readAlertRules(t *testing.T) alertRules {
	t.Helper()
	text, err := os.ReadFile(monitoringFile("alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	if len(rules.Groups) == 0 || len(rules.Groups[0].Rules) == 0 {
		t.Fatal("there are no alert rules")
	}
	return rules
}

func TestMonitoring_RulesPassPromtool(t *testing.T) {
	t.Parallel()
	harness.Promtool(t, nil, "check", "rules", "--lint=all", "--lint-fatal", monitoringFile("alerts.yml"))
	harness.Promtool(t, nil, "test", "rules", monitoringFile("alerts_test.yml"))
	// It names the file of a token, which is not on this machine.
	harness.Promtool(t, nil, "check", "config", "--syntax-only", monitoringFile("prometheus.yml"))
}

func TestMonitoring_EveryRuleIsTestedAndHasARunbook(t *testing.T) {
	t.Parallel()
	tests, err := os.ReadFile(monitoringFile("alerts_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	operations, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllSubmatch(operations, -1) {
		headings[strings.ReplaceAll(strings.ToLower(string(found[1])), " ", "-")] = true
	}
	for _, rule := range readAlertRules(t).Groups[0].Rules {
		page, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
		if !strings.HasSuffix(page, "/docs/operations.md") || !headings[anchor] {
			t.Errorf(
				"%s has the runbook %q, which is no heading of docs/operations.md",
				rule.Alert,
				rule.Annotations["runbook_url"],
			)
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s lacks a severity, a summary or a description", rule.Alert)
		}
		// It fires in a test, and does not in another case.
		if strings.Count(string(tests), "alertname: "+rule.Alert+"\n") < 2 {
			t.Errorf("%s is tested less than twice", rule.Alert)
		}
	}
}
