package acceptance

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

func TestScopeChain_FenceHoldsFromRolesAnywhereToTheStore(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 0)
	s.write("config/orders", s.fields(nil))
	s.write("scopes/orders/reports", map[string]any{"role_arn": scopeRoleARN, "buckets": bucketName,
		"prefixes": "reports/", "access": "list,read"})
	creds := credentialsOf(s.read("creds/orders/reports"))
	for _, level := range []string{"list", "read", "write", "delete"} {
		for _, place := range []struct{ bucket, key string }{{bucketName, "reports/x"}, {bucketName, "reports2/x"},
			{bucketName, "public/x"}, {otherBucket, "reports/x"}} {
			want := place.bucket == bucketName && place.key == "reports/x" && (level == "list" || level == "read")
			if got := s.open(level, creds, place.bucket, place.key); got != want {
				t.Errorf("%s of %s/%s is allowed: %v, want %v", level, place.bucket, place.key, got, want)
			}
		}
	}
	if again := credentialsOf(s.read("creds/orders/reports")); again.AccessKeyID != creds.AccessKeyID ||
		s.aws.Calls() != 1 || s.sts.Calls("AssumeRole") != 1 {
		t.Errorf("two reads caused %d CreateSession and %d AssumeRole, want one each", s.aws.Calls(),
			s.sts.Calls("AssumeRole"))
	}
	tested := s.write("test/orders/reports", map[string]any{}).Data
	if tested["fence"] != "proven" || number(t, tested, "packed_policy_size") == 0 ||
		tested["identity"] != "arn:aws:sts::"+account+":assumed-role/orders-scopes/orders-reports" {
		t.Errorf("test/orders/reports = %v, want a proven fence, a size and the role's identity", tested)
	}
}

// A role that may do no more than the scope refuses outside of it by itself.
func TestScopeChain_ARolesOwnRefusalIsNotCalledAProof(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 0)
	s.write("config/orders", s.fields(nil))
	for role, want := range map[string]string{scopeRoleARN: "proven",
		limitedRoleARN: "not proven: the role itself may neither list nor read outside of the scope"} {
		s.write("scopes/orders/reports", map[string]any{"role_arn": role, "buckets": bucketName,
			"prefixes": "reports/"})
		calls := s.sts.Calls("AssumeRole")
		fence, _ := s.write("test/orders/reports", map[string]any{}).Data["fence"].(string)
		if !strings.HasPrefix(fence, want) || (fence == "proven") != (want == "proven") {
			t.Errorf("the fence of a scope with %s is %q, want %q", role, fence, want)
		}
		if made := s.sts.Calls("AssumeRole") - calls; made != 2 {
			t.Errorf("the test made %d AssumeRole, want one for the scope and one for what lies outside", made)
		}
	}
}

func TestScopeChain_AnotherAccountsRole(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 0, awstest.Role{ARN: farRoleARN, ExternalID: farID},
		awstest.Role{ARN: farRoleARN + "-untagged", DenyTagSession: true})
	s.write("config/orders", s.fields(nil))
	far := map[string]any{"role_arn": farRoleARN, "external_id": farID, "buckets": otherBucket, "prefixes": "public/",
		"session_tags": []string{"team=blue", "cost=42"}, "transitive_tag_keys": "team", "session_name": "partner-feed"}
	s.write("scopes/orders/far", far)
	read := s.read("creds/orders/far")
	creds := credentialsOf(read)
	if !s.open("read", creds, otherBucket, "public/x") || s.open("read", creds, otherBucket, "reports/x") ||
		read.Data["arn"] != "arn:aws:sts::999999999999:assumed-role/partner/partner-feed" {
		t.Errorf("the credentials of %v do not open exactly the prefix", read.Data["arn"])
	}
	sent := s.lastAssumed().Parameters
	for name, want := range map[string]string{"ExternalId": farID, "Tags.member.1.Key": "cost",
		"Tags.member.1.Value": "42", "Tags.member.2.Key": "team", "Tags.member.2.Value": "blue",
		"TransitiveTagKeys.member.1": "team", "DurationSeconds": "3600", "SourceIdentity": ""} {
		if sent.Get(name) != want {
			t.Errorf("AssumeRole was sent %s=%q, want %q", name, sent.Get(name), want)
		}
	}
	for name, row := range map[string]struct {
		change map[string]any
		says   string
	}{
		"wrong":    {map[string]any{"external_id": "another-id"}, "AssumeRole: AccessDenied"},
		"untagged": {map[string]any{"role_arn": farRoleARN + "-untagged", "external_id": ""}, "sts:TagSession"},
		"unknown":  {map[string]any{"role_arn": farRoleARN + "-none"}, "AssumeRole: AccessDenied"},
	} {
		fields := map[string]any{}
		for field, value := range far {
			fields[field] = value
		}
		for field, value := range row.change {
			fields[field] = value
		}
		s.write("scopes/orders/"+name, fields)
		assertSays(t, s.fails(http.StatusBadRequest, "creds/orders/"+name, nil), row.says)
	}
}

