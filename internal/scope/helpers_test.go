package scope

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

const testRole = "arn:aws:iam::123456789012:role/app"

// chained are the facts of a connection with Roles Anywhere.
func chained() Facts {
	return Facts{Connection: "orders", Scope: "reports", RolesAnywhere: true, RoleARN: testRole, Partition: "aws"}
}

// withKeys are the facts of a connection with access keys.
func withKeys() Facts { return Facts{Connection: "orders", Scope: "reports", Partition: "aws"} }

// scopeOf is a valid scope but for what change does to it.
func scopeOf(change func(*Scope)) Scope {
	s := New()
	s.Revision = "r1"
	s.Buckets = []string{"bucket-a"}
	if change != nil {
		change(&s)
	}
	return s
}

// ann is an entity with everything that templates can ask for.
func ann() *Entity {
	return &Entity{ID: "e-1", Name: "ann", Metadata: map[string]string{"team": "blue", "cost.center": "42"},
		Aliases: map[string]Alias{"auth_1": {Name: "ann@example.com", Metadata: map[string]string{"group": "dev"}}}}
}

func render(t testing.TB, s Scope, f Facts, e *Entity) *Rendered {
	t.Helper()
	program, err := Compile(s, f)
	if err != nil {
		t.Fatalf("Compile(%+v): %v", s.Settings, err)
	}
	r, err := program.Render(e)
	if err != nil {
		t.Fatalf("Render(%+v): %v", s.Settings, err)
	}
	return r
}

func evaluator(t testing.TB, policy string) *iamtest.Policy {
	t.Helper()
	parsed, err := iamtest.Parse(policy)
	if err != nil {
		t.Fatalf("the evaluator does not take %s: %v", policy, err)
	}
	return parsed
}

// wantProblem holds an error against its kind and the words that it has to have.
func wantProblem(t *testing.T, err error, words ...string) {
	t.Helper()
	var invalid *problem.Error
	if !errors.As(err, &invalid) {
		t.Fatalf("the error is %v, want a *problem.Error", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error %q does not say %q", err, word)
		}
	}
}

func validate(s Scope, f Facts) ([]string, error) {
	var problems problem.List
	warnings := Validate(&s, f, &problems)
	return warnings, problems.Err("writing scope", "nothing was stored")
}
