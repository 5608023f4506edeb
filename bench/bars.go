package main

import "fmt"

// bar is a promise about a ratio.
type bar struct {
	of, to target
	what   string
	value  func(slice) float64
	limit  float64
	kind   barKind
}

// barKind says what of a ratio is held against the bar.
type barKind int

const (
	atLeast    barKind = iota // the median
	lowerAbove                // the lower end of the median's interval
	atMost                    // the median
)

// The bars for medians of reads a second to the floor's: of connections and of scopes without templates, and of a
// scope with templates that many entities read.
const (
	lowestMedian  = 0.97
	lowestCrowded = 0.93
)

var bars = []bar{
	{oursLeaseless, floorLeaseless, "reads/s", throughput, lowestRatio, lowerAbove},
	{oursScoped, floorScoped, "reads/s", throughput, lowestRatio, lowerAbove},
	{oursRaw, floorRaw, "reads/s", throughput, lowestRatio, lowerAbove},
	{oursLeased, floorLeased, "reads/s", throughput, lowestRatio, lowerAbove},
	{oursLeaseless, floorLeaseless, "reads/s", throughput, lowestMedian, atLeast},
	{oursScoped, floorScoped, "reads/s", throughput, lowestMedian, atLeast},
	{oursRaw, floorRaw, "reads/s", throughput, lowestMedian, atLeast},
	{oursLeased, floorLeased, "reads/s", throughput, lowestMedian, atLeast},
	{oursCrowd, floorCrowd, "reads/s", throughput, lowestCrowded, atLeast},
	{oursLeaseless, floorLeaseless, "p99", p99, 1.10, atMost},
	{oursScoped, floorScoped, "p99", p99, 1.10, atMost},
	{oursRaw, floorRaw, "p99", p99, 1.10, atMost},
	{oursLeased, floorLeased, "p99", p99, 1.10, atMost},
	{oursLeaseless, awsRole, "reads/s", throughput, 5, atLeast},
}

// met says whether the ratio passes, and text what it has to. What was not measured does not pass.
func (b bar) met(i interval) bool {
	switch b.kind {
	case atMost:
		return i.middle > 0 && i.middle <= b.limit
	case lowerAbove:
		return i.low >= b.limit
	}
	return i.middle >= b.limit
}

func (b bar) text() string {
	words := map[barKind]string{atMost: "at most %.2f", lowerAbove: "lower end at least %.2f", atLeast: "at least %.2f"}
	return fmt.Sprintf(words[b.kind], b.limit)
}

func (r report) bars(results map[target]series) {
	r.title("Bars, with the median's 95 %% interval in brackets")
	r.header("what", "bar", "measured", "met")
	hold := 0
	for _, b := range bars {
		middle, low, high := ratio(results[b.of], results[b.to], b.value)
		verdict := "no"
		if b.met(interval{middle, low, high}) {
			verdict = "yes"
			hold++
		}
		r.row(
			fmt.Sprintf("%s of %s to %s", b.what, b.of.name, b.to.name),
			b.text(),
			withInterval(middle, low, high),
			verdict,
		)
	}
	fmt.Fprintf(r.w, "\n%d of %d bars hold.\n", hold, len(bars))
}
