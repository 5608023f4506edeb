package iamtest

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// anyAction compares without regard to case. Policy variables have no meaning in actions.
func (p *Policy) anyAction(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return (&Policy{}).wild(strings.ToLower(pattern), nil).matches(strings.ToLower(action))
	})
}

// anyARN compares the six parts of an ARN each by itself. Only in the last part do wildcards and variables reach across
// colons.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
func (p *Policy) anyARN(patterns []string, arn string, context map[string]string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if pattern == "*" {
			return true
		}
		wanted := strings.SplitN(pattern, ":", 6)
		if len(wanted) != 6 || len(parts) != 6 {
			return false
		}
		for i := range 5 {
			if !(&Policy{}).wild(wanted[i], nil).matches(parts[i]) {
				return false
			}
		}
		return p.wild(wanted[5], context).matches(parts[5])
	})
}

// expression is a pattern in a form that can be compared with a text.
type expression struct {
	unresolved bool           // a variable in it has no value, so that it matches nothing
	compiled   *regexp.Regexp // nil: the text has to be the same as literal
	literal    string
}

func (e expression) matches(text string) bool {
	switch {
	case e.unresolved:
		return false
	case e.compiled == nil:
		return text == e.literal
	}
	return e.compiled.MatchString(text)
}

// wild reads a pattern in which "*" stands for any number of characters and "?" for exactly one.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func (p *Policy) wild(pattern string, context map[string]string) expression {
	return p.translate(pattern, context, map[byte]string{'*': ".*", '?': "."})
}

// plain reads a text in which only variables have a meaning.
func (p *Policy) plain(text string, context map[string]string) expression {
	return p.translate(text, context, nil)
}

func (p *Policy) translate(pattern string, context map[string]string, wildcards map[byte]string) expression {
	if !strings.ContainsAny(pattern, "*?$") {
		return expression{literal: pattern}
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); {
		end := strings.IndexByte(pattern[i:], '}')
		if p.variables && strings.HasPrefix(pattern[i:], "${") && end > 0 {
			value, found := variable(pattern[i+2:i+end], context)
			if !found {
				return expression{unresolved: true}
			}
			b.WriteString(regexp.QuoteMeta(value))
			i += end + 1
			continue
		}
		if translated, special := wildcards[pattern[i]]; special {
			b.WriteString(translated)
		} else {
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
		i++
	}
	b.WriteString(`\z`)
	return expression{compiled: regexp.MustCompile(b.String())}
}

// variable returns the value of what stands between "${" and "}".
func variable(name string, context map[string]string) (value string, found bool) {
	if name == "*" || name == "?" || name == "$" {
		return name, true
	}
	key, fallback, hasFallback := strings.Cut(name, ", ")
	if value, found = context[strings.ToLower(key)]; found {
		return value, true
	}
	return strings.Trim(fallback, "'"), hasFallback
}

type operator struct {
	negated bool
	matches func(p *Policy, wanted, value string, context map[string]string) bool
}

// operators are those that this package can evaluate.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func operators() map[string]operator {
	equals := func(p *Policy, wanted, value string, context map[string]string) bool {
		return p.plain(wanted, context).matches(value)
	}
	like := func(p *Policy, wanted, value string, context map[string]string) bool {
		return p.wild(wanted, context).matches(value)
	}
	address := func(_ *Policy, wanted, value string, _ map[string]string) bool { return inRange(wanted, value) }
	return map[string]operator{
		"StringEquals": {false, equals}, "StringNotEquals": {true, equals},
		"StringLike": {false, like}, "StringNotLike": {true, like},
		"IpAddress": {false, address}, "NotIpAddress": {true, address},
		"Bool": {false, equals},
	}
}

func inRange(wanted, value string) bool {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	if one, err := netip.ParseAddr(wanted); err == nil {
		return one == addr
	}
	block, err := netip.ParsePrefix(wanted)
	return err == nil && block.Contains(addr)
}

// holds says whether a condition is true of a request: one of its values has to match, or none for a negated operator.
// A key that the request lacks matches no value, so that a negated operator is true of it.
func (p *Policy) holds(c condition, context map[string]string) bool {
	value, present := context[c.key]
	op := operators()[c.operator]
	if !present {
		return c.ifExists || op.negated
	}
	matched := slices.ContainsFunc(c.values, func(wanted string) bool { return op.matches(p, wanted, value, context) })
	return matched != op.negated
}
