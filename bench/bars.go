package main

import "fmt"

// bar is a promise about a ratio.
type bar struct {
	of, to target
	what   string
	value  func(slice) float64
	limit  float64
	atMost bool // otherwise at least
}

var bars = []bar{
	{oursLeaseless, floorLeaseless, "reads/s", throughput, 0.97, false},
	{oursRaw, floorRaw, "reads/s", throughput, 0.97, false},
	{oursLeased, floorLeased, "reads/s", throughput, 0.97, false},
	{oursLeaseless, floorLeaseless, "p99", p99, 1.10, true},
	{oursRaw, floorRaw, "p99", p99, 1.10, true},
	{oursLeased, floorLeased, "p99", p99, 1.10, true},
	{oursLeaseless, awsRole, "reads/s", throughput, 5, false},
}

func (b bar) met(ratio float64) bool {
	if b.atMost {
		return ratio <= b.limit
	}
	return ratio >= b.limit
}

func (r report) bars(results map[target]series) {
	r.title("Bars, with the median's 95 %% interval in brackets")
	r.header("what", "bar", "measured", "met")
	for _, b := range bars {
		middle, low, high := ratio(results[b.of], results[b.to], b.value)
		sign, verdict := "at least", "no"
		if b.atMost {
			sign = "at most"
		}
		if b.met(middle) {
			verdict = "yes"
		}
		r.row(fmt.Sprintf("%s of %s to %s", b.what, b.of.name, b.to.name), fmt.Sprintf("%s %.2f", sign, b.limit),
			withInterval(middle, low, high), verdict)
	}
}
