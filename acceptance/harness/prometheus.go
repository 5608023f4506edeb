package harness

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var (
	prometheusBinary = sync.OnceValues(func() (string, error) { return serverBinary("prometheus", "PROMETHEUS_BIN") })
	promtoolBinary   = sync.OnceValues(func() (string, error) { return serverBinary("promtool", "PROMTOOL_BIN") })
)

// Prometheus is a real Prometheus server.
type Prometheus struct {
	t    testing.TB
	port int
	proc *process
}

// StartPrometheus starts a Prometheus with the configuration, an absolute file name. It returns once the server answers
// queries, and before it has scraped anything.
func StartPrometheus(t testing.TB, configFile string) *Prometheus {
	t.Helper()
	dir := t.TempDir()
	p := &Prometheus{t: t, port: FreePort(t)}
	p.proc = startProcess(t, processSpec{
		name: "prometheus",
		path: mustBinary(t, prometheusBinary),
		args: []string{"--config.file=" + configFile, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			fmt.Sprintf("--web.listen-address=127.0.0.1:%d", p.port)},
		env: cleanEnv(dir), dir: dir, logPath: filepath.Join(dir, "prometheus.log"),
	})
	waitFor(t, "Prometheus to be ready", p.ready, p.proc)
	return p
}

// Address is the server's URL, without a trailing slash.
func (p *Prometheus) Address() string { return fmt.Sprintf("http://127.0.0.1:%d", p.port) }

// Client takes no proxy from the environment.
func (p *Prometheus) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: requestTimeout}
}

func (p *Prometheus) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Address()+"/-/ready", nil)
	if err != nil {
		return err
	}
	resp, err := p.Client().Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/-/ready answers %d", resp.StatusCode)
	}
	return nil
}

// Promtool runs Prometheus's own tool with the text on its standard input, and returns what it printed. It fails the
// test when the tool finds fault.
func Promtool(t testing.TB, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), mustBinary(t, promtoolBinary), args...)
	cmd.Env, cmd.Stdin = cleanEnv(t.TempDir()), stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
	return string(out)
}
