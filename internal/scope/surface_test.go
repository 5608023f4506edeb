package scope

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestSummary_ShowsWhatAScopeOpens(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*Scope)
		want   map[string]any
	}{
		{"a bucket", nil, map[string]any{"buckets": []string{"bucket-a"}, "access": []string{"list", "read"}}},
		{"a prefix of another role", func(s *Scope) { s.Prefixes, s.RoleARN = []string{"a/"}, testRole },
			map[string]any{"buckets": []string{"bucket-a"}, "prefixes": []string{"a/"},
				"access": []string{"list", "read"}, "role_arn": testRole}},
		{"a policy", func(s *Scope) { s.Buckets, s.Policy = nil, ownPolicy }, map[string]any{"policy": true}},
	} {
		s := scopeOf(row.change)
		if got := Summary(&s); !reflect.DeepEqual(got, row.want) {
			t.Errorf("%s: the summary is %v, want %v", row.name, got, row.want)
		}
	}
}

// A token without an entity, and a value that cannot be used, are blamed on the field that asks for it.
func TestRender_RefusalsNameTheField(t *testing.T) {
	t.Parallel()
	const one = "{{identity.entity.metadata.none}}"
	for field, change := range map[string]func(*Scope){
		"prefixes":     func(s *Scope) { s.Prefixes = []string{"a/", one + "/"} },
		"session_name": func(s *Scope) { s.SessionName = one },
		"session_tags": func(s *Scope) { s.SessionTags = map[string]string{"a": "plain", "team": one} },
		"source_identity": func(s *Scope) {
			s.RoleARN, s.SourceIdentity = testRole, one
		},
		"policy": func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, "b/*", "b/"+one+"/*", 1)
		},
	} {
		facts := chained()
		if field == "source_identity" {
			facts = withKeys()
		}
		program, err := Compile(scopeOf(change), facts)
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		if program.Revision() != "r1" || program.Settings().Duration != defaultDuration {
			t.Errorf("%s: the program is of %q, %+v", field, program.Revision(), program.Settings())
		}
		for says, entity := range map[string]*Entity{"the token has none": nil, "there is no such metadata": ann()} {
			_, err := program.Render(entity)
			wantProblem(t, err, field+": ", one, says, "no session was requested")
		}
	}
}

func TestRender_RefusesAPolicyThatAnEntityMakesTooLong(t *testing.T) {
	t.Parallel()
	entity := ann()
	entity.Metadata["team"] = strings.Repeat("a", 900)
	for field, change := range map[string]func(*Scope){
		"prefixes": func(s *Scope) {
			s.Prefixes = []string{"{{identity.entity.metadata.team}}/", "b{{identity.entity.metadata.team}}/"}
		},
		"policy": func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Replace(ownPolicy, "b/*",
				strings.Repeat("{{identity.entity.metadata.team}}", 3), 1)
		},
	} {
		program, err := Compile(scopeOf(change), chained())
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		_, err = program.Render(entity)
		wantProblem(t, err, field+": the session policy would have ", " characters, and AWS takes at most 2048")
	}
}

func TestCheckRequest_SaysWhatIsOutside(t *testing.T) {
	t.Parallel()
	narrow := render(t, scopeOf(func(s *Scope) {
		s.Prefixes = []string{"a/", "b/", "c/", "d/", "e/", "f/"}
	}), chained(), nil)
	own := render(t, scopeOf(func(s *Scope) { s.Buckets, s.Policy = nil, ownPolicy }), chained(), nil)
	for _, row := range []struct {
		scope               *Rendered
		method, bucket, key string
		says                string // "": nothing is wrong
	}{
		{narrow, "GET", "bucket-a", "a/x", ""},
		{narrow, "GET", "bucket-b", "a/x", `bucket: "bucket-b" is outside the scope, which opens "bucket-a"`},
		{narrow, "GET", "bucket-a", "x", `key: "x" is outside the scope, which opens keys that begin with "a/", ` +
			`"b/", "c/", "d/", "e/", others`},
		{narrow, "PUT", "bucket-a", "a/x",
			`method: "PUT" needs the access level "write", and the scope has "list", "read"`},
		{narrow, "PATCH", "bucket-a", "a/x", `method: "PATCH" needs the access level "none"`},
		{own, "DELETE", "bucket-b", "x", ""},
	} {
		var problems problem.List
		row.scope.CheckRequest(row.method, row.bucket, row.key, &problems)
		err := problems.Err("presigning", "nothing was signed")
		if row.says == "" && err != nil {
			t.Errorf("%s of %s/%s: %v", row.method, row.bucket, row.key, err)
		}
		if row.says != "" {
			wantProblem(t, err, row.says)
		}
	}
}

