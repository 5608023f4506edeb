package scope

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// node is a value of a policy document. Members of objects keep their order, so that a policy is sent as it was
// written.
type node struct {
	text    *template    // of a string
	raw     string       // of a number, true, false or null, as it was written
	items   []*node      // of a list
	members []nodeMember // of an object
	kind    nodeKind
}

type nodeKind int

const (
	nodeRaw nodeKind = iota
	nodeString
	nodeList
	nodeObject
)

type nodeMember struct {
	name  string
	value *node
}

const maxDepth = 20 // levels of a policy document; IAM's grammar has 6

// parseDocument reads a policy. fault says what is wrong with it, and never repeats more of it than a name or a
// directive.
func parseDocument(policy string) (document *node, fault string) {
	decoder := json.NewDecoder(strings.NewReader(policy))
	decoder.UseNumber()
	document, err := parseNode(decoder, 0)
	if err != nil {
		var own documentError
		if errors.As(err, &own) {
			return nil, string(own)
		}
		return nil, fmt.Sprintf("is not JSON (at byte %d)", decoder.InputOffset())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, "has something after its JSON object"
	}
	if document.kind != nodeObject {
		return nil, "has to be a JSON object"
	}
	return document, ""
}

// documentError is what this package finds wrong with a policy that is JSON.
type documentError string

func (e documentError) Error() string { return string(e) }

func parseNode(decoder *json.Decoder, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, documentError(fmt.Sprintf("is nested more than %d levels deep", maxDepth))
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch value := token.(type) {
	case string:
		if strings.ContainsRune(value, utf8.RuneError) {
			return nil, documentError("has a character that is not Unicode")
		}
		text, fault := parseTemplate(value)
		if fault == "" {
			fault = text.variableFault()
		}
		if fault != "" {
			return nil, documentError(fault)
		}
		return &node{kind: nodeString, text: &text}, nil
	case json.Delim:
		if value == '[' {
			return parseList(decoder, depth)
		}
		return parseObject(decoder, depth)
	case nil:
		return &node{raw: "null"}, nil
	default:
		return &node{raw: fmt.Sprint(value)}, nil
	}
}

func parseList(decoder *json.Decoder, depth int) (*node, error) {
	list := &node{kind: nodeList}
	for decoder.More() {
		item, err := parseNode(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		list.items = append(list.items, item)
	}
	_, err := decoder.Token()
	return list, err
}

func parseObject(decoder *json.Decoder, depth int) (*node, error) {
	object := &node{kind: nodeObject}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string)
		switch {
		case object.member(name) != nil:
			return nil, documentError("has the element " + problem.Quote(name) + " twice in one object")
		case strings.Contains(name, "{{") || strings.Contains(name, "}}"):
			return nil, documentError("has \"{{\" or \"}}\" in the name " + problem.Quote(name) + "; directives " +
				"belong into values")
		}
		value, err := parseNode(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		object.members = append(object.members, nodeMember{name, value})
	}
	_, err := decoder.Token()
	return object, err
}

// member returns the value of an object's member, or nil.
func (n *node) member(name string) *node {
	for _, one := range n.members {
		if one.name == name {
			return one.value
		}
	}
	return nil
}

// templates returns the strings of the document that hold directives.
func (n *node) templates() []*template {
	var found []*template
	if n.kind == nodeString && n.text.templated() {
		found = append(found, n.text)
	}
	for _, item := range n.items {
		found = append(found, item.templates()...)
	}
	for _, one := range n.members {
		found = append(found, one.value.templates()...)
	}
	return found
}

// encode writes the document without a space between its parts, its directives rendered by render.
func (n *node) encode(b *strings.Builder, render func(*template) (text, fault string)) (fault string) {
	switch n.kind {
	case nodeRaw:
		b.WriteString(n.raw)
	case nodeString:
		text, fault := render(n.text)
		if fault != "" {
			return fault
		}
		writeString(b, text)
	case nodeList:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			if fault := item.encode(b, render); fault != "" {
				return fault
			}
		}
		b.WriteByte(']')
	case nodeObject:
		b.WriteByte('{')
		for i, one := range n.members {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, one.name)
			b.WriteByte(':')
			if fault := one.value.encode(b, render); fault != "" {
				return fault
			}
		}
		b.WriteByte('}')
	}
	return ""
}

// statements returns the policy's statements: IAM takes one object for a list of one.
func (n *node) statements() []*node {
	found := n.member("Statement")
	switch {
	case found == nil:
		return nil
	case found.kind == nodeObject:
		return []*node{found}
	}
	return found.items
}

// literals returns the texts of an element that is a string or a list of them.
func (n *node) literals() []string {
	if n == nil {
		return nil
	}
	values := n.items
	if n.kind == nodeString {
		values = []*node{n}
	}
	var texts []string
	for _, one := range values {
		if one.kind == nodeString && !one.text.templated() {
			texts = append(texts, one.text.literals[0])
		}
	}
	return texts
}
