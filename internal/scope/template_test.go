package scope

import (
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

func TestTemplate_TakesTheFiveFormsAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ text, want, fault string }{
		{"plain", "plain", ""},
		{"{{identity.entity.id}}", "e-1", ""},
		{"{{identity.entity.name}}-x", "ann-x", ""},
		{"a-{{ identity.entity.metadata.team }}-b", "a-blue-b", ""},
		{"{{identity.entity.metadata.cost.center}}", "42", ""},
		{"{{identity.entity.aliases.auth_1.name}}", "ann@example.com", ""},
		{"{{identity.entity.aliases.auth_1.metadata.group}}", "dev", ""},
		{"{{identity.entity.name}}{{identity.entity.id}}", "anne-1", ""},
		{"{ } {x} {", "{ } {x} {", ""},

		{"{{", "", "not balanced"},
		{"}}", "", "not balanced"},
		{"{{identity.entity.name}} }}", "", "not balanced"},
		{"{{identity.entity.name", "", "not balanced"},
		{"{{ {{identity.entity.name}} }}", "", "not balanced"},
		{"{{{identity.entity.name}}}", "", "none of"},
		{"{{}}", "", "none of"},
		{"{{identity.entity.metadata}}", "", "none of"},
		{"{{identity.entity.metadata.}}", "", "none of"},
		{"{{identity.entity.aliases.auth_1.id}}", "", "none of"},
		{"{{identity.entity.aliases.auth_1}}", "", "none of"},
		{"{{identity.entity.aliases..name}}", "", "none of"},
		{"{{identity.entity.aliases.auth_1.custom_metadata.x}}", "", "none of"},
		{"{{identity.entity.groups.names}}", "", "none of"},
		{"{{identity.groups.names.x.id}}", "", "none of"},
		{"{{time.now}}", "", "none of"},
		{"{{identity.entity.namex}}", "", "none of"},
		{"{{Identity.entity.name}}", "", "none of"},
	} {
		parsed, fault := parseTemplate(row.text)
		if row.fault != "" {
			if !strings.Contains(fault, row.fault) {
				t.Errorf("parsing %q: %q, want words with %q", row.text, fault, row.fault)
			}
			continue
		}
		if fault != "" {
			t.Errorf("parsing %q: %s", row.text, fault)
			continue
		}
		if got, fault := parsed.render(ann(), nil, nil); got != row.want || fault != "" {
			t.Errorf("rendering %q: %q, %q; want %q", row.text, got, fault, row.want)
		}
	}
}

func TestRender_HostileValuesAreRefusedAndNeverChanged(t *testing.T) {
	t.Parallel()
	s := scopeOf(func(s *Scope) { s.Prefixes = []string{"teams/{{identity.entity.metadata.team}}/"} })
	own := scopeOf(func(s *Scope) {
		s.Buckets, s.Policy = nil, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",`+
			`"Resource":"arn:aws:s3:::b/{{identity.entity.metadata.team}}/*"}}`
	})
	for _, row := range []struct{ value, says string }{
		{"", "it is empty"}, {".", `it is "."`}, {"a..b", `it holds ".."`}, {"..", `it holds ".."`},
		{"*", `it holds "*"`}, {"a?", `it holds "?"`}, {"$x", `it holds "$"`}, {"a/b", `it holds "/"`},
		{"a+", `it holds "+"`},
		{"a,b", `it holds ","`}, {"{x", `it holds "{"`}, {"x}", `it holds "}"`}, {`a"b`, `it holds "\""`},
		{`a\b`, `it holds "\\"`},
		{"a\nb", `it holds "\n"`}, {"a\x00", `it holds "\x00"`}, {"\x7f", `it holds "\x7f"`},
		{"\u0085", `it holds "\u0085"`},
		{"{{identity.entity.id}}", `it holds "{"`}, {"\xff", "it is not UTF-8"},
	} {
		e := ann()
		e.Metadata["team"] = row.value
		for field, one := range map[string]Scope{"prefixes": s, "policy": own} {
			program, err := Compile(one, chained())
			if err != nil {
				t.Fatalf("Compile: %v", err)
			}
			r, err := program.Render(e)
			if r != nil {
				t.Errorf("%q: rendered %s", row.value, r.Policy)
			}
			wantProblem(t, err, `"orders/reports"`, field+": {{identity.entity.metadata.team}} has no usable "+
				"value: "+row.says,
				"no session was requested")
			if len(row.value) > 3 && strings.Contains(err.Error(), row.value) {
				t.Errorf("the error repeats the entity's value: %v", err)
			}
		}
	}
}

