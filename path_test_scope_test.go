package s3conn

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

func TestTestScope_ProvesTheFence(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name            string
		buckets         []string
		fields          map[string]any
		fence           string
		listed, refused []string
	}{
		{"a prefix", []string{"analytics"}, map[string]any{"buckets": "analytics", "prefixes": "reports/"}, "proven",
			[]string{"analytics/reports/"}, []string{"analytics/reports-s3conn-test-of-the-fence",
				"analytics/s3conn-test-of-the-fence"}},
		{"two buckets", []string{"analytics", "invoices"},
			map[string]any{"buckets": "invoices,analytics", "prefixes": "a/"}, "proven",
			[]string{"analytics/a/", "invoices/a/"},
			[]string{"analytics/a-s3conn-test-of-the-fence", "analytics/s3conn-test-of-the-fence"}},
		{"a whole bucket among others", []string{"analytics", "invoices"}, map[string]any{"buckets": "analytics"},
			"proven",
			[]string{"analytics/"}, []string{"invoices/s3conn-test-of-the-fence"}},
		{"a whole bucket alone", []string{"analytics"}, map[string]any{"buckets": "analytics"}, "not provable",
			[]string{"analytics/"}, []string{}},
		{"writing alone", []string{"analytics"},
			map[string]any{"buckets": "analytics", "prefixes": "in/", "access": "write"}, "proven",
			[]string{}, []string{"analytics/in-s3conn-test-of-the-fence", "analytics/s3conn-test-of-the-fence"}},
		{"a policy of one's own", []string{"analytics"},
			map[string]any{"policy": `{"Version":"2012-10-17","Statement":` +
				`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::analytics/*"}}`}, "not provable",
			[]string{}, []string{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m, store := fencedMount(t, row.buckets...)
			resp, err := m.testScopeOf(row.fields)
			if err != nil || resp.IsError() {
				t.Fatalf("the test failed: %v, %+v", err, resp)
			}
			if resp.Data["fence"] != row.fence || !reflect.DeepEqual(resp.Data["listed"], row.listed) ||
				!reflect.DeepEqual(resp.Data["refused"], row.refused) {
				t.Errorf("the response is %v, want %s, %v and %v", resp.Data, row.fence, row.listed, row.refused)
			}
			if resp.Data["identity"] != "arn:aws:sts::123456789012:assumed-role/app/one" ||
				resp.Data["packed_policy_size"] != 21 ||
				resp.Data["expiration"] != m.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339) {
				t.Errorf("the session is described as %v", resp.Data)
			}
			for method := range store.methods {
				if method != http.MethodGet && method != http.MethodHead {
					t.Errorf("the test has sent a %s", method)
				}
			}
		})
	}
}

func TestTestScope_NamesAStoreThatIgnoresSessionPolicies(t *testing.T) {
	t.Parallel()
	for ignores, says := range map[string]string{
		"s3:ListBucket s3:GetObject": `ListObjectsV2 of "analytics/reports-s3conn-test-of-the-fence",` +
			` outside the scope, was not refused`,
		"s3:GetObject": `HeadObject of "analytics/reports-s3conn-test-of-the-fence", outside the scope,` +
			` was not refused`,
	} {
		m, store := fencedMount(t, "analytics")
		store.ignores = ignores
		resp, err := m.testScopeOf(map[string]any{"buckets": "analytics", "prefixes": "reports/"})
		if err != nil || !resp.IsError() || !strings.Contains(resp.Error().Error(), says) ||
			!strings.Contains(resp.Error().Error(), "this store ignores session policies") {
			t.Errorf("a store that ignores policies for %s: %+v, %v", ignores, resp, err)
		}
	}
}

