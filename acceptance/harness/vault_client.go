package harness

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Address is the server's URL, without a trailing slash.
func (v *Vault) Address() string { return fmt.Sprintf("%s://127.0.0.1:%d", v.scheme, v.port) }

// Token is the root token.
func (v *Vault) Token() string { return v.rootToken }

// CAFile is the path of the PEM certificate that the server's own chains to, for VAULT_CACERT; empty without TLS.
func (v *Vault) CAFile() string {
	if v.ca == nil {
		return ""
	}
	return filepath.Join(v.dir, caFile)
}

// Dir is the server's own directory, which holds nothing that a test writes.
func (v *Vault) Dir() string { return v.dir }

// Client returns a new client with the root token. It never retries, so that a test sees every answer, and takes no
// address, token or namespace from the environment.
func (v *Vault) Client() *api.Client {
	v.t.Helper()
	client, err := api.NewClient(&api.Config{
		Address:    v.Address(),
		HttpClient: v.httpClient(),
		Timeout:    requestTimeout,
	})
	if err != nil {
		v.t.Fatalf("making a client for %s: %v", v.Address(), err)
	}
	client.SetToken(v.rootToken)
	client.ClearNamespace()
	return client
}

// httpClient keeps no connection open: one left to a killed server would fail the first request to its successor.
func (v *Vault) httpClient() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	if v.ca != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: v.ca.pool(), MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport: watched{transport, v.contract},
		Timeout:   requestTimeout,
		// api.Client follows Vault's redirects to the active node itself.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (v *Vault) auditFile() string { return filepath.Join(v.dir, "audit.log") }
func (v *Vault) logFile() string   { return filepath.Join(v.dir, "vault.log") }

func (v *Vault) enableAudit() {
	v.t.Helper()
	err := v.Client().Sys().EnableAuditWithOptionsWithContext(v.t.Context(), "file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": v.auditFile()},
	})
	if err != nil {
		v.t.Fatalf("enabling the audit device: %v", err)
	}
}

// AuditLog is everything the audit device has written so far: one JSON object a line.
func (v *Vault) AuditLog() string {
	v.t.Helper()
	if !v.opts.Audit {
		v.t.Fatal("reading the audit log: this server was started without VaultOptions.Audit")
	}
	return v.read(v.auditFile())
}

// ServerLog is everything the server and its plugins have logged so far, at level trace, over all restarts.
func (v *Vault) ServerLog() string {
	v.t.Helper()
	return v.read(v.logFile())
}

func (v *Vault) read(path string) string {
	v.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatalf("reading a server's file: %v", err)
	}
	return string(text)
}

// checkRaces fails the test when the plugin's race detector spoke: it writes to the plugin's stderr, which Vault logs.
func (v *Vault) checkRaces() {
	log, err := os.ReadFile(v.logFile())
	if err != nil {
		v.t.Errorf("reading the server's log for data races: %v", err)
		return
	}
	if _, race, found := strings.Cut(string(log), "WARNING: DATA RACE"); found {
		v.t.Errorf("the plugin has a data race:\n%.6000s", race)
	}
}