func TestRender_NamesAndTagsTakeWhatAWSTakes(t *testing.T) {
	t.Parallel()
	const team = "{{identity.entity.metadata.team}}"
	for _, row := range []struct{ field, value, says string }{
		{"session_name", "blue.+=,@_-", ""},
		{"session_name", "a b", `holds " ", which AWS does not take there`},
		{"session_name", "é", "which AWS does not take"},
		{"session_name", "", "has 1 characters, and AWS takes 2 to 64"},
		{"session_name", strings.Repeat("a", 64), "has 65 characters"},
		{"source_identity", "a/b", `holds "/"`},
		{"session_tags", "a b/é.:=+-@_", ""},
		{"session_tags", "", ""},
		{"session_tags", "a\nb", `the value of "team": holds "\n"`},
		{"session_tags", "*", `holds "*"`},
		{"session_tags", "\xff", "is not UTF-8"},
		{"session_tags", strings.Repeat("é", 257), "has 257 characters"},
	} {
		s := scopeOf(func(s *Scope) {
			s.RoleARN = testRole
			switch row.field {
			case "session_name":
				s.SessionName = "x" + team
			case "source_identity":
				s.SourceIdentity = "x" + team
			default:
				s.SessionTags = map[string]string{"team": team}
			}
		})
		program, err := Compile(s, withKeys())
		if err != nil {
			t.Fatalf("Compile: %v", err)
		}
		e := ann()
		e.Metadata["team"] = row.value
		r, err := program.Render(e)
		if row.says != "" {
			wantProblem(t, err, row.field+": ", row.says)
			continue
		}
		if err != nil {
			t.Errorf("%s of %q: %v", row.field, row.value, err)
		} else if row.field == "session_tags" && r.Tags[0].Value != row.value || row.field == "session_name" &&
			r.SessionName != "x"+row.value {
			t.Errorf("%s of %q was changed: %+v", row.field, row.value, r)
		}
	}
}

func TestRender_WithoutWhatIsAskedForIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		prefix string
		e      *Entity
		says   string
	}{
		{"{{identity.entity.name}}/", nil, "needs an entity, and the token has none"},
		{"{{identity.entity.metadata.none}}/", ann(), "there is no such metadata"},
		{"{{identity.entity.aliases.auth_2.name}}/", ann(), "no alias at the auth method with that accessor"},
		{"{{identity.entity.aliases.auth_1.metadata.none}}/", ann(), "there is no such metadata"},
	} {
		program, err := Compile(scopeOf(func(s *Scope) { s.Prefixes = []string{row.prefix} }), chained())
		if err != nil {
			t.Fatalf("Compile: %v", err)
		}
		_, err = program.Render(row.e)
		wantProblem(t, err, "prefixes: ", row.says)
		_, err = program.Variant(row.e)
		wantProblem(t, err, "prefixes: ", row.says)
	}
	if _, err := render(t, scopeOf(nil), chained(), nil), error(nil); err != nil {
		t.Error(err)
	}
}

