package s3conn

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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

// fencedStore is an S3 with an STS. It obeys session policies as far as the test says.
type fencedStore struct {
	*httptest.Server
	sts     *awstest.Server
	buckets []string
	// ignores names the actions for which session policies are not looked at, refuses those that nobody may do.
	ignores, refuses string
	role             *iamtest.Policy // what the role itself may do; nil: everything
	worksFor         int             // sessions; later ones are answered with HTTP 500. 0: all

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
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprintf("ASIA%s%d", request.SessionName, len(s.policies))
	s.policies[key] = policy
	return awstest.Session{AccessKey: key, SecretKey: canaryText, SessionToken: canaryText + "-token"}, nil
}

func (s *fencedStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	s.methods[r.Method]++
	policy, broken := s.policies[key], s.worksFor > 0 && len(s.policies) > s.worksFor
	s.mu.Unlock()
	if broken {
		say(http.StatusInternalServerError, "application/xml", "<Error><Code>InternalError</Code></Error>")(w, r)
		return
	}
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
	allowed = allowed && (policy == nil || s.role == nil || s.role.Allows(request))
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

// roleAllows lets the role do this and nothing else.
func (s *fencedStore) roleAllows(t *testing.T, statements string) {
	t.Helper()
	policy, err := iamtest.Parse(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	s.role = policy
}
