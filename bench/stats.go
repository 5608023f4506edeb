package main

import (
	"slices"
	"time"
)

// slice is what one stretch of load on one target gave.
type slice struct {
	perSecond float64
	p50, p99  time.Duration
	// vaultCPU and pluginCPU are processor time per read; pluginCPU is zero for what runs inside Vault.
	vaultCPU, pluginCPU time.Duration
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

// ratio is the median over the rounds of one target's value to another's in the same round, and the middle half's ends:
// what disturbs a round disturbs both.
func ratio(of, to series, value func(slice) float64) (middle, low, high float64) {
	ratios := make([]float64, 0, len(of))
	for round := range min(len(of), len(to)) {
		if divisor := value(to[round]); divisor != 0 {
			ratios = append(ratios, value(of[round])/divisor)
		}
	}
	return median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75)
}

func throughput(s slice) float64 { return s.perSecond }
func p50(s slice) float64        { return float64(s.p50) }
func p99(s slice) float64        { return float64(s.p99) }
func vaultCPU(s slice) float64   { return float64(s.vaultCPU) }
func pluginCPU(s slice) float64  { return float64(s.pluginCPU) }

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
