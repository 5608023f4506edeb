package scope

import (
	"strings"
	"testing"
)

const ownPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",` +
	`"Resource":"arn:aws:s3:::b/*"}]}`

func TestValidate_NamesTheFieldAndTheCause(t *testing.T) {
	t.Parallel()
	store := Facts{Connection: "orders", Scope: "reports", OwnStore: true, Partition: "aws"}
	for _, row := range []struct {
		name   string
		facts  Facts
		change func(*Scope)
		says   string // "": accepted
	}{
		{"the least", chained(), nil, ""},
		{"no bucket", chained(), func(s *Scope) { s.Buckets = nil }, "buckets: is required"},
		{"an upper-case bucket", chained(), func(s *Scope) { s.Buckets = []string{"Bucket"} },
			`buckets: "Bucket" is no bucket's name`},
		{"a wildcard for a bucket", chained(), func(s *Scope) { s.Buckets = []string{"buck*"} }, "buckets: "},
		{"a bucket with a key", chained(), func(s *Scope) { s.Buckets = []string{"bucket/key"} }, "buckets: "},
		{"an address for a bucket", chained(), func(s *Scope) { s.Buckets = []string{"192.168.5.4"} }, "no IP address"},
		{"two dots", chained(), func(s *Scope) { s.Buckets = []string{"my..bucket"} }, "two dots"},
		{"an alias", chained(), func(s *Scope) { s.Buckets = []string{"ap-x-s3alias"} }, `ends in "-s3alias"`},
		{"a directory bucket", chained(), func(s *Scope) { s.Buckets = []string{"b--usw2-az1--x-s3"} },
			`ends in "--x-s3"`},
		{"a reserved beginning", chained(), func(s *Scope) { s.Buckets = []string{"xn--abc"} }, `begins with "xn--"`},
		{"a template for a bucket", chained(), func(s *Scope) { s.Buckets = []string{"{{identity.entity.name}}"} },
			"buckets: "},
		{"an empty prefix", chained(), func(s *Scope) { s.Prefixes = []string{"a/", ""} },
			`prefixes: "" is empty, which would open the whole bucket`},
		{"a control character", chained(), func(s *Scope) { s.Prefixes = []string{"a\n/"} }, "prefixes: "},
		{"a long prefix", chained(), func(s *Scope) { s.Prefixes = []string{strings.Repeat("a", 1025)} },
			"has 1025 bytes"},
		{"another directive", chained(), func(s *Scope) { s.Prefixes = []string{"{{time.now}}/"} },
			`prefixes: has the directive "{{time.now}}"`},
		{"a key of another partition", chained(),
			func(s *Scope) { s.KMSKeyARNs = []string{"arn:aws-cn:kms:cn-north-1:123456789012:key/k"} },
			"kms_key_arns: "},
		{"an alias of a key", chained(),
			func(s *Scope) { s.KMSKeyARNs = []string{"arn:aws:kms:us-east-1:123456789012:alias/k"} },
			"is not a key's ARN"},
		{"every key", chained(), func(s *Scope) { s.KMSKeyARNs = []string{"arn:aws:kms:us-east-1:123456789012:key/*"} },
			"is not a key's ARN"},
		{"no range", chained(), func(s *Scope) { s.SourceCIDRs = []string{"10.0.0"} },
			`source_cidrs: "10.0.0" is neither`},
		{"a range with a host", chained(), func(s *Scope) { s.SourceCIDRs = []string{"203.0.113.7/24"} },
			"the range is 203.0.113.0/24"},
		{"a mapped address", chained(), func(s *Scope) { s.SourceCIDRs = []string{"::ffff:203.0.113.7"} },
			"source_cidrs: "},
		{"no endpoint", chained(), func(s *Scope) { s.SourceVPCEndpoints = []string{"vpc-1"} },
			`source_vpc_endpoints: "vpc-1" is no VPC endpoint's id`},

		{"a policy", chained(), func(s *Scope) { s.Buckets, s.Policy = nil, ownPolicy }, ""},
		{"a policy beside buckets", chained(), func(s *Scope) { s.Policy = ownPolicy },
			"buckets: does not go together with policy"},
		{"a policy beside a source", chained(),
			func(s *Scope) { s.Buckets, s.Policy, s.SourceCIDRs = nil, ownPolicy, []string{"x"} },
			"source_cidrs: does not go together"},
		{"no JSON", chained(), func(s *Scope) { s.Buckets, s.Policy = nil, "{" }, "policy: is not JSON"},
		{"two documents", chained(), func(s *Scope) { s.Buckets, s.Policy = nil, ownPolicy+"{}" }, "something after"},
		{"a list", chained(), func(s *Scope) { s.Buckets, s.Policy = nil, "[]" }, "has to be a JSON object"},
		{"no statement", chained(), func(s *Scope) { s.Buckets, s.Policy = nil, `{"Statement":[]}` },
			"it would grant nothing"},
		{"denials alone", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil,
				strings.Replace(ownPolicy, "Allow", "Deny", 1)
		},
			"no statement that allows something"},
		{"a template as effect", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, "Allow", "{{identity.entity.name}}", 1)
		}, "neither \"Allow\" nor \"Deny\""},
		{"a principal", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, `"Effect"`, `"Principal":"*","Effect"`, 1)
		},
			"has a statement 1 with a Principal"},
		{"an element twice", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, `"Effect"`, `"Effect":"Deny","Effect"`, 1)
		}, `the element "Effect" twice`},
		{"a directive in a name", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, `"Effect"`, `"{{identity.entity.id}}":1,"Effect"`, 1)
		}, "directives belong into values"},
		{"unbalanced braces in a policy", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, "b/*", "b/{{identity.entity.id}}}}*", 1)
		}, "policy: has braces that are not balanced"},
		{"half a character", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil,
				strings.Replace(ownPolicy, "b/*", `b/\ud800*`, 1)
		},
			"not Unicode"},
		{"a directive inside a policy variable", chained(), func(s *Scope) {
			s.Buckets = nil
			s.Policy = statementOf(`"Action":"s3:GetObject","Resource":"a/${aws:{{identity.entity.name}}}"`)
		}, "policy: has a directive inside of \"${\" and \"}\""},
		{"a directive behind a policy variable", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":"s3:GetObject",`+
				`"Resource":"arn:aws:s3:::a/${aws:userid}/$/{{identity.entity.name}}"`)
		}, ""},
		{"a misspelt Condition", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":"s3:GetObject","Resource":"*","Conditions":{}`)
		}, `policy: has a statement 1 with the element "Conditions", which IAM's statements do not have`},
		{"an element in another case", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"effect":"Deny","Action":"s3:GetObject","Resource":"*"`)
		}, `policy: has a statement 1 with the element "effect"`},
		{"an unknown element of the policy", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, `{"Versions":"2012-10-17","Statement":[]}`
		}, `policy: has the element "Versions"`},
		{"Action beside NotAction", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":"s3:GetObject","NotAction":"s3:*","Resource":"*"`)
		}, "policy: has a statement 1 with both Action and NotAction"},
		{"an Action that is null", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":null,"Resource":"*"`)
		}, "policy: has a statement 1 whose Action is not a string or a list of them with something in it"},
		{"no Resource in the list", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":"s3:GetObject","Resource":[]`)
		}, "policy: has a statement 1 whose Resource is not"},
		{"a NotResource of lists", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":"s3:GetObject","NotResource":[["*"]]`)
		}, "policy: has a statement 1 whose Resource is not"},
		{"a Condition that is a list", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, statementOf(`"Action":"s3:GetObject","Resource":"*","Condition":[]`)
		}, "policy: has a statement 1 whose Condition is not an object"},
		{"a deep policy", chained(), func(s *Scope) { s.Buckets, s.Policy = nil, strings.Repeat(`{"a":`, 30) },
			"nested more than"},
		{"a long policy", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, "b/*", strings.Repeat("k", 2048), 1)
		}, "policy: the session policy would have 2"},
		{"a policy written with many spaces", chained(), func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.ReplaceAll(ownPolicy, ",", ",\n"+strings.Repeat(" ", 1000))
		}, ""},

		{"no role for access keys", withKeys(), nil, "role_arn: is required for a connection of auth_type access_key"},
		{"a role for access keys", withKeys(), func(s *Scope) { s.RoleARN = testRole }, ""},
		{"no role for a store", store, nil, ""},
		{"any role for a store", store, func(s *Scope) { s.RoleARN = "urn:ecs:iam::ns:role/app" }, ""},
		{"a short role for a store", store, func(s *Scope) { s.RoleARN = "role" }, "role_arn: "},
		{"a role of another account", chained(), func(s *Scope) { s.RoleARN = "arn:aws:iam::999999999999:role/path/x" },
			""},
		{"a role of another partition", chained(), func(s *Scope) { s.RoleARN = "arn:aws-cn:iam::999999999999:role/x" },
			`role_arn: is in partition "aws-cn"`},
		{"a user", chained(), func(s *Scope) { s.RoleARN = "arn:aws:iam::999999999999:user/x" }, "is not a role's ARN"},
		{"an external id with a space", chained(), func(s *Scope) { s.ExternalID = "a b" }, "external_id: holds"},
		{"a session name with a space", chained(), func(s *Scope) { s.SessionName = "a b" }, `session_name: holds " "`},
		{"a short session name", chained(), func(s *Scope) { s.SessionName = "a" }, "session_name: has 1 characters"},
		{"a templated session name", chained(), func(s *Scope) { s.SessionName = "{{identity.entity.name}}" }, ""},
		{"a templated name that is too long already", chained(),
			func(s *Scope) { s.SessionName = strings.Repeat("a", 65) + "{{identity.entity.name}}" },
			"session_name: has 65 characters"},
		{"a long default name", Facts{Connection: strings.Repeat("a", 60), Scope: "reports", RolesAnywhere: true,
			RoleARN: testRole},
			nil, "session_name: is required here"},
		{"a source identity for a chained session", chained(), func(s *Scope) { s.SourceIdentity = "ann" },
			"source_identity: is set by Roles Anywhere"},
		{"a source identity for access keys", withKeys(),
			func(s *Scope) { s.RoleARN, s.SourceIdentity = testRole, "ann" }, ""},
		{"an hour and a second chained", chained(), func(s *Scope) { s.Duration = 3601 },
			"duration: 3601 s is outside 900 s to 3600 s"},
		{"twelve hours for access keys", withKeys(), func(s *Scope) { s.RoleARN, s.Duration = testRole, 43200 }, ""},
		{"more for access keys", withKeys(), func(s *Scope) { s.RoleARN, s.Duration = testRole, 43201 }, "duration: "},
		{"a reserved tag", chained(), func(s *Scope) { s.SessionTags = map[string]string{"AWS:x": "y"} },
			`session_tags: the key "AWS:x"`},
		{"a bad tag key", chained(), func(s *Scope) { s.SessionTags = map[string]string{"a*": "y"} },
			`the key "a*" holds`},
		{"a bad tag value", chained(), func(s *Scope) { s.SessionTags = map[string]string{"a": "y*"} },
			`session_tags: the value of "a": holds`},
		{"two tags in another case", chained(), func(s *Scope) { s.SessionTags = map[string]string{"a": "", "A": ""} },
			"upper and lower case"},
		{"an unknown transitive tag", chained(), func(s *Scope) { s.TransitiveTagKeys = []string{"team"} },
			`transitive_tag_keys: "team" is no key`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := validate(scopeOf(row.change), row.facts)
			if row.says == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			wantProblem(t, err, row.says, "nothing was stored")
		})
	}
}

