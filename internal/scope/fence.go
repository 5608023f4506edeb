package scope

import (
	"slices"
	"strings"
)

// What a test says of a scope's fence.
const (
	FenceProven      = "proven"
	FenceNotProvable = "not provable"

	// A refusal that the role itself would have met shows nothing of the session policy.
	unprovenBoth  = "not proven: the role itself may neither list nor read" + unprovenWhy
	unprovenReads = "not proven for reads: lists are, but the role itself may not read" + unprovenWhy
	unprovenLists = "not proven for lists: reads are, but the role itself may not list" + unprovenWhy
	unprovenWhy   = " outside of the scope, so that the refusal there may be the role's and not the session policy's"
)

// Target is a place in a store. Key is a key for a read and a prefix for a list.
type Target struct{ Bucket, Key string }

// Fence is what a test of a scope tries with the scope's session. Nothing in it writes.
type Fence struct {
	// Inside are the places whose list must succeed; none where the scope does not list.
	Inside []Target
	// Outside are the places whose list and read must both be refused as AccessDenied. A key need not exist: a store
	// that answers 404 has looked, so it does not obey the session policy. Empty: there is nothing outside to try.
	Outside []Target
}

// maxTried bounds the calls of a test.
const maxTried = 5

// Fence plans the test of a scope. others are names of buckets that the connection itself can list; they may include
// those of the scope. A policy of the operator's own is not known to list or to refuse anything, so its plan is empty.
func (r *Rendered) Fence(others []string) Fence {
	var plan Fence
	if r.OwnPolicy {
		return plan
	}
	if slices.Contains(r.Access, AccessList) {
		plan.Inside = r.listable()
	}
	if len(r.Prefixes) > 0 {
		for _, key := range r.keysOutside() {
			plan.Outside = append(plan.Outside, Target{r.Buckets[0], key})
		}
	}
	for _, bucket := range slices.Sorted(slices.Values(others)) {
		if !slices.Contains(r.Buckets, bucket) {
			plan.Outside = append(plan.Outside, Target{bucket, probeKey})
			break
		}
	}
	return plan
}

// Verdict is what the test may say of the fence after everything in Outside was refused. lists and reads say whether
// the role itself may list and read at one of these places: see [Rendered.Counterpart].
func (f Fence) Verdict(lists, reads bool) string {
	switch {
	case len(f.Outside) == 0:
		return FenceNotProvable
	case lists && reads:
		return FenceProven
	case lists:
		return unprovenReads
	case reads:
		return unprovenLists
	}
	return unprovenBoth
}

// Counterpart returns the same scope with a session policy that opens lists and reads at places outside of it, and
// nothing else, and the places, which are as many of the given ones as AWS has room for. A session of it shows what the
// role itself may do there: where that is allowed and refused to the scope's own session, the session policies are what
// makes the difference.
func (r *Rendered) Counterpart(outside []Target) (*Rendered, []Target) {
	opposite := *r
	for ; ; outside = outside[1:] {
		// Reads of keys that do not exist are answered with 404 for those who may list the bucket, whatever its
		// prefix, and with 403 for others.
		//
		// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
		one := statement{actions: []string{listAction, "s3:GetObject"}}
		for _, target := range outside {
			bucket := "arn:" + r.partition + ":s3:::" + target.Bucket
			one.resources = append(one.resources, bucket, bucket+"/"+escapeLiteral(target.Key))
		}
		opposite.Policy = encodePolicy([]statement{one})
		if len(outside) == 0 || policyLength(opposite.Policy) <= MaxPolicy {
			return &opposite, outside
		}
	}
}

func (r *Rendered) listable() []Target {
	prefixes := r.Prefixes
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	var targets []Target
	for _, bucket := range r.Buckets {
		for _, prefix := range prefixes {
			if len(targets) == maxTried {
				return targets
			}
			targets = append(targets, Target{bucket, prefix})
		}
	}
	return targets
}

const probeKey = "s3conn-test-of-the-fence"

// keysOutside returns a key next to the first prefix, which a store that compares carelessly would open, and one far
// from all prefixes; each only where no prefix opens it.
func (r *Rendered) keysOutside() []string {
	var keys []string
	first := r.Prefixes[0]
	if parent := strings.TrimSuffix(first, "/"); parent != first && parent != "" {
		keys = r.appendOutside(keys, parent+"-"+probeKey)
	}
	for _, start := range []string{"", "~", "0", "A", "_", "z"} {
		if extended := r.appendOutside(keys, start+probeKey); len(extended) > len(keys) {
			return extended
		}
	}
	return keys
}

func (r *Rendered) appendOutside(keys []string, key string) []string {
	if r.opensKey(key) || len(key) > maxPrefix {
		return keys
	}
	return append(keys, key)
}
