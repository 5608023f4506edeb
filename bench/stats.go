package main

import (
	"math"
	"slices"
	"time"
)

// slice is what one stretch of load on one target gave.
type slice struct {
	perSecond float64
	p50, p99  time.Duration
	reads     int
	// The processor time of all these reads; pluginTime is zero for what runs inside Vault.
	vaultTime, pluginTime time.Duration
}

// series is a target's slices, one a round.
type series []slice

func (s series) median(value func(slice) float64) float64 {
	values := make([]float64, 0, len(s))
	for _, one := range s {
		values = append(values, value(one))
	}
	return median(values)
}

// perRead is the processor time of a read in nanoseconds, over all rounds together: the clock's ticks are too coarse
// for one.
func (s series) perRead(spent func(slice) time.Duration) float64 {
	var total time.Duration
	reads := 0
	for _, one := range s {
		total += spent(one)
		reads += one.reads
	}
	if reads == 0 {
		return 0
	}
	return float64(total) / float64(reads)
}

// ratio is the median over the rounds of one target's value to another's in the same round, because what disturbs a
// round disturbs both, and the ends of the median's 95 % interval.
func ratio(of, to series, value func(slice) float64) (middle, low, high float64) {
	ratios := make([]float64, 0, len(of))
	for round := range min(len(of), len(to)) {
		if divisor := value(to[round]); divisor != 0 {
			ratios = append(ratios, value(of[round])/divisor)
		}
	}
	low, high = medianInterval(ratios)
	return median(ratios), low, high
}

// medianInterval is where the median of endless rounds lies, with a confidence of 95 %, by order statistics: how many
// of n rounds are below it is binomial, which gives ranks n/2 ± 0.98√n. Fewer than six rounds cannot give that
// confidence.
func medianInterval(values []float64) (low, high float64) {
	half := 0.98 / math.Sqrt(float64(len(values)))
	return quantile(values, max(0, 0.5-half)), quantile(values, min(1, 0.5+half))
}

func throughput(s slice) float64 { return s.perSecond }
func p50(s slice) float64        { return float64(s.p50) }
func p99(s slice) float64        { return float64(s.p99) }

func vaultTime(s slice) time.Duration  { return s.vaultTime }
func pluginTime(s slice) time.Duration { return s.pluginTime }

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile interpolates between the neighbours of the q-th part of the values; it is zero for none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

func durations(values []time.Duration, q float64) time.Duration {
	floats := make([]float64, len(values))
	for i, d := range values {
		floats[i] = float64(d)
	}
	return time.Duration(quantile(floats, q))
}
