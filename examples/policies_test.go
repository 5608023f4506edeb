package examples

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestRotatingUser_MayManageItsOwnKeysOnly compares the policy with the rotation's calls. A real IAM judges it in the
// acceptance module.
func TestRotatingUser_MayManageItsOwnKeysOnly(t *testing.T) {
	t.Parallel()
	var policy struct {
		Version   string
		Statement []struct {
			Sid, Effect, Resource string
			Action                []string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(string(readExample(t, "policies/rotating-user.json"))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil || policy.Version != "2012-10-17" || len(policy.Statement) != 1 {
		t.Fatalf("the policy is %+v, %v", policy, err)
	}
	want := []string{"iam:CreateAccessKey", "iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey"}
	if one := policy.Statement[0]; one.Effect != "Allow" || !slices.Equal(one.Action, want) ||
		!strings.HasSuffix(one.Resource, ":user/${aws:username}") {
		t.Errorf("the statement is %+v", one)
	}
}
