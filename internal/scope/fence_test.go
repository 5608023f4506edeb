package scope

import (
	"slices"
	"strings"
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
			if plan.Verdict(true, true) != row.verdict || !slices.Equal(plan.Inside, row.inside) ||
				!slices.Equal(plan.Outside, row.outside) {
				t.Errorf("Fence() = %+v, %s; want "+
					"%v, %v, %s", plan, plan.Verdict(true, true), row.inside, row.outside, row.verdict)
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

func TestFence_VerdictSaysWhatIsNotProven(t *testing.T) {
	t.Parallel()
	plan := Fence{Outside: []Target{{"bucket-a", "x"}}}
	for _, row := range []struct {
		lists, reads bool
		want         string
	}{
		{true, true, FenceProven},
		{true, false, "not proven for reads: lists are, but the role itself may not read outside of the scope, "},
		{false, true, "not proven for lists: reads are, but the role itself may not list outside of the scope, "},
		{false, false, "not proven: the role itself may neither list nor read outside of the scope, "},
	} {
		got := plan.Verdict(row.lists, row.reads)
		if !strings.HasPrefix(got, row.want) || (got == FenceProven) != (row.lists && row.reads) {
			t.Errorf("where the role may list: %v, and read: %v, the verdict is %q", row.lists, row.reads, got)
		}
	}
}

// The counterpart's session may do at the places outside what the scope's may not, and nothing anywhere else.
func TestCounterpart_OpensTheOtherSide(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"team/a/", "a*/", `q"\é?$/`} {
		r := render(t, scopeOf(func(s *Scope) {
			s.Access, s.Prefixes = []string{"list", "read", "write", "delete"}, []string{prefix}
			s.SourceCIDRs = []string{"203.0.113.0/24"}
		}), chained(), nil)
		plan := r.Fence([]string{"bucket-z"})
		opposite, places := r.Counterpart(plan.Outside)
		if len(plan.Outside) != 3 || !slices.Equal(places, plan.Outside) {
			t.Fatalf("%q: of %v the counterpart opens %v", prefix, plan.Outside, places)
		}
		policy := evaluator(t, opposite.Policy)
		may := func(bucket, key string) (lists, reads, writes bool) {
			return policy.Allows(iamtest.List("aws", bucket, &key, nil)),
				policy.Allows(iamtest.Object("s3:GetObject", "aws", bucket, key, nil)),
				policy.Allows(iamtest.Object("s3:PutObject", "aws", bucket, key, nil)) ||
					policy.Allows(iamtest.Object("s3:DeleteObject", "aws", bucket, key, nil))
		}
		for _, place := range places {
			if lists, reads, writes := may(place.Bucket, place.Key); !lists || !reads || writes {
				t.Errorf("%q: at %v it may list: %v, read: %v, write: %v", prefix, place, lists, reads, writes)
			}
		}
		if _, reads, writes := may("bucket-a", prefix+"k"); reads || writes {
			t.Errorf("%q: inside the scope it may read: %v, write: %v", prefix, reads, writes)
		}
		if lists, reads, writes := may("bucket-b", probeKey); lists || reads || writes {
			t.Errorf("%q: it opens another bucket", prefix)
		}
		if opposite.SessionName != r.SessionName || opposite.RoleARN != r.RoleARN || r.Policy == opposite.Policy {
			t.Errorf("%q: the counterpart is %+v", prefix, opposite)
		}
	}
}

func TestCounterpart_OpensAsManyPlacesAsThereIsRoomFor(t *testing.T) {
	t.Parallel()
	r := render(t, scopeOf(nil), chained(), nil)
	near, far := Target{"bucket-a", strings.Repeat("*", 900)}, Target{"bucket-z", probeKey}
	opposite, places := r.Counterpart([]Target{near, far})
	if !slices.Equal(places, []Target{far}) || policyLength(opposite.Policy) > MaxPolicy {
		t.Errorf("%d characters open %v", policyLength(opposite.Policy), places)
	}
	if _, places := r.Counterpart([]Target{near}); len(places) != 0 {
		t.Errorf("a place that there is no room for is said to be open: %v", places)
	}
	if _, places := r.Counterpart(nil); len(places) != 0 {
		t.Errorf("nothing outside, and yet %v", places)
	}
}
