package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"go.yaml.in/yaml/v3"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/dashboard"
	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// "make picture" gives these.
var (
	pictureFile = flag.String("picture", "", "draw the dashboard into this SVG file, from what the test has scraped")
	pictureTime = flag.Duration("picture-time", 10*time.Second, "how long the mount is under load")
)

const (
	scrapeEvery = time.Second
	rateWindow  = 5 * scrapeEvery
	deniedRole  = "arn:aws:iam::" + account + ":role/denied"
)

// monitored is a mount that a real Prometheus scrapes.
type monitored struct {
	*sessionStack
	token      string // may read the metrics and nothing else
	prometheus dashboard.Prometheus
}

func newMonitored(t *testing.T) *monitored {
	t.Helper()
	m := &monitored{sessionStack: newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})}
	m.write("config/orders", m.fields(nil))
	m.write("config/denied", m.fields(map[string]any{"role_arn": deniedRole}))
	m.write("config/reports", m.rootFields())
	m.aws.Inject(rolesanywheretest.Fault{For: deniedRole, Status: http.StatusForbidden, Code: "AccessDeniedException",
		Message: "Unable to assume role for " + deniedRole})
	m.token = m.stack.token("metrics.hcl")
	server := harness.StartPrometheus(t, m.prometheusConfig())
	m.prometheus = dashboard.Prometheus{Address: server.Address(), HTTP: server.Client()}
	return m
}

// prometheusConfig is monitoring/prometheus.yml with this Vault's address and token, and a shorter interval.
func (m *monitored) prometheusConfig() string {
	m.t.Helper()
	var config struct {
		Global        map[string]any   `yaml:"global"`
		RuleFiles     []string         `yaml:"rule_files"`
		ScrapeConfigs []map[string]any `yaml:"scrape_configs"`
	}
	text, err := os.ReadFile(monitoringFile("prometheus.yml"))
	if err != nil {
		m.t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		m.t.Fatal(err)
	}
	dir := m.t.TempDir()
	tokenFile := filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte(m.token), 0o600); err != nil {
		m.t.Fatal(err)
	}
	config.Global["scrape_interval"], config.Global["evaluation_interval"] = scrapeEvery.String(), scrapeEvery.String()
	for i, name := range config.RuleFiles {
		if config.RuleFiles[i], err = filepath.Abs(monitoringFile(name)); err != nil {
			m.t.Fatal(err)
		}
	}
	job := config.ScrapeConfigs[0]
	job["scheme"] = "http"
	job["authorization"].(map[string]any)["credentials_file"] = tokenFile
	job["static_configs"].([]any)[0].(map[string]any)["targets"] = []string{
		strings.TrimPrefix(m.vault.Address(), "http://")}
	if text, err = yaml.Marshal(config); err != nil {
		m.t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
	return file
}

func (m *monitored) query(expression string) []dashboard.Series {
	m.t.Helper()
	series, err := m.prometheus.Query(m.t.Context(), expression, time.Now())
	if err != nil {
		m.t.Error(err)
	}
	return series
}

func TestMonitoring_PrometheusScrapesVault(t *testing.T) {
	t.Parallel()
	m := newMonitored(t)
	begin := time.Now()
	m.load(*pictureTime)
	harness.WaitFor(t, "five scrapes", func(context.Context) error {
		if series := m.query(`count_over_time(up{job="s3conn"}[5m]) >= 5 and up{job="s3conn"} == 1`); len(series) != 1 {
			return fmt.Errorf("%d series", len(series))
		}
		return nil
	})
	harness.WaitFor(t, "the throttled connection to recover", func(ctx context.Context) error {
		_, err := m.api.Logical().ReadWithContext(ctx, "s3conn/creds/orders")
		return err
	})
	harness.WaitFor(t, "a scrape that has seen its session", func(context.Context) error {
		if series := m.query(`s3conn_first_session_end_seconds{job="s3conn"}`); len(series) == 0 {
			return errors.New("no series")
		}
		return nil
	})
	m.checkExposition()
	m.checkStatus()
	m.checkAlerts()
	m.checkDashboard(dashboard.Window{From: begin, To: time.Now(), Step: scrapeEvery})
}

