package scope

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

func TestPolicy_IsWrittenInFewStatementsAndAlwaysAlike(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*Scope)
		facts  Facts
		want   string
	}{
		{"a whole bucket", nil, chained(),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject",` +
				`"s3:GetObjectVersion","s3:ListBucket"],"Resource":["arn:aws:s3:::bucket-a",` +
				`"arn:aws:s3:::bucket-a/*"]}]}`},
		{"a prefix", func(s *Scope) { s.Prefixes = []string{"team/a/", "team/a/b/", "team/a/"} }, chained(),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject",` +
				`"s3:GetObjectVersion"],"Resource":["arn:aws:s3:::bucket-a","arn:aws:s3:::bucket-a/team/a/*"]},` +
				`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket-a",` +
				`"Condition":{"StringLike":{"s3:prefix":"team/a/*"}}}]}`},
		{"writing with a key from two places", func(s *Scope) {
			s.Access = []string{"write"}
			s.Prefixes = []string{"in/"}
			s.SourceCIDRs = []string{"203.0.113.0/24"}
			s.SourceVPCEndpoints = []string{"vpce-0123456789abcdef0"}
			s.KMSKeyARNs = []string{"arn:aws:kms:eu-west-1:123456789012:key/k"}
		}, chained(),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:AbortMultipartUpload",` +
				`"s3:ListMultipartUploadParts","s3:PutObject"],"Resource":"arn:aws:s3:::bucket-a/in/*",` +
				`"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}},{"Effect":"Allow",` +
				`"Action":["s3:AbortMultipartUpload",` +
				`"s3:ListMultipartUploadParts","s3:PutObject"],"Resource":"arn:aws:s3:::bucket-a/in/*",` +
				`"Condition":{"StringEquals":{"aws:SourceVpce":"vpce-0123456789abcdef0"}}},` +
				`{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],` +
				`"Resource":"arn:aws:kms:eu-west-1:123456789012:key/k",` +
				`"Condition":{"StringLike":{"kms:ViaService":"s3.*"}}}]}`},
		{"deleting in China", func(s *Scope) { s.Access = []string{"delete"} },
			Facts{Connection: "o", Scope: "r", RolesAnywhere: true, RoleARN: "arn:aws-cn:iam::123456789012:role/x",
				Partition: "aws-cn"},
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:DeleteObject",` +
				`"s3:DeleteObjectVersion"],` +
				`"Resource":"arn:aws-cn:s3:::bucket-a/*"}]}`},
		{"listing alone", func(s *Scope) { s.Access, s.Prefixes = []string{"list"}, []string{"a/", "b/"} }, chained(),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetBucketLocation",` +
				`"Resource":"arn:aws:s3:::bucket-a"},` +
				`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket-a",` +
				`"Condition":{"StringLike":{"s3:prefix":["a/*","b/*"]}}}]}`},
		{"characters with a meaning", func(s *Scope) {
			s.Access, s.Prefixes = []string{"read"},
				[]string{`a*?$"\é` + "\u20ac\U0001f600/"}
		},
			chained(),
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectVersion"],` +
				`"Resource":"arn:aws:s3:::bucket-a/a${*}${?}${$}\"\\é\u20ac\ud83d\ude00/*"}]}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := scopeOf(row.change)
			if got := render(t, s, row.facts, nil).Policy; got != row.want {
				t.Errorf("the policy is\n%s, want\n%s", got, row.want)
			}
		})
	}
}

func TestPolicy_PartitionIsTheRolesOwn(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		facts Facts
		want  string
	}{
		{Facts{RolesAnywhere: true, RoleARN: "arn:aws-us-gov:iam::123456789012:role/x", Partition: "aws-us-gov"},
			"aws-us-gov"},
		{Facts{RolesAnywhere: true, RoleARN: "arn:aws-eusc:iam::123456789012:role/x"}, "aws-eusc"},
		{Facts{OwnStore: true, Partition: "aws"}, "aws"},
		{Facts{OwnStore: true}, "aws"},
	} {
		row.facts.Connection, row.facts.Scope = "orders", "reports"
		policy := render(t, scopeOf(nil), row.facts, nil).Policy
		if !strings.Contains(policy, `"arn:`+row.want+`:s3:::bucket-a"`) {
			t.Errorf("with %+v the policy is %s, want partition %s", row.facts, policy, row.want)
		}
	}
}

func TestPolicy_EitherSourceSuffices(t *testing.T) {
	t.Parallel()
	s := scopeOf(func(s *Scope) {
		s.Prefixes = []string{"a/"}
		s.SourceCIDRs = []string{"203.0.113.0/24", "2001:db8::/32"}
		s.SourceVPCEndpoints = []string{"vpce-00000001", "vpce-00000002"}
	})
	policy := evaluator(t, render(t, s, chained(), nil).Policy)
	prefix := "a/"
	for _, row := range []struct {
		name    string
		context map[string]string
		want    bool
	}{
		{"an address inside", map[string]string{"aws:SourceIp": "203.0.113.7"}, true},
		{"an IPv6 address inside", map[string]string{"aws:SourceIp": "2001:db8::7"}, true},
		{"an address outside", map[string]string{"aws:SourceIp": "203.0.114.7"}, false},
		{"one of the endpoints", map[string]string{"aws:SourceVpce": "vpce-00000002"}, true},
		{"another endpoint", map[string]string{"aws:SourceVpce": "vpce-00000003"}, false},
		{"neither", nil, false},
	} {
		get := iamtest.Object("s3:GetObject", "aws", "bucket-a", "a/k", row.context)
		list := iamtest.List("aws", "bucket-a", &prefix, row.context)
		if policy.Allows(get) != row.want || policy.Allows(list) != row.want {
			t.Errorf("%s: a read is allowed: %v, a list: %v; "+
				"want %v", row.name, policy.Allows(get), policy.Allows(list), row.want)
		}
	}
}

func TestPolicy_OnlyS3MayUseTheKeyAndFromAnyAddress(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
	viaS3 := map[string]string{"kms:ViaService": "s3.eu-west-1.amazonaws.com", "aws:SourceIp": "198.51.100.1"}
	for _, row := range []struct {
		access           string
		decrypt, encrypt bool
	}{
		{"list", false, false}, {"read", true, false}, {"write", true, true}, {"delete", false, false},
	} {
		s := scopeOf(func(s *Scope) {
			s.Access, s.KMSKeyARNs, s.SourceCIDRs = []string{row.access}, []string{key}, []string{"203.0.113.0/24"}
		})
		policy := evaluator(t, render(t, s, chained(), nil).Policy)
		for action, want := range map[string]bool{"kms:Decrypt": row.decrypt, "kms:GenerateDataKey": row.encrypt,
			"kms:Encrypt": false} {
			if got := policy.Allows(iamtest.Request{Action: action, Resource: key, Context: viaS3}); got != want {
				t.Errorf("%s, %s through S3: %v, want %v", row.access, action, got, want)
			}
			if policy.Allows(iamtest.Request{Action: action, Resource: key,
				Context: map[string]string{"aws:SourceIp": "203.0.113.1"}}) {
				t.Errorf("%s: the session itself may %s", row.access, action)
			}
			if policy.Allows(iamtest.Request{Action: action, Resource: key + "0", Context: viaS3}) {
				t.Errorf("%s, %s: another key is open", row.access, action)
			}
		}
	}
}

func TestPolicy_TwentyBucketsFitOrAreRefusedWithTheSize(t *testing.T) {
	t.Parallel()
	grown := func(buckets int, name string, prefixes ...string) Scope {
		return scopeOf(func(s *Scope) {
			s.Buckets, s.Prefixes = nil, prefixes
			for i := range buckets {
				s.Buckets = append(s.Buckets, fmt.Sprintf(name, i))
			}
		})
	}
	fits := render(t, grown(20, "bkt%02d"), chained(), nil).Policy
	if policyLength(fits) > MaxPolicy {
		t.Errorf("a policy of %d characters was accepted", policyLength(fits))
	}
	_, err := validate(grown(20, "analytics-bucket-%02d", "raw/", "curated/", "exports/"), chained())
	wantProblem(t, err, "buckets: the session policy would have ", " characters, and AWS takes at "+
		"most 2048", "split the scope")
	exact := grown(1, "bucket-%d", "a/")
	room := MaxPolicy - policyLength(render(t, exact, chained(), nil).Policy)
	exact.Prefixes = []string{strings.Repeat("a", 1+room/2) + "/"} // it stands in the policy twice
	if got := policyLength(render(t, exact, chained(), nil).Policy); got != MaxPolicy-room%2 {
		t.Errorf("the policy has %d characters, want %d", got, MaxPolicy-room%2)
	}
	exact.Prefixes[0] = "a" + exact.Prefixes[0]
	_, err = validate(exact, chained())
	wantProblem(t, err, fmt.Sprintf("would have %d characters", MaxPolicy-room%2+2))
}
