package acceptance

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestRolesAnywhere_WriteTestReadAndListBuckets(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	for name, keyType := range map[string]rolesanywheretest.KeyType{
		"rsa": rolesanywheretest.RSA2048, "p256": rolesanywheretest.P256, "p384": rolesanywheretest.P384,
		"p521": rolesanywheretest.P521,
	} {
		issued := s.aws.issue(t, rolesanywheretest.IssueOptions{KeyType: keyType})
		s.write("config/"+name, s.fields(map[string]any{"certificate": string(issued.CertificatePEM),
			"private_key": string(issued.PrivateKeyPEM)}))
		tested := s.write("test/"+name, nil)
		if number(t, tested.Data, "bucket_count") != 1 || tested.Data["buckets"].([]any)[0] != bucketName {
			t.Errorf("test/%s = %v, want the one bucket", name, tested.Data)
		}
		if identity := tested.Data["identity"].(string); !strings.HasSuffix(identity,
			"assumed-role/orders/orders-api") {
			t.Errorf("test/%s says the identity is %s", name, identity)
		}
		if left := number(t, tested.Data, "certificate_ttl"); left < 80000 || left > 86400 {
			t.Errorf("test/%s says the certificate has %d s left, want about a day", name, left)
		}
		s.mustListBuckets(credentialsOf(s.read("creds/" + name)))
	}
}

func TestRolesAnywhere_AWrongTokenIsRefusedByTheStore(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	creds := credentialsOf(s.read("creds/orders"))
	for what, wrong := range map[string]func(*aws.Credentials){
		"no token": func(c *aws.Credentials) { c.SessionToken = "" },
		"a changed token": func(c *aws.Credentials) {
			c.SessionToken = c.SessionToken[:len(c.SessionToken)-4] +
				"AAAA"
		},
		"another's secret": func(c *aws.Credentials) { c.SecretAccessKey = s.minio.RootCredentials().SecretAccessKey },
	} {
		changed := creds
		wrong(&changed)
		_, err := s.listBuckets(changed)
		if api, ok := errors.AsType[smithy.APIError](err); !ok ||
			(api.ErrorCode() != "InvalidTokenId" && api.ErrorCode() != "SignatureDoesNotMatch") {
			t.Errorf("with %s MinIO said %v, want a refusal", what, err)
		}
	}
}

