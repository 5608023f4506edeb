package iamtest

import (
	"strings"
	"testing"
)

const (
	allowGet = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"RESOURCE"}}`
	withIf   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*",` +
		`"Condition":CONDITION}]}`
)

func TestAllows_FollowsAWSDocuments(t *testing.T) {
	t.Parallel()
	get := func(key string) Request { return Object("s3:GetObject", "aws", "b", key, nil) }
	from := func(key, value string) Request {
		return Object("s3:GetObject", "aws", "b", "k", map[string]string{key: value})
	}
	resource := func(pattern string) string { return strings.Replace(allowGet, "RESOURCE", pattern, 1) }
	when := func(condition string) string { return strings.Replace(withIf, "CONDITION", condition, 1) }
	for _, row := range []struct {
		name, policy string
		request      Request
		want         bool
	}{
		{"an exact resource", resource("arn:aws:s3:::b/k"), get("k"), true},
		{"another key", resource("arn:aws:s3:::b/k"), get("kk"), false},
		{"another partition", resource("arn:aws-cn:s3:::b/k"), get("k"), false},
		{"a star crosses slashes", resource("arn:aws:s3:::b/a*"), get("a/b/c"), true},
		{"a star crosses colons at the end", resource("arn:aws:s3:::b/a*"), get("a:b:c"), true},
		{"a star crosses lines", resource("arn:aws:s3:::b/a*"), get("a\nb"), true},
		{"a star stands for nothing too", resource("arn:aws:s3:::b/a*"), get("a"), true},
		{"a star stays in its part", resource("arn:*:b/k"), get("k"), false},
		{"a question mark is one character", resource("arn:aws:s3:::b/a?"), get("aé"), true},
		{"a question mark is not none", resource("arn:aws:s3:::b/a?"), get("a"), false},
		{"an escaped star is itself", resource("arn:aws:s3:::b/a${*}"), get("a*"), true},
		{"an escaped star is nothing else", resource("arn:aws:s3:::b/a${*}"), get("ab"), false},
		{"a star after an escaped dollar", resource("arn:aws:s3:::b/${$}{*}"), get("${x}"), true},
		{"an escaped dollar before braces", resource("arn:aws:s3:::b/${$}{${*}}"), get("${*}"), true},
		{"an unknown variable matches nothing", resource("arn:aws:s3:::b/${aws:username}"), get("${aws:username}"),
			false},
		{"no variables in the old version", strings.Replace(resource("arn:aws:s3:::b/a${*}"), "2012", "2008", 1),
			get("a*"), false},
		{"everything", resource("*"), get("k"), true},
		{"another action", resource("*"), Object("s3:GetObjectVersion", "aws", "b", "k", nil), false},
		{"actions in any case", strings.Replace(resource("*"), "s3:GetObject", "S3:getO*", 1), get("k"), true},
		{"a range of addresses", when(`{"IpAddress":{"aws:SourceIp":["203.0.113.0/24"]}}`),
			from("aws:SourceIp", "203.0.113.9"), true},
		{"outside the range", when(`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`),
			from("aws:SourceIp", "203.0.114.9"), false},
		{"no address", when(`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), get("k"), false},
		{"a negated operator without a value", when(`{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}`), get("k"), true},
		{"IfExists without a value", when(`{"StringEqualsIfExists":{"aws:SourceVpce":"vpce-1"}}`), get("k"), true},
		{"keys in any case", when(`{"StringEquals":{"AWS:sourcevpce":"vpce-1"}}`), from("aws:SourceVpce", "vpce-1"),
			true},
		{"all keys have to match", when(`{"StringEquals":{"aws:SourceVpce":"vpce-1","aws:x":"y"}}`),
			from("aws:SourceVpce", "vpce-1"), false},
		{"a denial wins", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},` +
			`{"Effect":"Deny","Action":"s3:Get*","NotResource":"arn:aws:s3:::b/a*"}]}`, get("k"), false},
		{"a denial of others", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},` +
			`{"Effect":"Deny","NotAction":"s3:Get*","Resource":"*"}]}`, get("k"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			policy, err := Parse(row.policy)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if got := policy.Allows(row.request); got != row.want {
				t.Errorf("Allows(%+v) = %v for %s", row.request, got, row.policy)
			}
		})
	}
}

func TestParse_RefusesWhatItCannotEvaluate(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{
		``, `{}`, `{"Statement":[]}`, `{"Statement":[{"Effect":"Allow"}]}`,
		`{"Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*",` +
			`"Condition":{"DateLessThan":{"aws:CurrentTime":"x"}}}]}`,
	} {
		if _, err := Parse(policy); err == nil {
			t.Errorf("Parse(%s) succeeded", policy)
		}
	}
}
