package acceptance

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

const otherBucket = "payroll"

// newScopeStack has the connection "store" to MinIO, with two buckets and a few objects.
func newScopeStack(t *testing.T) *stack {
	t.Helper()
	s := newStack(t, harness.VaultOptions{InMemory: true})
	s.minio.MakeBucket(otherBucket)
	root := s.minio.RootCredentials()
	for _, bucket := range []string{bucketName, otherBucket} {
		for _, key := range []string{"team/a/x", "team/ab/x", "team/a", "public/x", "a*b/x", "acb/x", "é ü/x"} {
			s.put(root, bucket, key)
		}
	}
	s.write("config/store", s.rootFields())
	return s
}

func (s *stack) put(creds aws.Credentials, bucket, key string) {
	s.t.Helper()
	if err := s.try("write", creds, bucket, key); err != nil {
		s.t.Fatalf("putting %s/%s: %v", bucket, key, err)
	}
}

// try makes one call of the kind that an access level is about.
func (s *stack) try(level string, creds aws.Credentials, bucket, key string) (err error) {
	client, ctx := s.minio.Client(creds), s.t.Context()
	switch level {
	case "list":
		_, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &key})
	case "read":
		_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	case "write":
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("x")})
	case "delete":
		_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	}
	return err
}

// open says whether the call was allowed. Anything but success and AccessDenied fails the test.
func (s *stack) open(level string, creds aws.Credentials, bucket, key string) bool {
	s.t.Helper()
	err := s.try(level, creds, bucket, key)
	var refused smithy.APIError
	if err != nil && (!errors.As(err, &refused) || refused.ErrorCode() != "AccessDenied") {
		s.t.Errorf("%s of %s/%s: %v, want success or AccessDenied", level, bucket, key, err)
	}
	return err == nil
}

func TestScope_MinIOEnforcesTheFence(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	levels := []string{"list", "read", "write", "delete"}
	places := []struct {
		name, bucket, key string
		inside            bool
	}{
		{"inside", bucketName, "team/a/x", true}, {"inside, new", bucketName, "team/a/y/z", true},
		{"neighbour", bucketName, "team/ab/x", false}, {"the prefix without its slash", bucketName, "team/a", false},
		{"outside", bucketName, "public/x", false}, {"another bucket", otherBucket, "team/a/x", false},
	}
	for _, granted := range levels {
		s.write("scopes/store/"+granted, map[string]any{"buckets": bucketName, "prefixes": "team/a/",
			"access": granted})
		creds := credentialsOf(s.read("creds/store/" + granted))
		for _, tried := range levels {
			for _, place := range places {
				if tried == "read" && place.key == "team/a/y/z" {
					continue // it does not exist
				}
				want := place.inside && tried == granted
				if got := s.open(tried, creds, place.bucket, place.key); got != want {
					t.Errorf("a scope with %s: %s %s is allowed: %v, want %v", granted, tried, place.name, got, want)
				}
			}
		}
		s.put(s.minio.RootCredentials(), bucketName, "team/a/x") // a delete may have been allowed
	}
	resp := s.write("test/store/list", map[string]any{})
	if resp.Data["fence"] != "proven" {
		t.Errorf("the test says %v, want a proven fence", resp.Data)
	}
}

// MinIO does not know the escapes of AWS's policies, and allows nothing where they stand.
func TestScope_OddPrefixesOpenNothingElse(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	s.write("scopes/store/star", map[string]any{"buckets": bucketName, "prefixes": "a*b/"})
	s.write("scopes/store/letters", map[string]any{"buckets": bucketName, "prefixes": []string{"é ü/"}})
	star, letters := credentialsOf(s.read("creds/store/star")), credentialsOf(s.read("creds/store/letters"))
	for _, level := range []string{"list", "read"} {
		if s.open(level, star, bucketName, "acb/x") {
			t.Errorf("a prefix with a star opens another one for %s", level)
		}
		if !s.open(level, letters, bucketName, "é ü/x") || s.open(level, letters, bucketName, "public/x") {
			t.Errorf("a prefix with other letters and a space does not open exactly what it names for %s", level)
		}
	}
}

func TestScope_WholeBucketsAndOwnPolicies(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	s.write("scopes/store/bucket", map[string]any{"buckets": bucketName, "access": "list,read,write,delete"})
	s.write("scopes/store/own", map[string]any{"policy": `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::` + otherBucket + `/public/*"}]}`})
	bucket, own := credentialsOf(s.read("creds/store/bucket")), credentialsOf(s.read("creds/store/own"))
	for _, level := range []string{"list", "read", "write", "delete"} {
		if !s.open(level, bucket, bucketName, "public/x") || s.open(level, bucket, otherBucket, "public/x") {
			t.Errorf("a scope of a bucket does not open exactly that bucket for %s", level)
		}
		if s.open(level, own, otherBucket, "public/x") != (level == "read") ||
			s.open(level, own, otherBucket, "team/a/x") {
			t.Errorf("a policy of one's own does not open exactly what it says for %s", level)
		}
	}
	for name, fence := range map[string]string{"bucket": "proven", "own": "not provable"} {
		if resp := s.write("test/store/"+name, map[string]any{}); resp.Data["fence"] != fence {
			t.Errorf("the test of %s says %v, want %s", name, resp.Data, fence)
		}
	}
}

