package main

import (
	"slices"
	"testing"
)

// TestPairs_AreOfOnePhase keeps reads that stand among leases, which make Vault slower, and reads of many entities
// apart from all others.
func TestPairs_AreOfOnePhase(t *testing.T) {
	t.Parallel()
	phase := map[target]int{}
	for i, sets := range [][][]target{leaseless, crowded, leased} {
		for _, one := range slices.Concat(sets...) {
			if phase[one] != 0 {
				t.Errorf("%q is loaded twice in a round", one.name)
			}
			phase[one] = i + 1
		}
	}
	for _, pair := range slices.Concat(twins, peers) {
		if a, b := phase[pair[0]], phase[pair[1]]; a == 0 || a != b {
			t.Errorf("%q (phase %d) is compared with %q (phase %d)", pair[0].name, a, pair[1].name, b)
		}
	}
	for _, pair := range twins {
		if len(pair[0].path) != len(pair[1].path) || len(oursMount) != len(floorMount) {
			t.Errorf("%s and %s are not of one length, which Vault's time for a read depends on", pair[0].path,
				pair[1].path)
		}
		if pair[0].crowd != pair[1].crowd {
			t.Errorf("%q and %q are not read with the same tokens", pair[0].name, pair[1].name)
		}
	}
	if pair := [2]target{oursLeased, awsRoleAmongLeases}; !slices.Contains(peers, pair) {
		t.Error("leased reads are not compared with the AWS engine's, which always have leases")
	}
}
