package scope

import (
	"slices"
	"strconv"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// policyElements and statementElements are what IAM's grammar has for a session policy. Others are refused, because a
// store that passes over what it does not know would allow more where a Condition is misspelt.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func policyElements() []string { return []string{"Version", "Id", "Statement"} }

func statementElements() []string {
	return []string{"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
}

// checkStatements returns what keeps the document from being a session policy that grants something.
func checkStatements(document *node) (fault string) {
	if name := document.unknown(policyElements()); name != "" {
		return "has the element " + problem.Quote(name) + ", which IAM's policies do not have"
	}
	statements, allows := document.statements(), false
	if len(statements) == 0 {
		return "has no Statement, so it would grant nothing"
	}
	for i, one := range statements {
		if fault := one.statementFault(); fault != "" {
			return "has a statement " + strconv.Itoa(i+1) + " " + fault
		}
		allows = allows || one.member("Effect").literals()[0] == "Allow"
	}
	if !allows {
		return "has no statement that allows something, so it would grant nothing"
	}
	return ""
}

// statementFault returns what is wrong with one statement, behind its number.
func (n *node) statementFault() string {
	if n.kind != nodeObject {
		return "that is not an object"
	}
	effect := n.member("Effect").literals()
	switch {
	case len(effect) != 1 || effect[0] != "Allow" && effect[0] != "Deny":
		return "whose Effect is neither \"Allow\" nor \"Deny\""
	case n.member("Principal") != nil || n.member("NotPrincipal") != nil:
		return "with a Principal, which a session policy may not have"
	}
	if name := n.unknown(statementElements()); name != "" {
		return "with the element " + problem.Quote(name) + ", which IAM's statements do not have"
	}
	for _, element := range []string{"Action", "Resource"} {
		positive, negative := n.member(element), n.member("Not"+element)
		switch {
		case positive == nil && negative == nil:
			return "without an Action or a Resource"
		case positive != nil && negative != nil:
			return "with both " + element + " and Not" + element
		case !positive.namesSomething() && !negative.namesSomething():
			return "whose " + element + " is not a string or a list of them with something in it"
		}
	}
	if condition := n.member("Condition"); condition != nil && condition.kind != nodeObject {
		return "whose Condition is not an object"
	}
	return ""
}

// literalVariables says whether the policy has what looks like policy variables, and a version that does not know them.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
func literalVariables(document *node) bool {
	version := document.member("Version").literals()
	return !slices.Contains(version, "2012-10-17") && document.holds("${")
}

// holds says whether one of the document's strings has the text in it.
func (n *node) holds(text string) bool {
	return n.kind == nodeString && strings.Contains(n.text.String(), text) ||
		slices.ContainsFunc(n.items, func(item *node) bool { return item.holds(text) }) ||
		slices.ContainsFunc(n.members, func(one nodeMember) bool { return one.value.holds(text) })
}

// unknown returns the first of an object's members that is not among the names.
func (n *node) unknown(names []string) string {
	for _, one := range n.members {
		if !slices.Contains(names, one.name) {
			return one.name
		}
	}
	return ""
}

// namesSomething says whether an element is a string, or a list of strings, and not empty.
func (n *node) namesSomething() bool {
	switch {
	case n == nil:
		return false
	case n.kind == nodeString:
		return n.text.String() != ""
	}
	return n.kind == nodeList && len(n.items) > 0 &&
		!slices.ContainsFunc(n.items, func(item *node) bool {
			return item.kind != nodeString ||
				!item.namesSomething()
		})
}

// grantsEverything says whether a statement allows all of S3 on everything, whatever the request.
func grantsEverything(document *node) bool {
	return slices.ContainsFunc(document.statements(), func(one *node) bool {
		effect := one.member("Effect").literals()
		return len(effect) == 1 && effect[0] == "Allow" && one.member("Condition") == nil &&
			(one.member("NotAction") != nil || slices.ContainsFunc(one.member("Action").literals(), everyAction)) &&
			(one.member("NotResource") != nil || slices.ContainsFunc(one.member("Resource").literals(), everyResource))
	})
}

func everyAction(pattern string) bool {
	rest, _ := strings.CutPrefix(strings.ToLower(pattern), "s3:")
	return onlyStars(rest)
}

func onlyStars(pattern string) bool { return pattern != "" && strings.Trim(pattern, "*") == "" }

func everyResource(pattern string) bool {
	if onlyStars(pattern) {
		return true
	}
	segments := strings.SplitN(pattern, ":", 6)
	return len(segments) == 6 && (segments[2] == "s3" || segments[2] == "*") &&
		segments[5] != "" && strings.Trim(segments[5], "*/") == ""
}