// What the role itself may not do is refused by every store, also by one that ignores session policies.
func TestTestScope_ARolesOwnRefusalProvesNothing(t *testing.T) {
	t.Parallel()
	const (
		lists  = `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::analytics"}`
		inside = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::analytics/reports/*"}`
		below  = `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::analytics","Condition":` +
			`{"StringLike":{"s3:prefix":"reports/*"}}}`
		all = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
	)
	for _, row := range []struct{ name, role, ignores, fence string }{
		{"the role may do no more, and the store ignores policies", inside + "," + below, "s3:ListBucket s3:GetObject",
			"not proven: the role itself may neither list nor read outside of the scope"},
		{"the role may do no more", inside + "," + below, "", "not proven: the role itself may neither list nor read"},
		{"the role lists all, and the store ignores policies for reads", inside + "," + lists, "s3:GetObject",
			"not proven for reads: lists are, but the role itself may not read"},
		{"the role may do everything", all, "", "proven"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m, store := fencedMount(t, "analytics")
			store.ignores = row.ignores
			store.roleAllows(t, row.role)
			resp, err := m.testScopeOf(map[string]any{"buckets": "analytics", "prefixes": "reports/"})
			if err != nil || resp.IsError() {
				t.Fatalf("the test failed: %v, %+v", err, resp)
			}
			fence := resp.Data["fence"].(string)
			if !strings.HasPrefix(fence, row.fence) || (fence == "proven") != (row.fence == "proven") {
				t.Errorf("the fence is %q, want %q", fence, row.fence)
			}
		})
	}
}

// The second session is asked for with the scope's own settings, and opens nothing inside of the scope.
func TestTestScope_TheCounterpartIsNarrowToo(t *testing.T) {
	t.Parallel()
	m, store := fencedMount(t, "analytics")
	resp, err := m.testScopeOf(map[string]any{"buckets": "analytics", "prefixes": "reports/"})
	if err != nil || resp.IsError() {
		t.Fatalf("the test failed: %v, %+v", err, resp)
	}
	var policies []string
	for _, one := range store.sts.Requests() {
		policies = append(policies, one.Parameters.Get("Policy"))
	}
	if len(policies) != 2 || strings.Contains(policies[1], "reports/") ||
		!strings.Contains(policies[1], "arn:aws:s3:::analytics/s3conn-test-of-the-fence") {
		t.Errorf("the sessions' policies are %q", policies)
	}
}

func TestTestScope_FailuresSayWhatWasTried(t *testing.T) {
	t.Parallel()
	prefixed := map[string]any{"buckets": "analytics", "prefixes": "reports/"}
	for _, row := range []struct {
		name  string
		spoil func(*fencedStore)
		says  []string
	}{
		{"a role that may not list", func(s *fencedStore) { s.refuses = "s3:ListBucket" },
			[]string{`listing what it opens, "analytics/reports/"`, "ListObjectsV2: AccessDenied"}},
		{"STS refuses", func(s *fencedStore) {
			s.sts.Inject(awstest.Fault{Operation: "AssumeRole", Status: 403, Code: "AccessDenied",
				Message: "not authorized to perform: sts:AssumeRole"})
		}, []string{"AssumeRole: AccessDenied", "trust policy"}},
		{"STS is throttled", func(s *fencedStore) { s.sts.Inject(awstest.Throttling("AssumeRole", 0)) },
			[]string{"Throttling: Rate exceeded"}},
		{"the store fails for the second session", func(s *fencedStore) { s.worksFor = 1 },
			[]string{`trying what the role itself may do at "analytics/reports-s3conn-test-of-the-fence"`,
				"ListObjectsV2: InternalError"}},
		{"the store is gone", func(s *fencedStore) { s.Close() }, []string{"listing what it opens", "ListObjectsV2"}},
	} {
		m, store := fencedMount(t, "analytics")
		row.spoil(store)
		resp, err := m.testScopeOf(prefixed)
		if err == nil && resp.IsError() {
			err = resp.Error()
		}
		for _, word := range row.says {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), canaryText) {
				t.Errorf("%s: %v, want words with %q", row.name, err, word)
			}
		}
		var coded logical.HTTPCodedError
		if row.name == "STS is throttled" && (!errors.As(err, &coded) || coded.Code() != http.StatusTooManyRequests) {
			t.Errorf("%s: %v, want a 429", row.name, err)
		}
	}
}

func TestTestScope_RendersForTheToken(t *testing.T) {
	t.Parallel()
	m, _ := fencedMount(t, "home")
	m.writeScopeOf("store", "own", map[string]any{"buckets": "home", "prefixes": "{{identity.entity.metadata.team}}/",
		"role_arn": fencedRole})
	if text := m.refused(logical.UpdateOperation, "test/store/own", nil); !strings.Contains(text,
		"the token has none") {
		t.Errorf("without an entity: %q", text)
	}
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "test/store/own", Storage: m.storage,
		EntityID: "e-1"}
	resp, err := m.HandleRequest(t.Context(), req)
	if err != nil || resp.IsError() || !reflect.DeepEqual(resp.Data["listed"], []string{"home/team-e-1/"}) {
		t.Errorf("the response is %+v, %v", resp, err)
	}
}

func TestTestScope_InvalidRequestsCallNobody(t *testing.T) {
	t.Parallel()
	m, store := fencedMount(t, "analytics")
	for path, says := range map[string]string{"test/store/none": `has no scope "none"`,
		"test/none/one":   `no connection "none"`,
		"test/store/a..b": `holds ".."`} {
		if text := m.refused(logical.UpdateOperation, path, nil); !strings.Contains(text, says) {
			t.Errorf("%s: %q, want words with %q", path, text, says)
		}
	}
	text := m.refused(logical.UpdateOperation, "test/store/none", map[string]any{"access": "read"})
	if !strings.Contains(text, "which takes no fields") || !strings.Contains(text, "nothing was called") {
		t.Errorf("a test with fields: %q", text)
	}
	if len(store.methods) != 0 || len(store.sts.Requests()) != 0 {
		t.Error("a refused test has called somebody")
	}
}
