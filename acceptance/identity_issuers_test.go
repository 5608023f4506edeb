package acceptance

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

func harnessJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pkiRoot gives the server's PKI engine a CA.
func pkiRoot(s *stack) *x509.Certificate {
	s.t.Helper()
	output, err := harness.Shell(s.t, s.vault, s.t.TempDir(), `
vault secrets enable pki
vault secrets tune -max-lease-ttl=720h pki
vault write -field=certificate pki/root/generate/internal common_name="orders CA" ttl=720h >/dev/null
`)
	if err != nil {
		s.t.Fatalf("giving the PKI engine a CA: %v\n%s", err, output)
	}
	secret, err := s.api.Logical().ReadWithContext(s.t.Context(), "pki/cert/ca")
	if err != nil {
		s.t.Fatal(err)
	}
	return leafOf(s.t, secret.Data["certificate"])
}

// vaultIssuer runs the example as it stands and returns the issuer and the one-time token.
func (s *identityStack) vaultIssuer() (issuer map[string]any, token string) {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(examplePath("renewal"))); err != nil {
		s.t.Fatal(err)
	}
	if output, err := harness.Shell(s.t, s.vault, dir, "bash vault-pki.sh"); err != nil {
		s.t.Fatalf("running examples/renewal/vault-pki.sh: %v\n%s", err, output)
	}
	text, err := os.ReadFile(filepath.Join(dir, "token.txt"))
	if err != nil {
		s.t.Fatal(err)
	}
	ca, err := os.ReadFile(s.vault.CAFile())
	if err != nil {
		s.t.Fatal(err)
	}
	return map[string]any{
		"type": "vault_pki", "address": s.vault.Address(), "ca_cert": string(ca), "cert_auth_role": "s3conn-renewal",
		"pki_path": "pki", "pki_role": "s3conn",
	}, strings.TrimSpace(string(text))
}

func TestIdentity_VaultsPKIWithCertAuth(t *testing.T) {
	t.Parallel()
	onEachServer(t, identityServer(), identityVaultsPKI)
}

func identityVaultsPKI(t *testing.T, server harness.VaultOptions) {
	s := newIdentityStackOn(t, server, pkiRoot)
	issuer, token := s.vaultIssuer()
	s.lives(issuer, map[string]any{"token": token})

	// The token signed once, and no login is left.
	assertSays(t, s.refused("identity/orders/renew", map[string]any{"token": token}), "HTTP 403", "permission denied")
	accessors, err := s.api.Logical().ListWithContext(t.Context(), "auth/token/accessors")
	if err != nil {
		t.Fatal(err)
	}
	if left := accessors.Data["keys"].([]any); len(left) != 1 {
		t.Errorf("%d tokens are left beside the root's", len(left)-1)
	}

	// Lifetimes below Vault's minute of periodic calls: two and a half minutes, renewed for the first half of it.
	issuer["key"], issuer["ttl"], issuer["renew_before"] = "new", "120s", ""
	s.write("identity/orders/issuer", issuer)
	s.renew(nil)
	issuer["renew_before"] = "140s"
	s.write("identity/orders/issuer", issuer)
	s.renewsItself(2, 3*time.Minute)
	s.vault.KillPlugin()
	s.eventuallyReads()
	s.renewsItself(1, 4*time.Minute) // after a kill -9 it goes on

	issuer["pki_role"], issuer["renew_before"], issuer["ttl"] = "other", "", "24h"
	s.write("identity/orders/issuer", issuer)
	s.stays("signing with pki/sign/other", "permission denied")
	issuer["cert_auth_role"] = "nobody"
	s.write("identity/orders/issuer", issuer)
	s.stays("logging in with the current certificate")
}