// user is somebody who has logged in by a password, with an entity of their own.
type user struct {
	*stack
	name, team string
	entity     string // its path
}

func (s *stack) newUser(name, team string) *user {
	s.t.Helper()
	logical, ctx := s.api.Logical(), s.t.Context()
	write := func(client *api.Client, path string, data map[string]any) *api.Secret {
		secret, err := client.Logical().WriteWithContext(ctx, path, data)
		if err != nil {
			s.t.Fatalf("writing %s: %v", path, err)
		}
		return secret
	}
	write(s.api, "auth/userpass/users/"+name, map[string]any{"password": "pass-" + name, "token_policies": "scopes"})
	login, err := logical.WriteWithContext(ctx, "auth/userpass/login/"+name, map[string]any{"password": "pass-" + name})
	if err != nil {
		s.t.Fatalf("logging in: %v", err)
	}
	entity := "identity/entity/id/" + login.Auth.EntityID
	write(s.api, entity, map[string]any{"name": name, "metadata": map[string]any{"team": team}})
	client, err := s.api.Clone()
	if err != nil {
		s.t.Fatal(err)
	}
	client.SetToken(login.Auth.ClientToken)
	as := *s
	as.api = client
	return &user{&as, name, team, entity}
}

// usersMayReadScopes lets users log in and read every scope of "store".
func (s *stack) usersMayReadScopes() {
	s.t.Helper()
	t := s.t
	if err := s.api.Sys().EnableAuthWithOptionsWithContext(t.Context(), "userpass",
		&api.EnableAuthOptions{Type: "userpass"}); err != nil {
		t.Fatal(err)
	}
	policy := "path \"s3conn/creds/store/*\" { capabilities = [\"read\"] }"
	if err := s.api.Sys().PutPolicyWithContext(t.Context(), "scopes", policy); err != nil {
		t.Fatal(err)
	}
}

func TestScope_TemplatesFollowTheEntity(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	s.usersMayReadScopes()
	s.write("scopes/store/home", map[string]any{"buckets": bucketName, "access": "list,read,write",
		"prefixes": "team/{{identity.entity.metadata.team}}/", "session_name": "{{identity.entity.name}}"})
	users := []*user{s.newUser("ann", "a"), s.newUser("bob", "ab")}
	var keys []string
	for _, u := range users {
		creds := credentialsOf(u.read("creds/store/home"))
		if again := credentialsOf(u.read("creds/store/home")); again.AccessKeyID != creds.AccessKeyID {
			t.Errorf("%s gets two sessions", u.name)
		}
		for _, other := range users {
			key := fmt.Sprintf("team/%s/x", other.team)
			if s.open("read", creds, bucketName, key) != (u == other) ||
				s.open("write", creds, bucketName, key) != (u == other) {
				t.Errorf("%s does not have exactly what is theirs at %s", u.name, key)
			}
		}
		keys = append(keys, creds.AccessKeyID)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(keys)))) != len(users) {
		t.Errorf("the users share sessions: %v", keys)
	}
	hostile := s.newUser("eve", "*")
	text := hostile.fails(http.StatusBadRequest, "creds/store/home", nil)
	if !strings.Contains(text, "has no usable value") || strings.Contains(text, "team/*") {
		t.Errorf("hostile metadata: %s", text)
	}
	if text := s.fails(http.StatusBadRequest, "creds/store/home", nil); !strings.Contains(text, "the token has none") {
		t.Errorf("a root token: %s", text)
	}
}

// A change of an entity shows within a minute, and what was handed out before stays valid.
func TestScope_AnEntitysChangeShowsWithinAMinute(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	s.usersMayReadScopes()
	s.write("scopes/store/home", map[string]any{"buckets": bucketName,
		"prefixes": "team/{{identity.entity.metadata.team}}/", "session_name": "{{identity.entity.name}}"})
	ann := s.newUser("ann", "a")
	before := credentialsOf(ann.read("creds/store/home"))
	if _, err := s.api.Logical().WriteWithContext(t.Context(), ann.entity,
		map[string]any{"name": "ann", "metadata": map[string]any{"team": "ab"}}); err != nil {
		t.Fatal(err)
	}
	var after aws.Credentials
	if !eventually(t.Context(), 75*time.Second, func() bool {
		after = credentialsOf(ann.read("creds/store/home"))
		return after.AccessKeyID != before.AccessKeyID
	}) {
		t.Fatal("after 75 s the entity's reads still get the session from before the change")
	}
	for key, want := range map[string][2]bool{"team/a/x": {true, false}, "team/ab/x": {false, true}} {
		old, now := s.open("read", before, bucketName, key), s.open("read", after, bucketName, key)
		if old != want[0] || now != want[1] {
			t.Errorf("%s is open to the session from before: %v, and after: %v; want %v", key, old, now, want)
		}
	}
}