// checkExposition has Prometheus's linter look at a scrape, made with a token for nothing else.
func (m *monitored) checkExposition() {
	m.t.Helper()
	get := func(path string) (status int, body string) {
		req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, m.vault.Address()+"/v1/s3conn/"+path, nil)
		if err != nil {
			m.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+m.token)
		resp, err := m.prometheus.HTTP.Do(req)
		if err != nil {
			m.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			m.t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	status, text := get("metrics")
	if status != http.StatusOK {
		m.t.Fatalf("the scrape's status is %d: %s", status, text)
	}
	if said := harness.Promtool(m.t, strings.NewReader(text), "check", "metrics"); said != "" {
		m.t.Errorf("promtool check metrics: %s", said)
	}
	assertSays(m.t, text, `s3conn_connections{state="failing"} 1`, `s3conn_connections{state="ok"} 2`,
		`s3conn_connections_failing{activity="session"} 1`, `s3conn_first_certificate_end_seconds{renewal="none"} `)
	key := m.minio.RootCredentials().AccessKeyID
	for _, private := range []string{"orders", "reports", "arn:", account, "AKIA", key} {
		if strings.Contains(text, private) {
			m.t.Errorf("the scrape holds %q", private)
		}
	}
	for _, path := range []string{"status", "status/orders", "creds/orders", "config/orders"} {
		if status, _ := get(path); status != http.StatusForbidden {
			m.t.Errorf("the token for metrics reads %s with status %d, want 403", path, status)
		}
	}
}

// checkStatus reads what the alerts send an operator to, with a token for nothing else.
func (m *monitored) checkStatus() {
	m.t.Helper()
	operator, err := m.api.Clone()
	if err != nil {
		m.t.Fatal(err)
	}
	// The policy of the scrape's token stays as it is.
	ctx, logical := m.t.Context(), operator.Logical()
	if err := m.api.Sys().PutPolicyWithContext(ctx, "on-call", m.exampleText("policies", "status.hcl")); err != nil {
		m.t.Fatal(err)
	}
	login, err := m.api.Auth().Token().CreateWithContext(ctx, &api.TokenCreateRequest{Policies: []string{"on-call"},
		NoDefaultPolicy: true})
	if err != nil {
		m.t.Fatal(err)
	}
	operator.SetToken(login.Auth.ClientToken)
	mount, err := logical.ReadWithContext(ctx, "s3conn/status")
	if err != nil {
		m.t.Fatal(err)
	}
	one, err := logical.ReadWithContext(ctx, "s3conn/status/denied")
	if err != nil {
		m.t.Fatal(err)
	}
	list, err := logical.ListWithContext(ctx, "s3conn/status")
	if err != nil {
		m.t.Fatal(err)
	}
	if fmt.Sprint(mount.Data["failing"]) != "[denied]" || number(m.t, mount.Data, "connections") != 3 {
		m.t.Errorf("the status is %v, want denied alone to fail", mount.Data)
	}
	assertSays(m.t, fmt.Sprint(one.Data["last_failure"]), "Unable to assume role", "AccessDeniedException")
	if info, _ := list.Data["key_info"].(map[string]any); len(info) != 3 {
		m.t.Errorf("the list is %v, want three connections", list.Data)
	}
	if _, err := logical.ReadWithContext(ctx, "s3conn/creds/orders"); err == nil {
		m.t.Error("the token for statuses reads credentials")
	}
	m.t.Logf("s3conn/status: %v\ns3conn/status/denied: %v", mount.Data, one.Data)
}

// checkAlerts has the rules loaded and the connection that fails seen.
func (m *monitored) checkAlerts() {
	m.t.Helper()
	data, err := m.prometheus.Get(m.t.Context(), "rules", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, State, Health, LastError string }
		}
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		m.t.Fatal(err)
	}
	want := readAlertRules(m.t).Groups[0].Rules
	if len(answer.Groups) != 1 || len(answer.Groups[0].Rules) != len(want) {
		m.t.Fatalf("Prometheus has loaded %+v, want %d rules", answer, len(want))
	}
	for _, rule := range answer.Groups[0].Rules {
		if rule.Health != "ok" {
			m.t.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
		}
		if rule.Name == "S3ConnConnectionFailing" && rule.State == "inactive" {
			m.t.Errorf("%s does not see the connection that fails", rule.Name)
		}
	}
}

// checkDashboard runs every query of the dashboard and draws it.
func (m *monitored) checkDashboard(window dashboard.Window) {
	m.t.Helper()
	d, err := dashboard.Load(monitoringFile("grafana-dashboard.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	values := dashboard.Values{Job: "s3conn", Mount: "s3conn", Rate: rateWindow}
	for _, expression := range d.Expressions() {
		// Of what has not happened, some panels show nothing.
		if series := m.query(values.Expand(expression)); len(series) == 0 && !strings.HasSuffix(expression, "> 0") {
			m.t.Errorf("the query %s finds nothing", expression)
		}
	}
	file := *pictureFile
	if file == "" {
		file = filepath.Join(m.t.TempDir(), "dashboard.svg")
	}
	out, err := os.Create(file)
	if err != nil {
		m.t.Fatal(err)
	}
	subtitle := fmt.Sprintf("%.0f s of a real Vault under load, scraped by a real Prometheus every %s",
		window.To.Sub(window.From).Seconds(), scrapeEvery)
	if err := dashboard.Draw(m.t.Context(), out, d, m.prometheus, values, window, subtitle); err != nil {
		m.t.Error(err)
	}
	if err := out.Close(); err != nil {
		m.t.Error(err)
	}
}
