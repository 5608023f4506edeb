package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// settleEvery is how many rounds lie between two looks at the intervals: looking often, and stopping at the first
// narrow one, would choose lucky ones.
const settleEvery = 10

// interval is a ratio with the ends of its 95 % interval.
type interval struct{ middle, low, high float64 }

func (i interval) width() float64 { return i.high - i.low }

// rateOf is the interval of a pair's reads a second.
func rateOf(pair [2]target, results map[target]series) interval {
	middle, low, high := ratio(results[pair[0]], results[pair[1]], throughput)
	return interval{middle, low, high}
}

// unsettled returns the pairs whose ratio of reads a second is not known to within the width.
func unsettled(pairs [][2]target, results map[target]series, width float64) [][2]target {
	return slices.DeleteFunc(slices.Clone(pairs), func(pair [2]target) bool {
		return rateOf(pair, results).width() <= width
	})
}

// settle loads the pairs on, and only those, until each ratio's interval is narrow enough or each pair has been loaded
// for the most rounds. It adds to the results and returns the pairs that are still wide.
func (m *measurement) settle(ctx context.Context, pairs [][2]target, results map[target]series) ([][2]target, error) {
	for {
		wide := slices.DeleteFunc(unsettled(pairs, results, m.width), func(pair [2]target) bool {
			return len(results[pair[0]]) >= m.most
		})
		if len(wide) == 0 {
			return unsettled(pairs, results, m.width), nil
		}
		m.say("%d rounds: %s", len(results[wide[0][0]]), widths(wide, results))
		for round := range settleEvery {
			if err := m.round(ctx, round, targetsOf(wide), results); err != nil {
				return nil, err
			}
		}
	}
}

// targetsOf returns the targets of the pairs, each once. A target that is left out once never comes back: the n-th
// slices of a pair's targets are always of the same round.
func targetsOf(pairs [][2]target) (all []target) {
	for _, pair := range pairs {
		for _, t := range pair {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

func widths(pairs [][2]target, results map[target]series) string {
	var all []string
	for _, pair := range pairs {
		all = append(all, fmt.Sprintf("%s to %s is known to within %.3f", pair[0].name, pair[1].name,
			rateOf(pair, results).width()))
	}
	return strings.Join(all, "; ")
}