// Two entities never share a session, also where their templates are rendered alike: a scope with templates is
// there to distinguish them. One entity always gets the same, until a value that the scope uses changes.
func TestVariant_IsOfOneEntityAndItsValues(t *testing.T) {
	t.Parallel()
	program := mustCompile(t, scopeOf(func(s *Scope) {
		s.Prefixes = []string{"{{identity.entity.metadata.team}}/{{identity.entity.name}}/"}
		s.SessionName = "{{identity.entity.name}}"
	}))
	of := func(id, team, name, other string) string {
		t.Helper()
		variant, err := program.Variant(&Entity{ID: id, Name: name,
			Metadata: map[string]string{"team": team, "other": other}})
		if err != nil {
			t.Fatalf("Variant: %v", err)
		}
		return variant
	}
	seen := map[string][3]string{}
	for _, one := range [][3]string{{"e-1", "a", "b"}, {"e-2", "a", "b"}, {"e-1", "ab", ""}, {"e-1", "", "ab"},
		{"e-1", "a1:b", ""}, {"e-1", "a", "1:b"}, {"e-1", "1:a", "b"}, {"e-1", "b", "a"}, {"e-11:a", "b", ""},
		{"", "e-1", "b"}} {
		variant := of(one[0], one[1], one[2], "x")
		if other, taken := seen[variant]; taken {
			t.Errorf("%q and %q have the same variant %q", one, other, variant)
		}
		seen[variant] = one
		if of(one[0], one[1], one[2], "y") != variant {
			t.Errorf("%q: the variant depends on what the scope does not use", one)
		}
	}
	if rendered := render(t, program.scope, chained(), ann()); rendered.Variant != of("e-1", "blue", "ann", "x") {
		t.Errorf("rendered with the variant %q", rendered.Variant)
	}
	if variant, err := mustCompile(t, scopeOf(nil)).Variant(nil); variant != "" || err != nil {
		t.Errorf("a scope without templates has the variant %q, %v", variant, err)
	}
}

func mustCompile(t *testing.T, s Scope) *Program {
	t.Helper()
	program, err := Compile(s, chained())
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return program
}

func TestRender_EntitiesStayInTheirOwnPrefixes(t *testing.T) {
	t.Parallel()
	s := scopeOf(func(s *Scope) { s.Prefixes = []string{"users/{{identity.entity.id}}/", "public/"} })
	r := render(t, s, chained(), ann())
	policy := evaluator(t, r.Policy)
	for key, want := range map[string]bool{"users/e-1/x": true, "users/e-12/x": false, "users/": false,
		"users/e-2/x": false, "public/x": true} {
		if got := policy.Allows(iamtest.Object("s3:GetObject", "aws", "bucket-a", key, nil)); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
}

// FuzzRender gives an entity any metadata: what is rendered opens the keys below that value alone, and is never
// changed.
func FuzzRender(f *testing.F) {
	for _, value := range []string{"blue", "*", "a/b", "..", "${*}", "a\x00b", `a"b`, "{{identity.entity.id}}",
		"é\u20ac", ""} {
		f.Add(value, "k")
	}
	f.Fuzz(func(t *testing.T, value, key string) {
		e := ann()
		e.Metadata["team"] = value
		prefixed := mustCompile(t,
			scopeOf(func(s *Scope) { s.Prefixes = []string{"t/{{identity.entity.metadata.team}}/"} }))
		own := mustCompile(t, scopeOf(func(s *Scope) {
			s.Buckets = nil
			s.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",` +
				`"Resource":"arn:aws:s3:::bucket-a/t/{{identity.entity.metadata.team}}/*"}]}`
		}))
		key = strings.ToValidUTF8(key, "")
		for _, program := range []*Program{prefixed, own} {
			r, err := program.Render(e)
			if err != nil {
				continue
			}
			if strings.ContainsAny(value, hostileCharacters) || strings.Contains(value, "..") || value == "" {
				t.Fatalf("the value %q was rendered into %s", value, r.Policy)
			}
			policy := evaluator(t, r.Policy)
			for _, one := range []string{key, "t/" + key, "t/" + value + key, "t/" + value + "/" + key} {
				want := strings.HasPrefix(one, "t/"+value+"/")
				if got := policy.Allows(iamtest.Object("s3:GetObject", "aws", "bucket-a", one, nil)); got != want {
					t.Fatalf("%q for the value %q: %v, want %v; policy %s", one, value, got, want, r.Policy)
				}
			}
		}
	})
}
