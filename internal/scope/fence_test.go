package scope

import (
	"slices"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/scope/iamtest"
)

func TestFence_TriesWhatThePolicyAllowsAndWhatItRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name            string
		change          func(*Scope)
		others          []string
		verdict         string
		inside, outside []Target
	}{
		{"a prefix", func(s *Scope) { s.Prefixes = []string{"team/a/"} }, nil, FenceProven,
			[]Target{{"bucket-a", "team/a/"}}, []Target{{"bucket-a", "team/a-" + probeKey}, {"bucket-a", probeKey}}},
		{"a prefix, and a bucket beside it", func(s *Scope) { s.Prefixes = []string{"a"} },
			[]string{"bucket-z", "bucket-a"}, FenceProven,
			[]Target{{"bucket-a", "a"}}, []Target{{"bucket-a", probeKey}, {"bucket-z", probeKey}}},
		{"a prefix that opens the usual key", func(s *Scope) { s.Prefixes = []string{"s"} }, nil, FenceProven,
			[]Target{{"bucket-a", "s"}}, []Target{{"bucket-a", "~" + probeKey}}},
		{"a bucket alone", nil, []string{"bucket-a"}, FenceNotProvable, []Target{{"bucket-a", ""}}, nil},
		{"a bucket among others", nil, []string{"bucket-c", "bucket-b", "bucket-a"}, FenceProven,
			[]Target{{"bucket-a", ""}}, []Target{{"bucket-b", probeKey}}},
		{"a scope that does not list", func(s *Scope) { s.Access, s.Prefixes = []string{"read"}, []string{"a/"} }, nil,
			FenceProven,
			nil, []Target{{"bucket-a", "a-" + probeKey}, {"bucket-a", probeKey}}},
		{"a policy of one's own", func(s *Scope) { s.Buckets, s.Policy = nil, ownPolicy }, []string{"bucket-b"},
			FenceNotProvable, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := render(t, scopeOf(row.change), chained(), nil)
			plan := r.Fence(row.others)
			if plan.Verdict() != row.verdict || !slices.Equal(plan.Inside, row.inside) ||
				!slices.Equal(plan.Outside, row.outside) {
				t.Errorf("Fence() = %+v, %s; want "+
					"%v, %v, %s", plan, plan.Verdict(), row.inside, row.outside, row.verdict)
			}
			policy := evaluator(t, r.Policy)
			for _, target := range plan.Inside {
				if !policy.Allows(iamtest.List("aws", target.Bucket, &target.Key, nil)) && target.Key != "" {
					t.Errorf("listing %+v is refused", target)
				}
			}
			for _, target := range plan.Outside {
				if policy.Allows(iamtest.List("aws", target.Bucket, &target.Key, nil)) ||
					policy.Allows(iamtest.Object("s3:GetObject", "aws", target.Bucket, target.Key, nil)) {
					t.Errorf("%+v is not outside", target)
				}
			}
		})
	}
}
