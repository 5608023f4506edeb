package s3conn

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// scopeFields is a valid scope of a connection with Roles Anywhere.
func scopeFields(changes ...map[string]any) map[string]any {
	return changed(map[string]any{"buckets": "analytics", "prefixes": []any{"reports/"}}, changes)
}

func (m *mount) writeScopeOf(name, scopeName string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(logical.UpdateOperation, scopesPath+name+"/"+scopeName, data)
}

// mountWithScope has the connection "orders" with the scope "reports".
func mountWithScope(t *testing.T) *mount {
	t.Helper()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	m.writeScopeOf("orders", "reports", scopeFields())
	return m
}

func (m *mount) storedScope(name, scopeName string) string {
	m.t.Helper()
	entry, err := m.storage.Get(m.t.Context(), scopeKey(name, scopeName))
	if err != nil {
		m.t.Fatalf("reading storage: %v", err)
	}
	if entry == nil {
		return ""
	}
	return string(entry.Value)
}

func TestScopeRead_ShowsFieldsDefaultsAndThePolicy(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	got := m.read("scopes/orders/reports").Data
	for name, want := range map[string]any{
		"name": "orders", "scope": "reports", "buckets": []string{"analytics"}, "prefixes": []string{"reports/"},
		"access": []string{"list", "read"}, "duration": int64(3600), "generate_lease": true, "role_arn": "",
		"session_name": "",
		"session_tags": map[string]string{}, "kms_key_arns": []string{},
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s = %#v, want %#v", name, got[name], want)
		}
	}
	if policy, _ := got["session_policy"].(string); !strings.Contains(policy, `"arn:aws:s3:::analytics/reports/*"`) {
		t.Errorf("session_policy = %q", policy)
	}
	m.start() // a restarted plugin reads the same
	if again := m.read("scopes/orders/reports").Data; !reflect.DeepEqual(again, got) {
		t.Errorf("after a restart %v, want %v", again, got)
	}
}

func TestScopeWrite_ChangesTheGivenFieldsAlone(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	before := m.storedScope("orders", "reports")
	m.writeScopeOf("orders", "reports", map[string]any{"access": "write,list",
		"session_tags": []any{"team=a=b", "cost=1"}})
	got := m.read("scopes/orders/reports").Data
	if !reflect.DeepEqual(got["access"], []string{"list", "write"}) ||
		!reflect.DeepEqual(got["prefixes"], []string{"reports/"}) ||
		!reflect.DeepEqual(got["session_tags"], map[string]string{"team": "a=b", "cost": "1"}) {
		t.Errorf("after a partial write the scope is %v", got)
	}
	if before == m.storedScope("orders", "reports") {
		t.Error("a write left the stored entry and its revision as they were")
	}
	m.must(logical.PatchOperation, "scopes/orders/reports", map[string]any{"access": nil})
	if got := m.read("scopes/orders/reports").Data["access"]; !reflect.DeepEqual(got, []string{"list", "read"}) {
		t.Errorf("a cleared access is %v, want the default", got)
	}
}

func TestScopeWrite_InvalidIsRefusedAndNothingChanges(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	before := m.storedScope("orders", "reports")
	for _, row := range []struct {
		name string
		data map[string]any
		says []string
	}{
		{"an empty prefix", map[string]any{"prefixes": ""},
			[]string{"prefixes: is empty, which would open whole buckets"}},
		{"no prefixes", map[string]any{"prefixes": []any{}}, []string{"prefixes: "}},
		{"null prefixes", map[string]any{"prefixes": nil}, []string{"prefixes: "}},
		{"an empty prefix among others", map[string]any{"prefixes": []any{"a/", ""}}, []string{"prefixes: "}},
		{"no buckets", map[string]any{"buckets": ""}, []string{"buckets: is required"}},
		{"two faults", map[string]any{"buckets": "B", "duration": 5},
			[]string{"2 things are wrong", "buckets: ", "duration: "}},
		{"an unknown field", map[string]any{"bucket": "b"},
			[]string{`"bucket": there is no such field; did you mean buckets?`}},
		{"an unknown access", map[string]any{"access": "read,admin"}, []string{`access: has the unknown item "admin"`}},
		{"an object", map[string]any{"role_arn": map[string]any{"a": canaryText}}, []string{"role_arn: is an object"}},
		{"a bad directive", map[string]any{"prefixes": "{{time.now}}/"}, []string{"prefixes: has the directive"}},
		{"a policy beside buckets", map[string]any{"policy": "{}"}, []string{"buckets: does not go together"}},
		{"a source identity", map[string]any{"source_identity": "ann"},
			[]string{"source_identity: is set by Roles Anywhere"}},
	} {
		text := m.refused(logical.UpdateOperation, "scopes/orders/reports", row.data)
		for _, word := range append(row.says, `writing scope "orders/reports"`, "the stored scope is unchanged") {
			if !strings.Contains(text, word) {
				t.Errorf("%s: %q does not say %q", row.name, text, word)
			}
		}
		if strings.Contains(text, canaryText) {
			t.Errorf("%s: the error repeats the value: %s", row.name, text)
		}
	}
	if m.storedScope("orders", "reports") != before {
		t.Error("a refused write changed what is stored")
	}
	if text := m.refused(logical.UpdateOperation, "scopes/orders/other", map[string]any{}); !strings.Contains(text,
		"nothing was stored") {
		t.Errorf("a refused creation says %q", text)
	}
}

