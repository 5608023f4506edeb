package scope

import (
	"slices"
	"strconv"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// Program is a scope that is ready to be rendered, its templates parsed. It never changes and is safe for concurrent
// use.
type Program struct {
	scope Scope
	facts Facts

	prefixes       []*template
	policy         *node // nil: the policy is generated
	sessionName    *template
	tagKeys        []string // sorted
	tagValues      []*template
	sourceIdentity *template

	// What every rendering has in common.
	buckets, access, transitiveTagKeys []string

	directives []directive // of all templates, each once
	fixed      *Rendered   // where there is no directive
}

// Compile parses the templates of a scope. Its error is a *[problem.Error] with everything that Validate would find; a
// scope that was stored by this version has nothing of that unless its connection was changed since.
func Compile(s Scope, f Facts) (*Program, error) {
	var problems problem.List
	Validate(&s, f, &problems)
	if err := problems.Err("preparing scope "+problem.Quote(f.label()), "correct the scope or its "+
		"connection"); err != nil {
		return nil, err
	}
	p := prepare(s, f, &problems)
	if p.Templated() {
		return p, nil
	}
	fixed, err := p.Render(nil)
	p.fixed = fixed
	return p, err
}

// prepare adds what is wrong with templates and the policy to problems; its result is only to be used without any.
func prepare(s Scope, f Facts, problems *problem.List) *Program {
	p := &Program{scope: s, facts: f, transitiveTagKeys: distinct(s.TransitiveTagKeys)}
	if s.Policy == "" {
		p.buckets, p.access = distinct(s.Buckets), s.access()
	}
	parse := func(field, text string) *template {
		parsed, fault := parseTemplate(text)
		if fault != "" {
			problems.Add(field, "%s", fault)
			return &template{literals: []string{""}}
		}
		return &parsed
	}
	for _, prefix := range s.Prefixes {
		p.prefixes = append(p.prefixes, parse("prefixes", prefix))
	}
	name := s.SessionName
	if name == "" {
		name = f.defaultSessionName()
	}
	p.sessionName = parse("session_name", name)
	p.sourceIdentity = parse("source_identity", s.SourceIdentity)
	for key := range s.SessionTags {
		p.tagKeys = append(p.tagKeys, key)
	}
	slices.Sort(p.tagKeys)
	for _, key := range p.tagKeys {
		p.tagValues = append(p.tagValues, parse("session_tags", s.SessionTags[key]))
	}
	all := append(slices.Clone(p.prefixes), p.sessionName, p.sourceIdentity)
	all = append(all, p.tagValues...)
	if s.Policy != "" {
		document, fault := parseDocument(s.Policy)
		if fault == "" {
			fault = checkStatements(document)
		}
		if fault != "" {
			problems.Add("policy", "%s", fault)
		} else {
			p.policy = document
			all = append(all, document.templates()...)
		}
	}
	p.directives = distinctDirectives(all)
	return p
}

// Templated says whether what the scope gives depends on who asks.
func (p *Program) Templated() bool { return len(p.directives) > 0 }

// Settings returns the fields of the scope, whose slices and map are not to be changed.
func (p *Program) Settings() Settings { return p.scope.Settings }

// Revision returns the revision of the scope.
func (p *Program) Revision() string { return p.scope.Revision }

// Variant returns a text that distinguishes the sessions of a scope with templates: it is of one entity, by its ID, and
// of the values that its templates use. So two entities never share a session, also where their templates are rendered
// alike, and a change of a value that is used leads to another session. It is empty for a scope without templates,
// which takes a nil entity. Its error is a *[problem.Error].
func (p *Program) Variant(e *Entity) (string, error) {
	if !p.Templated() {
		return "", nil
	}
	if e == nil {
		return "", p.noEntity()
	}
	values, size := append(make([]string, 0, 8), e.ID), len(e.ID)
	for _, one := range p.directives {
		if one.what == factID {
			continue // it is there already
		}
		value, fault := one.value(e)
		if fault != "" {
			return "", p.refused(p.fieldOf(one), one.String()+" has no usable value: "+fault)
		}
		values, size = append(values, value), size+len(value)
	}
	var b strings.Builder
	b.Grow(size + 3*len(values))
	for _, value := range values { // with its length, so that no two lists of values give the same text
		b.WriteString(strconv.Itoa(len(value)))
		b.WriteByte(':')
		b.WriteString(value)
	}
	return b.String(), nil
}

// policyWith returns the session policy with texts that stand for the rendered ones.
func (p *Program) policyWith(text func(*template) string) string {
	if p.policy != nil {
		var b strings.Builder
		p.policy.encode(&b, func(t *template) (string, string) { return text(t), "" })
		return b.String()
	}
	var prefixes []string
	for _, prefix := range p.prefixes {
		prefixes = append(prefixes, text(prefix))
	}
	return p.grant(distinctPrefixes(prefixes)).document()
}

func (p *Program) grant(prefixes []string) *grant {
	s := &p.scope
	return &grant{partition: s.partition(p.facts), buckets: distinct(s.Buckets), prefixes: prefixes, access: s.access(),
		kmsKeys: s.KMSKeyARNs, cidrs: s.SourceCIDRs, vpcEndpoints: s.SourceVPCEndpoints}
}

func (p *Program) refused(field, fault string) error {
	var problems problem.List
	problems.Add(field, "%s", fault)
	return problems.Err("rendering scope "+problem.Quote(p.facts.label())+" for the token's entity", "no session was "+
		"requested")
}

func (p *Program) noEntity() error {
	return p.refused(p.fieldOf(p.directives[0]), p.directives[0].String()+
		" needs an entity, and the token has none (a root token never has one); use a token of an auth method")
}

// fieldOf names the first field that a directive stands in.
func (p *Program) fieldOf(one directive) string {
	has := func(templates ...*template) bool {
		return slices.ContainsFunc(templates, func(t *template) bool { return slices.Contains(t.directives, one) })
	}
	switch {
	case has(p.prefixes...):
		return "prefixes"
	case has(p.sessionName):
		return "session_name"
	case has(p.tagValues...):
		return "session_tags"
	case has(p.sourceIdentity):
		return "source_identity"
	}
	return "policy"
}
