package harness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// EST is a real server of Enrollment over Secure Transport: GlobalSign's estserver. It looks at no password; a renewal
// needs the certificate before it.
type EST struct {
	t    testing.TB
	port int
	dir  string
	ca   *IssuingCA
	proc *process
}

// StartEST starts an EST server that signs with the CA.
func StartEST(t testing.TB, ca *IssuingCA) *EST {
	t.Helper()
	e := &EST{t: t, port: FreePort(t), dir: t.TempDir(), ca: ca}
	ca.write(t, e.dir)
	config, err := json.Marshal(map[string]any{
		"mock_ca": map[string]any{
			"certificates": filepath.Join(e.dir, issuingChainFile), "private_key": filepath.Join(e.dir, issuingKeyFile),
		},
		"tls": map[string]any{
			"listen_address": fmt.Sprintf("127.0.0.1:%d", e.port),
			"certificates":   filepath.Join(e.dir, serverCertFile), "private_key": filepath.Join(e.dir, serverKeyFile),
			"client_cas": []string{filepath.Join(e.dir, caFile)},
		},
		"allowed_hosts": []string{"localhost", "127.0.0.1"},
		"rate_limit":    1000, "timeout": 30,
	})
	if err != nil {
		t.Fatalf("encoding the EST server's configuration: %v", err)
	}
	configFile := filepath.Join(e.dir, "est.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatalf("writing the EST server's configuration: %v", err)
	}
	e.proc = startProcess(t, processSpec{
		name: "estserver", path: mustBinary(t, estBinary), args: []string{"-config", configFile},
		env: cleanEnv(e.dir), logPath: filepath.Join(e.dir, "est.log"),
	})
	waitFor(t, "the EST server", e.ready, e.proc)
	return e
}

// Address is the server's, without a path.
func (e *EST) Address() string { return fmt.Sprintf("https://localhost:%d", e.port) }

// Log is what the server has logged.
func (e *EST) Log() string { return readLog(e.t, e.proc) }

// Kill ends the server at once.
func (e *EST) Kill() {
	e.t.Helper()
	e.proc.kill(e.t)
}

func (e *EST) ready(ctx context.Context) error {
	return answers(ctx, e.ca, e.Address()+"/.well-known/est/cacerts")
}

// answers says whether a GET is answered with 200 over TLS below the CA.
func answers(ctx context.Context, ca *IssuingCA, url string) error {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Root)
	client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	return nil
}

func readLog(t testing.TB, p *process) string {
	t.Helper()
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		t.Fatalf("reading the log of %s: %v", p.name, err)
	}
	return string(text)
}