const canaryText = "CANARY-7f3a"

func TestScopeWrite_WarnsOfAPrefixThatOpensMore(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	resp := m.writeScopeOf("orders", "reports", map[string]any{"prefixes": "team/a"})
	if resp == nil || len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], `"team/a" does not end in "/"`) {
		t.Errorf("the response is %+v, want one warning", resp)
	}
}

func TestScope_NeedsItsConnection(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	if text := m.refused(logical.UpdateOperation, "scopes/orders/reports", scopeFields()); !strings.Contains(text,
		`no connection "orders"`) {
		t.Errorf("a scope of no connection: %q", text)
	}
	m.write("keys", accessKeyFields())
	if text := m.refused(logical.UpdateOperation, "scopes/keys/reports", scopeFields()); !strings.Contains(text,
		"role_arn: is required") {
		t.Errorf("access keys without a role: %q", text)
	}
	m.write("store", accessKeyFields(with("s3_endpoint", "https://minio.example:9000")))
	m.writeScopeOf("store", "reports", scopeFields())
}

func TestScopeWrite_KeepsToTheCapabilityItWasAuthorisedFor(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	before := m.storedScope("orders", "reports")
	for _, row := range []struct {
		operation logical.Operation
		scope     string
		code      int
		says      string
	}{
		{logical.CreateOperation, "reports", 409, "may only create"},
		{logical.UpdateOperation, "other", 409, "may only update"},
	} {
		req := &logical.Request{Operation: row.operation, Path: "scopes/orders/" + row.scope, Data: scopeFields(),
			Storage: m.storage}
		_, err := m.HandleRequest(t.Context(), req)
		var coded logical.HTTPCodedError
		if !errors.As(err, &coded) || coded.Code() != row.code || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s of %s: %v, want a %d with %q", row.operation, row.scope, err, row.code, row.says)
		}
	}
	if text := m.refused(logical.PatchOperation, "scopes/orders/other", scopeFields()); !strings.Contains(text,
		`has no scope "other"`) {
		t.Errorf("patching what is not there: %q", text)
	}
	if m.storedScope("orders", "reports") != before || m.storedScope("orders", "other") != "" {
		t.Error("a write did what it was not authorised for")
	}
}

func TestScopeWrite_StartsAgainWhenTheConnectionChanges(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	changes := 0
	m.storage.afterGet = func(key string) {
		if key == scopeKey("orders", "late") && changes < 2 {
			changes++
			m.storage.afterGet = nil
			m.write("orders", map[string]any{"role_arn": "arn:aws:iam::123456789012:role/other"})
		}
	}
	m.writeScopeOf("orders", "late", scopeFields())
	if changes != 1 || m.storedScope("orders", "late") == "" {
		t.Errorf("the connection changed %d times and the scope is %q", changes, m.storedScope("orders", "late"))
	}
}

func TestScopeList_ShowsWhatEachOpens(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	m.writeScopeOf("orders", "own", map[string]any{"role_arn": "arn:aws:iam::999999999999:role/x",
		"policy": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",` +
			`"Resource":"arn:aws:s3:::b/*"}}`})
	putEntry(t, m, scopeKey("orders", "broken"), "{")
	resp := m.must(logical.ListOperation, "scopes/orders/", nil)
	if keys := resp.Data["keys"]; !reflect.DeepEqual(keys, []string{"broken", "own", "reports"}) {
		t.Errorf("keys %v", keys)
	}
	info := resp.Data["key_info"].(map[string]any)
	if !reflect.DeepEqual(info["reports"], map[string]any{"buckets": []string{"analytics"},
		"prefixes": []string{"reports/"},
		"access":   []string{"list", "read"}}) ||
		!reflect.DeepEqual(info["own"], map[string]any{"policy": true,
			"role_arn": "arn:aws:iam::999999999999:role/x"}) ||
		!strings.Contains(info["broken"].(map[string]any)["error"].(string), "cannot be read") {
		t.Errorf("key info %v", info)
	}
}

func TestScope_NamesWithTwoDotsAreRefusedWithWords(t *testing.T) {
	t.Parallel()
	m := mountWithScope(t)
	long := strings.Repeat("a", maxNameLength+1)
	for _, path := range []string{"scopes/a..b/reports", "scopes/orders/a..b", "scopes/orders/" + long} {
		for _, operation := range []logical.Operation{logical.ReadOperation, logical.UpdateOperation,
			logical.DeleteOperation} {
			if text := m.refused(operation, path, nil); !strings.Contains(text, "holds \"..\"") &&
				!strings.Contains(text, "129 bytes") {
				t.Errorf("%s of %s: %q", operation, path, text)
			}
		}
	}
}

func TestScope_WritesAreForwardedAndTheEntriesSealWrapped(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	operations := m.Route("scopes/orders/reports").Operations
	for _, operation := range []logical.Operation{logical.CreateOperation, logical.UpdateOperation,
		logical.PatchOperation,
		logical.DeleteOperation} {
		properties := operations[operation].Properties()
		if !properties.ForwardPerformanceStandby || !properties.ForwardPerformanceSecondary {
			t.Errorf("%s is not forwarded", operation)
		}
	}
	if !slices.Contains(m.SpecialPaths().SealWrapStorage, scopePrefix) {
		t.Error("scopes are not seal wrapped")
	}
}