const (
	denyTheBucket = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListAllMyBuckets"],` +
		`"Resource":["arn:aws:s3:::*"]}]}`
	denyTheList = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],` +
		`"Resource":["arn:aws:s3:::none/*"]}]}`
)

func TestRolesAnywhere_TestSucceedsWithAForbiddenBucketAndFailsOnlyForTheList(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{})
	s.write("config/orders", s.fields(nil))
	s.aws.narrow(denyTheBucket)
	s.write("test/orders", nil)
	_, err := s.minio.Client(credentialsOf(s.read("creds/orders"))).ListObjectsV2(t.Context(),
		&s3.ListObjectsV2Input{Bucket: aws.String(bucketName)})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "AccessDenied" {
		t.Errorf("the bucket is not forbidden (%v): the test shows nothing", err)
	}
	s.aws.narrow(denyTheList)
	assertSays(t, s.fails(400, "test/orders", map[string]any{}), "ListBuckets: AccessDenied", "HTTP 403")
}

func TestRolesAnywhere_TestFailsInTheServicesOwnWords(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true}, rolesanywheretest.Options{
		RefuseRoleSessionName: true, MaxDuration: 30 * time.Minute,
	})
	s.write("config/orders", s.fields(map[string]any{"send_session_name": false, "duration": "15m"}))
	s.write("test/orders", map[string]any{})

	foreign, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := foreign.Issue(rolesanywheretest.IssueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ok := map[string]any{"send_session_name": false, "duration": "15m"}
	for what, test := range map[string]struct {
		change map[string]any
		fault  *rolesanywheretest.Fault
		status int
		says   []string
	}{
		"certificate of another CA": {map[string]any{"certificate": string(stranger.CertificatePEM),
			"private_key": string(stranger.PrivateKeyPEM)}, nil, 400,
			[]string{"CreateSession: AccessDeniedException: Untrusted signing certificate", "HTTP 403", "request id ",
				"trust anchor"}},
		"session name not accepted": {map[string]any{"send_session_name": true}, nil, 400,
			[]string{"Not authorized to set roleSessionName", "send_session_name=false"}},
		"duration over the role's": {map[string]any{"duration": 3600}, nil, 400, []string{"MaxSessionDuration"}},
		"role refused": {nil, &rolesanywheretest.Fault{Times: 1, Status: 403, Code: "AccessDeniedException",
			Message: "Unable to assume role for " + roleARN}, 400,
			[]string{"Unable to assume role for " + roleARN, "sts:TagSession"}},
		"throttled": {nil, &rolesanywheretest.Fault{Status: 429, Code: "ThrottlingException",
			Message: "Rate exceeded"}, 429, []string{"Rate exceeded", "HTTP 429"}},
		"broken": {nil, &rolesanywheretest.Fault{Status: 500, Code: "InternalServerException",
			Message: "oops"}, 502, []string{"InternalServerException: oops"}},
		"busy": {nil, &rolesanywheretest.Fault{Status: 503, Code: "ServiceUnavailableException",
			Message: "busy"}, 503, []string{"busy"}},
		"garbage": {nil, &rolesanywheretest.Fault{Body: []byte("<html>CANARY</html>")}, 502,
			[]string{"CreateSession: "}},
		"empty credential set": {nil, &rolesanywheretest.Fault{EmptyCredentialSet: true}, 502,
			[]string{"CreateSession: "}},
		"nobody listens": {map[string]any{"rolesanywhere_endpoint": "http://127.0.0.1:1"}, nil, 502,
			[]string{"127.0.0.1:1 refused the connection"}},
	} {
		s.aws.Clear()
		if test.fault != nil {
			s.aws.Inject(*test.fault)
		}
		fields := s.fields(ok)
		for name, value := range test.change {
			fields[name] = value
		}
		t.Log(what)
		text := s.fails(test.status, "test", fields)
		assertSays(t, text, test.says...)
		if strings.Contains(text, "CANARY") || strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s: the error quotes what it must not: %s", what, text)
		}
	}
}

func TestConfig_RoundTripShowsNoSecret(t *testing.T) {
	t.Parallel()
	s := newSessionStack(t, harness.VaultOptions{InMemory: true, Audit: true}, rolesanywheretest.Options{})
	fields := s.fields(map[string]any{"proxy_url": "http://user:CANARY-proxy@127.0.0.1:1", "duration": "20m"})
	s.write("config/orders", fields)
	s.write("config/reports", s.s3Fields(map[string]any{"access_key": "AKIAEXAMPLE", "secret_key": "CANARY-secret"}))
	s.fails(400, "config/reports", map[string]any{"secret_key": map[string]any{"a": "CANARY-mistyped"}})

	orders := s.read("config/orders")
	if number(t, orders.Data, "duration") != 1200 || orders.Data["profile_arn"] != profileARN ||
		orders.Data["send_session_name"] != true {
		t.Errorf("config/orders reads back as %v", orders.Data)
	}
	patched, err := s.api.Logical().JSONMergePatch(t.Context(), "s3conn/config/orders",
		map[string]any{"duration": nil, "proxy_url": ""})
	if err != nil {
		t.Fatalf("patching: %v, %v", patched, err)
	}
	orders = s.read("config/orders")
	if number(t, orders.Data, "duration") != 3600 || orders.Data["proxy_url"] != "" ||
		orders.Data["role_arn"] != roleARN {
		t.Errorf("after a patch config/orders reads back as %v", orders.Data)
	}
	list, err := s.api.Logical().ListWithContext(t.Context(), "s3conn/config")
	if err != nil {
		t.Fatal(err)
	}
	info := list.Data["key_info"].(map[string]any)["orders"].(map[string]any)
	if info["auth_type"] != "roles_anywhere" || info["region"] != "us-east-1" {
		t.Errorf("the list shows %v", list.Data)
	}

	shown := &strings.Builder{}
	for _, path := range []string{"config/orders", "config/reports"} {
		if err := json.NewEncoder(shown).Encode(s.read(path)); err != nil {
			t.Fatal(err)
		}
	}
	stdout, stderr, code := harness.CLI(t, s.vault, "read", "-format=json", "s3conn/config/orders")
	if code != 0 {
		t.Errorf("vault read ended with %d: %s", code, stderr)
	}
	key := strings.Split(fields["private_key"].(string), "\n")[1]
	for where, text := range map[string]string{"a read": shown.String() + stdout,
		"the server's log": s.vault.ServerLog(), "the audit log": s.vault.AuditLog()} {
		if strings.Contains(text, "CANARY") || strings.Contains(text, key) {
			t.Errorf("%s holds a secret", where)
		}
	}
}

func TestPathHelp_TeachesEveryPath(t *testing.T) {
	t.Parallel()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	for path, says := range map[string]string{
		"s3conn":               "Roles Anywhere",
		"s3conn/config/orders": "verify_connection",
		"s3conn/creds/orders":  "60 seconds",
		"s3conn/sdk/orders":    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"s3conn/test/orders":   "ListBuckets",
		"s3conn/test":          "vault write s3conn/test",
	} {
		stdout, stderr, code := harness.CLI(t, s.vault, "path-help", path)
		if code != 0 || !strings.Contains(stdout, says) {
			t.Errorf("vault path-help %s ended with %d and does not say %q:\n%s%s", path, code, says, stdout, stderr)
		}
	}
}
