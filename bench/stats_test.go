package main

import (
	"math"
	"testing"
	"time"
)

func TestQuantile_Interpolates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"of nothing", nil, 0.5, 0},
		{"of one", []float64{7}, 0.99, 7},
		{"median of an odd number, unsorted", []float64{9, 1, 5}, 0.5, 5},
		{"median of an even number", []float64{1, 2, 3, 10}, 0.5, 2.5},
		{"the largest", []float64{3, 1, 2}, 1, 3},
		{"between two", []float64{0, 10}, 0.99, 9.9},
	} {
		if got := quantile(c.values, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestQuantile_LeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	values := []float64{3, 1, 2}
	quantile(values, 0.5)
	if values[0] != 3 || values[1] != 1 {
		t.Errorf("the values were reordered: %v", values)
	}
}

func TestRatio_ComparesWithinRounds(t *testing.T) {
	t.Parallel()
	// The machine was ten times slower in the second round and twice in the third: the ratio must not see it.
	floor := series{{perSecond: 1000}, {perSecond: 100}, {perSecond: 500}}
	ours := series{{perSecond: 900}, {perSecond: 90}, {perSecond: 450}}
	middle, low, high := ratio(ours, floor, throughput)
	for _, got := range []float64{middle, low, high} {
		if math.Abs(got-0.9) > 1e-9 {
			t.Errorf("ratio = %v (%v to %v), want 0.9 throughout", middle, low, high)
		}
	}
}

func TestRatio_SkipsWhatCannotBeDivided(t *testing.T) {
	t.Parallel()
	if middle, low, high := ratio(series{{p99: 1}, {p99: 1}}, series{{p99: 0}, {p99: 0}}, p99); middle != 0 ||
		low != 0 || high != 0 {
		t.Errorf("ratio to nothing = %v (%v to %v), want 0", middle, low, high)
	}
}

func TestRatio_IntervalIsTheMedians(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		rounds    int
		low, high float64
	}{
		{"narrows with the rounds", 401, 201 - 19.575, 201 + 19.575}, // 0.98 of 400 ranks over the root of 401
		{"of four rounds is nearly all of them", 4, 1.03, 3.97},
		{"of three rounds ends with them", 3, 1, 3},
		{"of one round", 1, 1, 1},
	} {
		var of, to series
		for i := range c.rounds {
			of, to = append(of, slice{perSecond: float64(i + 1)}), append(to, slice{perSecond: 1})
		}
		middle, low, high := ratio(of, to, throughput)
		if want := float64(c.rounds+1) / 2; middle != want || math.Abs(low-c.low) > 0.01 ||
			math.Abs(high-c.high) > 0.01 {
			t.Errorf("%s: %v (%v to %v), want %v (%v to %v)", c.name, middle, low, high, want, c.low, c.high)
		}
	}
}

func TestPerRead_WeighsRoundsByTheirReads(t *testing.T) {
	t.Parallel()
	// The clock's ticks are coarse: one round in three sees the tick that all of them share.
	s := series{{reads: 10, vaultTime: 0}, {reads: 30, vaultTime: 10 * time.Millisecond}, {reads: 60, vaultTime: 0}}
	if got := s.perRead(vaultTime); got != 1e5 {
		t.Errorf("processor time per read = %v ns, want 100,000", got)
	}
	if got := (series)(nil).perRead(vaultTime); got != 0 {
		t.Errorf("processor time per read of nothing = %v, want 0", got)
	}
}

func TestDurations_Percentile(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	for i := range 101 {
		all = append(all, time.Duration(100-i)*time.Millisecond)
	}
	if got := durations(all, 0.99); got != 99*time.Millisecond {
		t.Errorf("p99 = %s, want 99ms", got)
	}
}
