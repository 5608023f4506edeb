package acceptance

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// TestKubernetesOperators_AnswersFollowTheirRules holds a real server's answers against what the operators of the
// examples make of an answer, as their documents and sources say it. They themselves do not run here.
//
//   - Vault Secrets Operator renews a lease at two thirds of its time and stops for good where one is not renewable;
//     without a lease it reads again after refreshAfter; with allowStaticCreds it wants last_vault_rotation as
//     RFC 3339, and rotation_period and ttl as whole numbers.
//   - External Secrets and the CSI provider take single fields by their names, and a text or a number of each.
//
// https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso/sources/vault
// https://external-secrets.io/latest/api/generator/vault/
// https://developer.hashicorp.com/vault/docs/deploy/kubernetes/csi
func TestKubernetesOperators_AnswersFollowTheirRules(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	s.write("config/leaseless", s.fields(map[string]any{"generate_lease": false}))
	_, fields := newKeyUser(t, awstest.Options{})
	s.write("config/archive", fields)
	leased, leaseless, static := s.read("creds/orders"), s.read("creds/leaseless"), s.read("creds/archive")

	s.assertRenewable("the lease", leased)
	renewed, err := s.api.Sys().RenewWithContext(t.Context(), leased.LeaseID, leased.LeaseDuration)
	if err != nil {
		t.Fatalf("renewing for as long as the lease was: %v", err)
	}
	s.assertRenewable("the renewed lease", renewed)
	if renewed.LeaseDuration > leased.LeaseDuration {
		t.Errorf("a lease of %d s is renewed for %d s", leased.LeaseDuration, renewed.LeaseDuration)
	}
	for name, read := range map[string]*api.Secret{"a session": leaseless, "an access key": static} {
		if read.LeaseID != "" || read.Renewable || read.LeaseDuration != 0 {
			t.Errorf("%s without a lease comes with the lease %q of %d s", name, read.LeaseID, read.LeaseDuration)
		}
	}
	if leaseless.Data["rotation_period"] != nil || leaseless.Data["last_vault_rotation"] != nil {
		t.Error("a session would be taken for static credentials")
	}
	assertStatic(t, static)
	for name, read := range map[string]*api.Secret{"leaseless": leaseless, "static": static} {
		assertTakenByName(t, name, read)
	}
}

// assertRenewable is what keeps an operator renewing.
func (s *sessionStack) assertRenewable(what string, read *api.Secret) {
	s.t.Helper()
	if read.LeaseID == "" || !read.Renewable || read.LeaseDuration < 1 {
		s.t.Errorf("%s is %q, renewable %t, of %d s", what, read.LeaseID, read.Renewable, read.LeaseDuration)
	}
}

func assertStatic(t *testing.T, read *api.Secret) {
	t.Helper()
	text, _ := read.Data["last_vault_rotation"].(string)
	if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
		t.Errorf("last_vault_rotation: %v", err)
	}
	period, ttl := number(t, read.Data, "rotation_period"), number(t, read.Data, "ttl")
	if period < 1 || ttl < 1 || ttl > period {
		t.Errorf("rotation_period is %d s, and ttl %d s", period, ttl)
	}
}

// assertTakenByName looks for every field that the examples name.
func assertTakenByName(t *testing.T, what string, read *api.Secret) {
	t.Helper()
	s := &stack{t: t}
	named := 0
	for file, field := range map[string]string{
		"external-secrets.yaml": `\{\{ \.(\w+) \}\}`,
		"csi-provider.yaml":     `secretKey: (\w+)`,
		"agent-injector.yaml":   `\{\{ \.Data\.(\w+) \}\}`,
	} {
		for _, found := range regexp.MustCompile(field).FindAllStringSubmatch(s.exampleText("kubernetes", file), -1) {
			named++
			if value, given := read.Data[found[1]]; !given && (found[1] != "expiration" || what != "static") {
				t.Errorf("%s names %s, which the %s answer does not have: %v", file, found[1], what, value)
			}
		}
	}
	if named < 9 {
		t.Errorf("the examples name %d fields", named)
	}
	for name, value := range read.Data {
		switch value.(type) {
		case string, json.Number:
		default:
			t.Errorf("%s of the %s answer is neither a text nor a number", name, what)
		}
	}
}