func TestValidate_WarnsOfWhatMayNotBeMeant(t *testing.T) {
	t.Parallel()
	everything := func(action, resource string) func(*Scope) {
		return func(s *Scope) {
			s.Buckets = nil
			s.Policy = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["sts:x","` + action +
				`"],"Resource":"` + resource + `"}}`
		}
	}
	for _, row := range []struct {
		name   string
		change func(*Scope)
		says   string // "": no warning
	}{
		{"a prefix that ends in a slash", func(s *Scope) { s.Prefixes = []string{"team/a/"} }, ""},
		{"a prefix without", func(s *Scope) { s.Prefixes = []string{"team/a"} },
			`prefixes: "team/a" does not end in "/", so it opens`},
		{"a directive at the end", func(s *Scope) { s.Prefixes = []string{"{{identity.entity.name}}"} },
			"does not end in"},
		{"a slash at the beginning", func(s *Scope) { s.Prefixes = []string{"/team/"} }, "begins with"},
		{"everything", everything("*", "*"), "policy: it allows every action on everything"},
		{"variables in an old policy", func(s *Scope) {
			s.Buckets = nil
			s.Policy = `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"b/${aws:userid}"}}`
		}, `policy: its Version is not "2012-10-17"`},
		{"all of S3", everything("s3:*", "arn:aws:s3:::*"), "every action"},
		{"all of S3 in other letters", everything("S3:**", "*"), "every action"},
		{"all of a bucket", everything("s3:*", "arn:aws:s3:::b/*"), ""},
		{"reading everything", everything("s3:Get*", "*"), ""},
		{"keys for a scope that only lists", func(s *Scope) {
			s.Access, s.KMSKeyARNs = []string{"list"}, []string{"arn:aws:kms:us-east-1:123456789012:key/k"}
		}, "kms_key_arns: it adds nothing"},
		{"a private range", func(s *Scope) { s.SourceCIDRs = []string{"10.0.0.0/8"} },
			"AWS sees public addresses alone"},
		{"every address", func(s *Scope) { s.SourceCIDRs = []string{"0.0.0.0/0"} }, "lets in every address"},
		{"a public range", func(s *Scope) { s.SourceCIDRs = []string{"203.0.113.0/24"} }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			warnings, err := validate(scopeOf(row.change), chained())
			said := strings.Join(warnings, "\n")
			if err != nil || (said == "") != (row.says == "") || !strings.Contains(said, row.says) {
				t.Errorf("warnings %q, error %v; want a warning with %q", said, err, row.says)
			}
		})
	}
}