func TestIdentity_ESTServer(t *testing.T) {
	t.Parallel()
	ca := harness.NewIssuingCA(t)
	server := harness.StartEST(t, ca)
	s := newIdentityStack(t, func(*stack) *x509.Certificate { return ca.Root })
	issuer := map[string]any{"type": "est", "address": server.Address(), "ca_cert": ca.RootPEM()}
	s.lives(issuer, map[string]any{"username": "CANARY-of-the-user", "password": "CANARY-of-the-password"})
	if chain := s.read("identity/orders").Data["certificate"].(string); strings.Count(chain, "BEGIN CERTIFICATE") != 2 {
		t.Errorf("the chain is not the leaf and its intermediate:\n%s", chain)
	}
	issuer["common_name"] = "another"
	s.write("identity/orders/issuer", issuer)
	s.stays("simplereenroll", "HTTP 4") // a renewal keeps its subject
	delete(issuer, "common_name")
	s.write("identity/orders/issuer", issuer)
	server.Kill()
	s.stays("refused the connection")
}

func TestIdentity_StepCA(t *testing.T) {
	t.Parallel()
	ca := harness.NewIssuingCA(t)
	server := harness.StartStepCA(t, ca, 24*time.Hour)
	s := newIdentityStack(t, func(*stack) *x509.Certificate { return ca.Root })
	issuer := map[string]any{"type": "step_ca", "address": server.Address(), "ca_cert": ca.RootPEM(),
		"dns_sans": "orders"}
	token := server.Token("orders")
	s.lives(issuer, map[string]any{"token": token})
	assertSays(t, s.refused("identity/orders/renew", map[string]any{"token": token}), "sign: ", "HTTP 401")
	server.Kill()
	s.stays("refused the connection")
}

// The five commands of docs/renewal.md, as they stand there, with the ARNs and addresses of the test.
func TestIdentity_FiveCommands(t *testing.T) {
	t.Parallel()
	ca := harness.NewIssuingCA(t)
	s := newIdentityStack(t, func(*stack) *x509.Certificate { return ca.Root })
	text, err := os.ReadFile(filepath.Join("..", "docs", "renewal.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```console\n")
	block, _, _ := strings.Cut(after, "```")
	script := strings.ReplaceAll("\n"+block, "\n$ ", "\n")
	settings := "profile_arn=" + profileARN + " role_arn=" + roleARN + " trust_anchor_arn=" + trustAnchorARN +
		" rolesanywhere_endpoint=" + s.aws.URL + " s3_endpoint=" + s.minio.Endpoint() + " s3_path_style=true"
	with := strings.Replace(script, "profile_arn=... role_arn=... trust_anchor_arn=...", settings, 1)
	if with == script || strings.Count(block, "\n$ ") != 4 {
		t.Fatalf("docs/renewal.md does not begin with five commands:\n%s", block)
	}
	dir := t.TempDir()
	ca.WriteRoot(t, dir)
	if output, err := harness.Shell(t, s.vault, dir, with); err != nil {
		t.Fatalf("running the commands of docs/renewal.md: %v\n%s", err, output)
	}
	s.mustListBuckets(credentialsOf(s.read("creds/orders")))
	if n := s.aws.Calls(); n != 1 {
		t.Errorf("%d sessions were requested", n)
	}
	s.vault.ReloadPlugin(pluginName)
	s.mustListBuckets(credentialsOf(s.read("creds/orders")))
	if n := s.aws.Calls(); n != 1 {
		t.Errorf("%d sessions were requested after a reload", n)
	}
}

// Whoever gives connections their certificates reads neither keys nor credentials.
func TestIdentity_PolicyOfWhoGivesCertificates(t *testing.T) {
	t.Parallel()
	ca := harness.NewIssuingCA(t)
	s := newIdentityStack(t, func(*stack) *x509.Certificate { return ca.Root })
	s.write("config/orders", s.bare())
	s.api.SetToken(s.token("renewal.hcl"))
	csr := s.write("identity/orders/csr", map[string]any{"common_name": "orders"}).Data["csr"].(string)
	block, _ := pem.Decode([]byte(csr))
	if block == nil {
		t.Fatal("no request")
	}
	s.write("identity/orders/certificate", map[string]any{"certificate": ca.Sign(t, block.Bytes)})
	if _, err := s.api.Logical().ReadWithContext(t.Context(), "s3conn/creds/orders"); err == nil {
		t.Error("the policy for certificates reads credentials")
	}
}
