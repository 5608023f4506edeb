package scope

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

// objectAccess is the access level that an action on an object needs, written from the documented table and not from
// the generator's; "": none gives it.
func objectAccess() map[string]string {
	return map[string]string{
		"s3:GetObject": "read", "s3:GetObjectVersion": "read",
		"s3:PutObject": "write", "s3:AbortMultipartUpload": "write", "s3:ListMultipartUploadParts": "write",
		"s3:DeleteObject": "delete", "s3:DeleteObjectVersion": "delete",
		"s3:GetObjectAcl": "", "s3:PutObjectAcl": "", "s3:PutObjectTagging": "", "s3:GetObjectTagging": "",
		"s3:BypassGovernanceRetention": "", "s3:RestoreObject": "", "s3:PutObjectRetention": "",
		"s3:ReplicateObject": "",
	}
}

// pieces are parts of prefixes and keys that look alike or that a policy gives a meaning to.
func pieces() []string {
	return []string{"a", "b", "a/", "/", "*", "?", "$", "{", "}", "${*}", "${", "..", "../", ".", " ", "é", "\u20ac",
		"\U0001f600", "%2F", "\\",
		`"`, "'", ":", "<", "&", "+", ",", "team/", "aws:username", "${$}", "**", "a*", "A"}
}

func randomText(random *rand.Rand, most int) string {
	var b strings.Builder
	for range 1 + random.IntN(most) {
		b.WriteString(pieces()[random.IntN(len(pieces()))])
	}
	return b.String()
}

func randomScope(random *rand.Rand) Scope {
	return scopeOf(func(s *Scope) {
		s.Buckets = []string{"bucket-a", "bucket.b", "bucket-ab"}[:1+random.IntN(3)]
		for range random.IntN(4) {
			s.Prefixes = append(s.Prefixes, randomText(random, 4))
		}
		for _, level := range accessLevels() {
			if random.IntN(2) == 0 {
				s.Access = append(s.Access, level)
			}
		}
	})
}

// randomKey is often inside, beside or just outside of a prefix.
func randomKey(random *rand.Rand, prefixes []string) string {
	if len(prefixes) == 0 || random.IntN(4) == 0 {
		return randomText(random, 5)
	}
	prefix := prefixes[random.IntN(len(prefixes))]
	switch random.IntN(5) {
	case 0:
		return prefix
	case 1:
		return prefix + randomText(random, 3)
	case 2:
		return strings.TrimSuffix(prefix, "/") + randomText(random, 2)
	case 3:
		letters := []rune(prefix)
		letters[random.IntN(len(letters))] = 'x'
		return string(letters) + "k"
	default:
		letters := []rune(prefix)
		return string(letters[:random.IntN(len(letters))])
	}
}