// What could not be decoded is reported once, and not judged as if it had been left out.
func TestValidate_DoesNotJudgeWhatCouldNotBeDecoded(t *testing.T) {
	t.Parallel()
	s := Scope{Settings: Settings{Duration: 1, ExternalID: "x y", SessionName: "x y", SourceIdentity: "x y",
		KMSKeyARNs: []string{"k"}, SourceCIDRs: []string{"c"}, SourceVPCEndpoints: []string{"v"}, RoleARN: "r",
		SessionTags: map[string]string{"aws:x": "\n"}, Prefixes: []string{""}}}
	var problems problem.List
	for _, row := range Table().Fields {
		problems.Add(row.Name, "could not be decoded")
	}
	Validate(&s, chained(), &problems)
	text, fields := problems.Err("writing scope", "nothing was stored").Error(), len(Table().Fields)
	if strings.Count(text, "could not be decoded") != fields || strings.Count(text, ": ") > fields+1 {
		t.Errorf("fields that could not be decoded are judged: %s", text)
	}
}

func TestValidate_SomeMoreRefusals(t *testing.T) {
	t.Parallel()
	tags := map[string]string{}
	for i := range 51 {
		tags[fmt.Sprint("t", i)] = "v"
	}
	for says, change := range map[string]func(*Scope){
		`role_arn: "app" is not a role's ARN`:                 func(s *Scope) { s.RoleARN = "app" },
		"session_tags: has 51 tags, and AWS takes at most 50": func(s *Scope) { s.SessionTags = tags },
		`source_cidrs: "::ffff:203.0.113.0/120" is neither`: func(s *Scope) {
			s.SourceCIDRs = []string{"203.0.113.7", "::ffff:203.0.113.0/120"}
		},
		"has a statement 2 that is not an object": func(s *Scope) {
			s.Buckets, s.Policy = nil, `{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"b"},"x"]}`
		},
		"has a statement 1 without an Action or a Resource": func(s *Scope) {
			s.Buckets, s.Policy = nil, `{"Statement":[{"Effect":"Allow","Action":"s3:*"}]}`
		},
		"is nested more than": func(s *Scope) {
			s.Buckets, s.Policy = nil, strings.Repeat(`[`, 40)+strings.Repeat(`]`, 40)
		},
	} {
		_, err := validate(scopeOf(change), chained())
		wantProblem(t, err, says)
	}
}

func TestFence_TriesAFewPlacesAndNoneWhereAllIsOpen(t *testing.T) {
	t.Parallel()
	below := func(prefixes ...string) *Rendered {
		return render(t, scopeOf(func(s *Scope) { s.Prefixes = prefixes }), chained(), nil)
	}
	many := below("a/", "b/", "c/", "d/", "e/", "f/")
	if inside := many.Fence(nil).Inside; len(inside) != maxTried {
		t.Errorf("a test lists %d places, want %d at most", len(inside), maxTried)
	}
	open := below("s", "~", "0", "A", "_", "z")
	if plan := open.Fence(nil); len(plan.Outside) != 0 || plan.Verdict(false, false) != FenceNotProvable {
		t.Errorf("where every beginning that is tried is open the plan is %+v", plan)
	}
}

func TestNewerError_SaysWhichPluginToRun(t *testing.T) {
	t.Parallel()
	_, err := Decode([]byte(`{"version":7,"revision":"r"}`))
	if err == nil || !strings.Contains(err.Error(), "stored in form 7 by a newer plugin") {
		t.Errorf("a newer entry: %v, want its form", err)
	}
}
