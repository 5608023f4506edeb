package scope

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// template is text with directives in it. It is parsed once, when the scope is loaded.
type template struct {
	// literals are the texts around the directives: one more than there are directives.
	literals   []string
	directives []directive
}

const (
	allowedDirectives = "{{identity.entity.name}}, {{identity.entity.id}}, {{identity.entity.metadata.KEY}}, " +
		"{{identity.entity.aliases.ACCESSOR.name}} and {{identity.entity.aliases.ACCESSOR.metadata.KEY}}"
	unbalanced = "has braces that are not balanced: each \"{{\" needs one \"}}\" after it, and none may stand alone"
)

// parseTemplate returns what is wrong with the text as fault.
func parseTemplate(text string) (parsed template, fault string) {
	rest := text
	for {
		before, after, found := strings.Cut(rest, "{{")
		if strings.Contains(before, "}}") {
			return template{}, unbalanced
		}
		parsed.literals = append(parsed.literals, before)
		if !found {
			return parsed, ""
		}
		inside, after, found := strings.Cut(after, "}}")
		if !found || strings.Contains(inside, "{{") {
			return template{}, unbalanced
		}
		one, known := parseDirective(strings.TrimSpace(inside))
		if !known {
			return template{}, "has the directive " + problem.Quote("{{"+inside+"}}") + ", which is " +
				"none of " + allowedDirectives
		}
		parsed.directives = append(parsed.directives, one)
		rest = after
	}
}

func parseDirective(text string) (directive, bool) {
	rest, found := strings.CutPrefix(text, "identity.entity.")
	if !found {
		return directive{}, false
	}
	one := directive{text: text}
	if rest == "id" {
		return one, true
	}
	if selector, found := strings.CutPrefix(rest, "aliases."); found {
		one.accessor, rest, _ = strings.Cut(selector, ".")
		if one.accessor == "" {
			return directive{}, false
		}
	}
	if rest == "name" {
		one.what = factName
		return one, true
	}
	one.key, found = strings.CutPrefix(rest, "metadata.")
	one.what = factMetadata
	return one, found && one.key != ""
}

// variableFault refuses a directive inside a policy variable such as ${aws:username}, where a value of the entity would
// choose the variable.
func (t *template) variableFault() string {
	before := ""
	for _, literal := range t.literals[:len(t.directives)] {
		before += literal
		if strings.LastIndex(before, "${") > strings.LastIndexByte(before, '}') {
			return "has a directive inside of \"${\" and \"}\", where a value would choose the policy variable"
		}
	}
	return ""
}

func (t *template) templated() bool { return len(t.directives) > 0 }

// String returns the template as it was written.
func (t *template) String() string {
	var b strings.Builder
	b.WriteString(t.literals[0])
	for i, one := range t.directives {
		b.WriteString(one.String())
		b.WriteString(t.literals[i+1])
	}
	return b.String()
}

// guard says what is wrong with a rendered value, or with a whole rendered text; empty: nothing.
type guard func(text string) string

// render returns the text for an entity. valueGuard judges the value of each directive, textGuard the text as a whole;
// a value that one of them refuses is an error and never replaced by something else. A template without directives
// takes a nil entity.
func (t *template) render(e *Entity, valueGuard, textGuard guard) (text, fault string) {
	var b strings.Builder
	b.WriteString(t.literals[0])
	for i, one := range t.directives {
		value, fault := one.value(e)
		if fault == "" && valueGuard != nil {
			fault = valueGuard(value)
		}
		if fault != "" {
			return "", one.String() + " has no usable value: " + fault
		}
		b.WriteString(value)
		b.WriteString(t.literals[i+1])
	}
	if textGuard != nil {
		if fault = textGuard(b.String()); fault != "" {
			return "", fault
		}
	}
	return b.String(), ""
}

// hostileCharacters could open more than the operator meant: they are wildcards, end a path's segment, begin another
// item of a list, or are part of a template, of a policy variable or of JSON.
const hostileCharacters = "*?$/+,{}\"\\"

// guardPolicy judges a value that becomes part of a prefix or of a policy.
func guardPolicy(value string) string {
	switch {
	case value == "":
		return "it is empty"
	case !utf8.ValidString(value):
		return "it is not UTF-8"
	case value == ".":
		return "it is \".\""
	case strings.Contains(value, ".."):
		return "it holds \"..\""
	}
	if i := strings.IndexFunc(value, isHostile); i >= 0 {
		r, _ := utf8.DecodeRuneInString(value[i:])
		return "it holds " + problem.Quote(string(r)) + ", which prefixes and policies do not take from an entity"
	}
	return ""
}

func isHostile(r rune) bool {
	return strings.ContainsRune(hostileCharacters, r) || unicode.IsControl(r)
}

// guardCharacters refuses a text with characters that AWS does not take.
func guardCharacters(allowed func(rune) bool) guard {
	return func(text string) string {
		for i, r := range text {
			if _, width := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && width == 1 {
				return "is not UTF-8"
			}
			if !allowed(r) {
				return "holds " + problem.Quote(string(r)) + ", which AWS does not take there"
			}
		}
		return ""
	}
}

// nameCharacter says whether AWS takes a character in a session name or a source identity.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func nameCharacter(r rune) bool {
	return r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("_+=,.@-", r))
}

// tagCharacter says whether AWS takes a character in a session tag's key or value.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html
func tagCharacter(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.In(r, unicode.Z) || strings.ContainsRune("_.:/=+-@", r)
}

// distinctDirectives returns the directives of all templates, each once.
func distinctDirectives(templates []*template) []directive {
	var all []directive
	for _, one := range templates {
		for _, candidate := range one.directives {
			if !slices.ContainsFunc(all, func(d directive) bool { return d == candidate }) {
				all = append(all, candidate)
			}
		}
	}
	return all
}
