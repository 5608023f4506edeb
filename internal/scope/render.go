package scope

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// AWS's limits of what AssumeRole is given, in characters.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	minName       = 2
	maxName       = 64
	maxExternalID = 1224
	maxTags       = 50
	maxTagKey     = 128
	maxTagValue   = 256
	maxPrefix     = 1024 // bytes: the longest key that S3 takes
)

// Tag is a session tag.
type Tag struct{ Key, Value string }

// Rendered is a scope with every template rendered: what AssumeRole is called with and what the session may do. It
// never changes and is safe for concurrent use.
type Rendered struct {
	// Variant distinguishes the sessions of a templated scope: the same as [Program.Variant] of the entity. Empty
	// without templates.
	Variant string

	Policy            string // JSON
	RoleARN           string // empty where the store needs none
	ExternalID        string
	SessionName       string
	Tags              []Tag // sorted by key
	TransitiveTagKeys []string
	SourceIdentity    string
	Duration          time.Duration

	// OwnPolicy says that the policy is the operator's own. Buckets, Prefixes and Access are then empty, and what the
	// session may do is judged by the store alone.
	OwnPolicy bool
	Buckets   []string
	Prefixes  []string // none: every key
	Access    []string

	partition string // of the ARNs in the policy
}

// Render returns the scope for an entity. A scope without templates takes a nil entity; one with templates refuses it.
// Its error is a *[problem.Error] that names the field and never repeats a value.
func (p *Program) Render(e *Entity) (*Rendered, error) {
	if p.fixed != nil {
		return p.fixed, nil
	}
	variant, err := p.Variant(e)
	if err != nil {
		return nil, err
	}
	r := &Rendered{
		Variant: variant, RoleARN: p.scope.role(p.facts), ExternalID: p.scope.ExternalID,
		TransitiveTagKeys: p.transitiveTagKeys, Duration: p.scope.duration(),
		OwnPolicy: p.policy != nil, partition: p.scope.partition(p.facts),
	}
	if field, fault := p.renderInto(r, e); fault != "" {
		return nil, p.refused(field, fault)
	}
	return r, nil
}

func (p *Program) renderInto(r *Rendered, e *Entity) (field, fault string) {
	nameGuard := guardLength(minName, maxName, nameCharacter)
	if r.SessionName, fault = p.sessionName.render(e, nil, nameGuard); fault != "" {
		return "session_name", fault
	}
	if p.scope.SourceIdentity != "" {
		if r.SourceIdentity, fault = p.sourceIdentity.render(e, nil, nameGuard); fault != "" {
			return "source_identity", fault
		}
	}
	for i, key := range p.tagKeys {
		value, fault := p.tagValues[i].render(e, nil, guardLength(0, maxTagValue, tagCharacter))
		if fault != "" {
			return "session_tags", "the value of " + problem.Quote(key) + ": " + fault
		}
		r.Tags = append(r.Tags, Tag{key, value})
	}
	if p.policy != nil {
		return "policy", p.renderOwnPolicy(r, e)
	}
	for _, prefix := range p.prefixes {
		text, fault := prefix.render(e, guardPolicy, guardPrefix)
		if fault != "" {
			return "prefixes", fault
		}
		r.Prefixes = append(r.Prefixes, text)
	}
	r.Prefixes = distinctPrefixes(r.Prefixes)
	r.Buckets, r.Access = p.buckets, p.access
	granted := p.grant(r.Prefixes)
	r.Policy = granted.document()
	return "prefixes", p.tooLong(r.Policy)
}

func (p *Program) renderOwnPolicy(r *Rendered, e *Entity) (fault string) {
	var b strings.Builder
	fault = p.policy.encode(&b, func(text *template) (string, string) { return text.render(e, guardPolicy, nil) })
	if fault != "" {
		return fault
	}
	r.Policy = strings.Clone(b.String())
	return p.tooLong(r.Policy)
}

func (p *Program) tooLong(policy string) (fault string) {
	if size := policyLength(policy); size > MaxPolicy {
		return tooLongWords(size)
	}
	return ""
}

func tooLongWords(size int) string {
	return "the session policy would have " + strconv.Itoa(size) + " characters, and AWS takes at most " +
		strconv.Itoa(MaxPolicy) + "; split the scope into several"
}

// guardPrefix judges a prefix as a whole.
func guardPrefix(prefix string) string {
	switch {
	case prefix == "":
		return "is empty, which would open the whole bucket"
	case len(prefix) > maxPrefix:
		return "has " + strconv.Itoa(len(prefix)) + " bytes, and a key of S3 has at most " + strconv.Itoa(maxPrefix)
	}
	return ""
}

// guardLength refuses a text of another length, in characters, or with characters that AWS does not take.
func guardLength(least, most int, allowed func(rune) bool) guard {
	return func(text string) string {
		if length := utf8.RuneCountInString(text); length < least || length > most {
			return "has " + strconv.Itoa(length) + " characters, and " +
				"AWS takes " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
		}
		return guardCharacters(allowed)(text)
	}
}