func TestValidate_NamesHaveALength(t *testing.T) {
	t.Parallel()
	const account = ":123456789012:"
	for field, set := range map[string]struct {
		longest int
		to      func(s *Scope, name string)
	}{
		"buckets": {63, func(s *Scope, name string) { s.Buckets = []string{name} }},
		"role_arn": {64, func(s *Scope, name string) {
			s.RoleARN = "arn:aws:iam:" + account + "role/" + strings.Repeat("path/", 20) + name
		}},
		"kms_key_arns": {64, func(s *Scope, name string) {
			s.KMSKeyARNs = []string{"arn:aws:kms:us-east-1" + account + "key/" + name}
		}},
	} {
		for _, length := range []int{set.longest, set.longest + 1} {
			_, err := validate(scopeOf(func(s *Scope) { set.to(s, strings.Repeat("a", length)) }), chained())
			if length == set.longest && err != nil {
				t.Errorf("%s of %d characters: %v", field, length, err)
			}
			if length > set.longest {
				wantProblem(t, err, field+": ")
			}
		}
	}
}

func TestOutlives_NamesTheScopeAndWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	long := scopeOf(func(s *Scope) { s.RoleARN, s.Duration, s.SourceIdentity = testRole, 43200, "ann" })
	if err := Outlives(&long, withKeys()); err != nil {
		t.Errorf("a scope does not outlive no change: %v", err)
	}
	wantProblem(t, Outlives(&long, chained()), `scope "orders/reports" would not work any more`, "duration: ",
		"source_identity: ",
		"change or delete the scope first")
	plain := scopeOf(nil)
	wantProblem(t, Outlives(&plain, withKeys()), "role_arn: is required")
}

// statementOf is a policy of one statement with these elements.
func statementOf(elements string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + elements + `}]}`
}