func TestScopeChain_LeasesAreRenewedAndRevoked(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 20*time.Minute)
	s.write("config/orders", s.fields(map[string]any{"generate_lease": false}))
	s.write("scopes/orders/reports", map[string]any{"role_arn": scopeRoleARN, "buckets": bucketName,
		"prefixes": "reports/"})
	read := s.read("creds/orders/reports")
	expiration, err := time.Parse(time.RFC3339, read.Data["expiration"].(string))
	if err != nil || read.LeaseID == "" || !read.Renewable {
		t.Fatalf("%v; the lease is %q, want a renewable one, as the scope's own generate_lease says", err, read.LeaseID)
	}
	left := time.Until(expiration) - time.Minute
	assertWithin(t, "the lease", time.Duration(read.LeaseDuration)*time.Second, left, 5*time.Second)
	renewed, err := s.api.Sys().RenewWithContext(t.Context(), read.LeaseID, 86400)
	if err != nil {
		t.Fatalf("renewing: %v", err)
	}
	assertWithin(t, "the renewed lease", time.Duration(renewed.LeaseDuration)*time.Second, left, 10*time.Second)
	if _, err := s.api.Logical().DeleteWithContext(t.Context(), "s3conn/scopes/orders/reports"); err != nil {
		t.Fatal(err)
	}
	if err := s.api.Sys().RevokeWithContext(t.Context(), read.LeaseID); err != nil {
		t.Errorf("revoking after the scope was deleted: %v", err)
	}
	if !s.open("read", credentialsOf(read), bucketName, "reports/x") {
		t.Error("the session ended with its lease")
	}
	assertSays(t, s.fails(http.StatusBadRequest, "creds/orders/reports", nil), `has no scope "reports"`)
	s.write("scopes/orders/plain", map[string]any{"buckets": bucketName, "generate_lease": false})
	if leaseless := s.read("creds/orders/plain"); leaseless.LeaseID != "" {
		t.Errorf("a lease came with generate_lease=false: %s", leaseless.LeaseID)
	}
}

func TestScopeChain_AllowUnscopedFalseLeavesScopesAlone(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 0)
	s.write("config/orders", s.fields(map[string]any{"allow_unscoped": false}))
	s.write("scopes/orders/reports", map[string]any{"buckets": bucketName, "prefixes": "reports/"})
	const says = "only through its scopes"
	refused := func() {
		t.Helper()
		assertSays(t, s.fails(http.StatusBadRequest, "creds/orders", nil), says)
		assertSays(t, s.refused("presign/orders", map[string]any{"bucket": bucketName, "key": "reports/x"}), says)
		command := []string{"read", "-format=raw", "s3conn/sdk/orders"}
		if stdout, stderr, code := harness.CLI(t, s.vault, command...); code == 0 ||
			!strings.Contains(stdout+stderr, says) {
			t.Errorf("vault %s ended with %d: %s%s", strings.Join(command, " "), code, stdout, stderr)
		}
	}
	refused()
	if s.aws.Calls() != 0 {
		t.Errorf("refused reads caused %d CreateSession", s.aws.Calls())
	}
	if !s.open("read", credentialsOf(s.read("creds/orders/reports")), bucketName, "reports/x") {
		t.Error("the scope does not open its own prefix")
	}
	stdout, stderr, code := harness.CLI(t, s.vault, "read", "-format=raw", "s3conn/sdk/orders/reports")
	var body map[string]any
	if err := json.Unmarshal([]byte(stdout), &body); err != nil || code != 0 || body["RoleArn"] != roleARN {
		t.Errorf("sdk/orders/reports ended with %d: %s%s", code, stdout, stderr)
	}
	signed := s.presign("orders/reports", map[string]any{"key": "reports/x"})
	for _, client := range urlClients(t) {
		if status, content := client.use(t, signed, nil); status != http.StatusOK || string(content) != "x" {
			t.Errorf("%s: a URL of the scope is answered with %d: %s", client.name, status, content)
		}
	}
	refused() // the connection's session is in use now, for the scope
}