func inside(key string, prefixes []string) bool {
	return len(prefixes) == 0 || slices.ContainsFunc(prefixes,
		func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// judge holds a policy, and the check of single requests, against what the scope asks for.
func judge(t *testing.T, s *Scope, r *Rendered, bucket, key string) {
	t.Helper()
	policy := evaluator(t, r.Policy)
	levels := s.Access
	if len(levels) == 0 {
		levels = []string{"list", "read"}
	}
	open := slices.Contains(s.Buckets, bucket) && inside(key, s.Prefixes)
	for action, level := range objectAccess() {
		want := open && slices.Contains(levels, level)
		if got := policy.Allows(iamtest.Object(action, "aws", bucket, key, nil)); got != want {
			t.Fatalf("%s on %q of %s: %v, want %v; scope %+v, "+
				"policy %s", action, key, bucket, got, want, s.Settings, r.Policy)
		}
	}
	for method, action := range map[string]string{"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject",
		"DELETE": "s3:DeleteObject"} {
		var problems problem.List
		r.CheckRequest(method, bucket, key, &problems)
		if got, want := problems.Err("", "") == nil,
			policy.Allows(iamtest.Object(action, "aws", bucket, key, nil)); got != want {
			t.Fatalf("%s %q of %s: the check says %v and the policy %v; "+
				"scope %+v", method, key, bucket, got, want, s.Settings)
		}
	}
	lists := slices.Contains(levels, "list") && slices.Contains(s.Buckets, bucket)
	if got, want := policy.Allows(iamtest.List("aws", bucket, &key, nil)), lists &&
		inside(key, s.Prefixes); got != want {
		t.Fatalf("listing %q of %s: %v, want %v; scope %+v, policy %s", key, bucket, got, want, s.Settings, r.Policy)
	}
	if got, want := policy.Allows(iamtest.List("aws", bucket, nil, nil)), lists && len(s.Prefixes) == 0; got != want {
		t.Fatalf("listing all of %s: %v, want %v; scope %+v", bucket, got, want, s.Settings)
	}
	for action, want := range map[string]bool{"s3:GetBucketLocation": lists, "s3:DeleteBucket": false,
		"s3:PutBucketPolicy":    false,
		"s3:ListBucketVersions": false, "s3:ListAllMyBuckets": false, "iam:CreateUser": false, "sts:AssumeRole": false,
		"kms:Decrypt": false} {
		if got := policy.Allows(iamtest.Request{Action: action, Resource: "arn:aws:s3:::" + bucket}); got != want {
			t.Fatalf("%s on %s: %v, want %v; scope %+v", action, bucket, got, want, s.Settings)
		}
	}
}

func TestPolicy_AllowsExactlyTheKeysInside(t *testing.T) {
	t.Parallel()
	const seed = 20260807
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable
	accepted := 0
	for range 1000 {
		s := randomScope(random)
		program, err := Compile(s, chained())
		if err != nil {
			continue // such as a prefix that holds "}}"
		}
		accepted++
		r, err := program.Render(nil)
		if err != nil {
			t.Fatalf("Render(%+v): %v", s.Settings, err)
		}
		for range 6 {
			bucket := []string{"bucket-a", "bucket.b", "bucket-ab", "bucketxb", "bucket-a*"}[random.IntN(5)]
			judge(t, &s, r, bucket, randomKey(random, s.Prefixes))
		}
	}
	if accepted < 600 {
		t.Errorf("only %d of 1000 random scopes were accepted; the test has lost its subject", accepted)
	}
}

func TestPolicy_NeighboursStayShut(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		prefix, key string
		want        bool
	}{
		{"a/", "a/x", true}, {"a/", "a/", true}, {"a/", "a", false}, {"a/", "ab/x", false}, {"a/", "A/x", false},
		{"a", "a", true}, {"a", "ab/x", true}, {"a", "b", false},
		{"*", "*x", true}, {"*", "x", false}, {"?/", "?/x", true}, {"?/", "a/x", false}, {"..", "../x", true},
		{"${aws:username}/", "${aws:username}/x", true}, {"${aws:username}/", "ann/x", false},
	} {
		s := scopeOf(func(s *Scope) { s.Prefixes = []string{row.prefix} })
		policy := evaluator(t, render(t, s, chained(), nil).Policy)
		context := map[string]string{"aws:username": "ann"}
		if got := policy.Allows(iamtest.Object("s3:GetObject", "aws", "bucket-a", row.key, context)); got != row.want {
			t.Errorf("%q opens %q: %v, want %v", row.prefix, row.key, got, row.want)
		}
		if got := policy.Allows(iamtest.List("aws", "bucket-a", &row.key, context)); got != row.want {
			t.Errorf("%q lists %q: %v, want %v", row.prefix, row.key, got, row.want)
		}
	}
}

// FuzzPolicy writes a policy for any prefix and holds it against any key.
func FuzzPolicy(f *testing.F) {
	for _, seed := range [][2]string{{"a/", "a/b"}, {"a/", "ab"}, {"*", "b"}, {"${*}", "${*}"}, {"é\u20ac", "é"},
		{"..", "."}, {`"\`, `"`}} {
		f.Add(seed[0], "b/", seed[1], uint8(3))
	}
	f.Fuzz(func(t *testing.T, first, second, key string, access uint8) {
		s := scopeOf(func(s *Scope) {
			s.Prefixes = []string{first, second}
			for i, level := range accessLevels() {
				if access>>i&1 == 1 {
					s.Access = append(s.Access, level)
				}
			}
		})
		program, err := Compile(s, chained())
		if err != nil || program.Templated() || strings.ToValidUTF8(key, "") != key {
			t.Skip("not a scope with literal prefixes")
		}
		r, err := program.Render(nil)
		if err != nil {
			t.Fatalf("Render: %v", err)
		}
		for _, one := range []string{key, first + key, second + key, key + first} {
			judge(t, &s, r, "bucket-a", one)
		}
	})
}
