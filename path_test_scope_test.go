package s3conn

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
)

const fencedRole = "arn:aws:iam::123456789012:role/app"

// fencedStore is an S3 with an STS. It obeys session policies as far as it is told to.
type fencedStore struct {
	*httptest.Server
	sts     *awstest.Server
	buckets []string
	// ignores names the actions for which session policies are not looked at, refuses those that nobody may do.
	ignores, refuses string

	mu       sync.Mutex
	policies map[string]*iamtest.Policy // by the session's access key
	methods  map[string]int
}

func newFencedStore(t *testing.T, now func() time.Time, buckets ...string) *fencedStore {
	t.Helper()
	s := &fencedStore{buckets: buckets, policies: map[string]*iamtest.Policy{}, methods: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.sts = awstest.NewServer(awstest.Options{Now: now, Roles: []awstest.Role{{ARN: fencedRole}}, HandOff: s.handOff,
		PackedSize: func(awstest.AssumeRoleRequest) int { return 21 }})
	t.Cleanup(s.sts.Close)
	return s
}

// handOff makes the credentials of a session, whose policy the store knows.
func (s *fencedStore) handOff(request awstest.AssumeRoleRequest) (awstest.Session, error) {
	policy, err := iamtest.Parse(request.Policy)
	if err != nil {
		return awstest.Session{}, err
	}
	key := "ASIA" + request.SessionName
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[key] = policy
	return awstest.Session{AccessKey: key, SecretKey: canaryText, SessionToken: canaryText + "-token"}, nil
}

func (s *fencedStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	s.methods[r.Method]++
	policy := s.policies[key]
	s.mu.Unlock()
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket == "" {
		body := "<ListAllMyBucketsResult><Buckets>"
		for _, one := range s.buckets {
			body += "<Bucket><Name>" + one + "</Name></Bucket>"
		}
		say(http.StatusOK, "application/xml", body+"</Buckets></ListAllMyBucketsResult>")(w, r)
		return
	}
	prefix := r.URL.Query().Get("prefix")
	request := iamtest.List("aws", bucket, &prefix, nil)
	if r.Method == http.MethodHead {
		request = iamtest.Object("s3:GetObject", "aws", bucket, object, nil)
	}
	allowed := policy == nil || strings.Contains(s.ignores, request.Action) || policy.Allows(request)
	switch {
	case !allowed || strings.Contains(s.refuses, request.Action):
		say(http.StatusForbidden, "application/xml",
			"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")(w, r)
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	default:
		say(http.StatusOK, "application/xml", "<ListBucketResult></ListBucketResult>")(w, r)
	}
}

// fencedMount has the connection "store" with access keys, and scopes as they are given.
func fencedMount(t *testing.T, buckets ...string) (*mount, *fencedStore) {
	t.Helper()
	m := newMount(t)
	store := newFencedStore(t, m.clock.Now, buckets...)
	m.assumer = (&source.STS{Now: m.clock.Now, Turns: newTurns(t), Mount: &budget.Mount{}}).Obtain
	m.start()
	m.backend.entities = newEntities(m.clock.Now, (&directory{}).ask)
	key := store.sts.AddUser("app")
	m.write("store", map[string]any{"access_key": key.ID, "secret_key": key.Secret, "s3_endpoint": store.URL,
		"s3_path_style": true,
		"sts_endpoint":  store.sts.URL})
	return m, store
}

func (m *mount) testScopeOf(fields map[string]any) (*logical.Response, error) {
	m.t.Helper()
	m.writeScopeOf("store", "one", changed(map[string]any{"role_arn": fencedRole, "session_name": "one"},
		[]map[string]any{fields}))
	return m.do(m.t.Context(), logical.UpdateOperation, "test/store/one", nil)
}

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