func TestScopedSDK_EveryClientLivesThroughASessionChange(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, shortSession)
	s.write("config/orders", s.fields(map[string]any{"allow_unscoped": false}))
	s.write("scopes/orders/reports", map[string]any{"role_arn": scopeRoleARN, "buckets": bucketName, "duration": 900})
	clients, token := sdkClients(t), s.token("scope.hcl")
	tokenFile := filepath.Join(t.TempDir(), "vault-authorization")
	if err := os.WriteFile(tokenFile, []byte("Bearer "+token), 0o600); err != nil {
		t.Fatal(err)
	}
	granted := func() int { return s.sts.Calls("AssumeRole") }
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			env := s.exampleEnv("vault.env", "https://vault.example:8200", s.vault.Address(), "=vault-authorization",
				"="+tokenFile, "sdk/orders", "sdk/orders/reports")
			seen := client.listAcrossChange(t, granted, env)
			t.Logf("buckets listed over %d sessions of the scope, no call failed", seen)
		})
	}
}

func TestScopePolicies_EachAllowsItsPathsAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 0)
	for _, name := range []string{"orders", "others"} {
		s.write("config/"+name, s.fields(nil))
		for _, scope := range []string{"reports", "ledgers"} {
			s.write("scopes/"+name+"/"+scope, map[string]any{"buckets": bucketName, "prefixes": "reports/"})
		}
	}
	operator := []string{"scopes/orders/reports", "scopes/orders/ledgers", "scopes/orders?list=true"}
	for policy, allowed := range map[string][]string{
		"scope.hcl": {"sdk/orders/reports", "creds/orders/reports"},
		"scopes.hcl": {"sdk/orders/reports", "creds/orders/reports", "sdk/orders/ledgers", "creds/orders/ledgers",
			"scopes/orders?list=true"},
		"scopes-operator.hcl": operator,
		"creds.hcl":           {"creds/orders"}, "sdk.hcl": {"sdk/orders"},
	} {
		token := s.token(policy)
		for _, path := range []string{"sdk/orders", "creds/orders", "sdk/orders/reports", "creds/orders/reports",
			"sdk/orders/ledgers", "creds/orders/ledgers", "creds/others/reports", "scopes/orders/reports",
			"scopes/orders/ledgers", "scopes/others/reports", "scopes/orders?list=true", "scopes/others?list=true",
			"config/orders"} {
			want := http.StatusForbidden
			for _, one := range allowed {
				if one == path {
					want = http.StatusOK
				}
			}
			if status, _, body := s.get(token, path); status != want {
				t.Errorf("with %s, reading %s is HTTP %d, want %d: %s", policy, path, status, want, body)
			}
		}
		writer := s.vault.Client()
		writer.SetToken(token)
		for path, fields := range map[string]map[string]any{"scopes/orders/reports": {"duration": 1200},
			"test/orders/reports":    {},
			"presign/orders/reports": {"bucket": bucketName, "key": "reports/x"}} {
			_, err := writer.Logical().WriteWithContext(t.Context(), "s3conn/"+path, fields)
			may := policy == "scopes-operator.hcl" && !strings.HasPrefix(path, "presign/") ||
				policy == "scope.hcl" && strings.HasPrefix(path, "presign/")
			if denied := err != nil && strings.Contains(err.Error(), "permission denied"); denied == may ||
				err != nil && !denied {
				t.Errorf("with %s, writing %s: %v", policy, path, err)
			}
		}
	}
}
