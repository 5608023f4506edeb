// Package iamtest evaluates IAM policies for tests. It is written from AWS's documents alone and shares nothing with
// what writes policies, so that one can judge the other.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
package iamtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Policy is an identity-based or session policy.
type Policy struct {
	variables  bool // whether the policy's version has policy variables
	statements []statement
}

type statement struct {
	allow                    bool
	actions, resources       []string
	notActions, notResources bool
	conditions               []condition
}

type condition struct {
	operator string
	ifExists bool
	key      string // in lower case
	values   []string
}

// Request is what is asked of a service.
type Request struct {
	Action   string // such as s3:GetObject
	Resource string // ARN
	// Context are the condition keys of the request with their values.
	Context map[string]string
}

// oneOrMany is a JSON string or a list of them.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(text, &many)
	*o = many
	return err
}

type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement json.RawMessage
}

type element struct {
	SID         string `json:"Sid"`
	Effect      string
	Action      oneOrMany
	NotAction   oneOrMany
	Resource    oneOrMany
	NotResource oneOrMany
	Condition   map[string]map[string]oneOrMany
}

// Parse reads a policy. It refuses what it cannot evaluate, so that no test passes for a reason it does not see.
func Parse(policy string) (*Policy, error) {
	var d document
	if err := strict(policy, &d); err != nil {
		return nil, err
	}
	var elements []element
	if bytes.HasPrefix(bytes.TrimSpace(d.Statement), []byte("{")) {
		elements = make([]element, 1)
		if err := strict(string(d.Statement), &elements[0]); err != nil {
			return nil, err
		}
	} else if err := strict(string(d.Statement), &elements); err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, errors.New("there is no statement")
	}
	parsed := &Policy{variables: d.Version == "2012-10-17"}
	for _, one := range elements {
		s, err := one.statement()
		if err != nil {
			return nil, err
		}
		parsed.statements = append(parsed.statements, s)
	}
	return parsed, nil
}

func strict(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func (e *element) statement() (statement, error) {
	s := statement{allow: e.Effect == "Allow", actions: e.Action, resources: e.Resource}
	if !s.allow && e.Effect != "Deny" {
		return s, fmt.Errorf("the effect %q is unknown", e.Effect)
	}
	if e.NotAction != nil {
		s.actions, s.notActions = e.NotAction, true
	}
	if e.NotResource != nil {
		s.resources, s.notResources = e.NotResource, true
	}
	if len(s.actions) == 0 || len(s.resources) == 0 || e.Action != nil && s.notActions || e.Resource != nil &&
		s.notResources {
		return s, errors.New("a statement needs exactly one of Action and NotAction, and of Resource and NotResource")
	}
	for operator, keys := range e.Condition {
		name, ifExists := strings.CutSuffix(operator, "IfExists")
		if _, known := operators()[name]; !known {
			return s, fmt.Errorf("the operator %q cannot be evaluated here", operator)
		}
		for key, values := range keys {
			s.conditions = append(s.conditions, condition{name, ifExists, strings.ToLower(key), values})
		}
	}
	return s, nil
}

// Allows says whether the policy by itself allows a request: a statement that denies it wins, and without one that
// allows it, it is denied.
func (p *Policy) Allows(r Request) bool {
	context := map[string]string{}
	for key, value := range r.Context {
		context[strings.ToLower(key)] = value
	}
	allowed := false
	for _, s := range p.statements {
		if !p.applies(s, r, context) {
			continue
		}
		if !s.allow {
			return false
		}
		allowed = true
	}
	return allowed
}

func (p *Policy) applies(s statement, r Request, context map[string]string) bool {
	if p.anyAction(s.actions, r.Action) == s.notActions {
		return false
	}
	if p.anyARN(s.resources, r.Resource, context) == s.notResources {
		return false
	}
	for _, one := range s.conditions {
		if !p.holds(one, context) {
			return false
		}
	}
	return true
}
