package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// measurement is a load run's settings.
type measurement struct {
	server  *server
	rounds  int
	clients int
	length  time.Duration // of one slice
	width   float64       // that a ratio's interval shall have at most
	most    int           // rounds for that
	load    func(ctx context.Context, t target) (slice, error)
	after   func(ctx context.Context, t target) error // what follows each load; nil: nothing
	say     func(format string, arguments ...any)
	reads   map[target]int // all of them, uncounted rounds too
	tours   map[target]*tour
}

// tour returns the target's tour, which goes on where the slice before ended.
func (m *measurement) tour(t target) *tour {
	if m.tours[t] == nil {
		m.tours[t] = newTour(m.server.address, t.path, m.server.tokensOf(t)...)
	}
	return m.tours[t]
}

// phase loads sets of targets, and then the pairs of them until their ratios are known. It adds to the results and
// returns the pairs whose ratios are not.
func (m *measurement) phase(ctx context.Context, sets [][]target, pairs [][2]target, results map[target]series) (
	[][2]target, error) {
	measured, err := m.run(ctx, sets...)
	if err != nil {
		return nil, err
	}
	wide, err := m.settle(ctx, pairs, measured)
	maps.Copy(results, measured)
	return wide, err
}

// run loads the targets of each set in turn, round after round. A first round is not counted.
func (m *measurement) run(ctx context.Context, sets ...[]target) (map[target]series, error) {
	results := map[target]series{}
	for round := range m.rounds + 1 {
		for _, set := range sets {
			if err := m.round(ctx, round, set, results); err != nil {
				return nil, err
			}
		}
		if round == 0 {
			clear(results)
		}
		m.say("round %d of %d", round, m.rounds)
	}
	return results, nil
}

// round loads each target of a set once, and every other round backwards: what drifts or lingers then meets a set's
// targets alike.
func (m *measurement) round(ctx context.Context, round int, set []target, results map[target]series) error {
	order := slices.Clone(set)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	for _, t := range order {
		one, err := m.load(ctx, t)
		if err != nil {
			return fmt.Errorf("loading %s: %w", t.name, err)
		}
		if m.after != nil {
			if err := m.after(ctx, t); err != nil {
				return err
			}
		}
		results[t] = append(results[t], one)
	}
	return nil
}

// leadIn is the part of a slice's length for which a target is loaded before, uncounted, while what the one before it
// left behind is cleared away.
const leadIn = 0.2

func (m *measurement) slice(ctx context.Context, t target) (slice, error) {
	pids := []int{m.server.cmd.Process.Pid}
	if t.program != "" {
		pid, err := m.server.pluginPID(t.program)
		if err != nil {
			return slice{}, err
		}
		pids = append(pids, pid)
	}
	tour := m.tour(t)
	lead, _, err := load(ctx, m.server.address, tour, m.clients, time.Duration(leadIn*float64(m.length)))
	if err != nil {
		return slice{}, err
	}
	before, err := processorTimes(pids)
	if err != nil {
		return slice{}, err
	}
	latencies, took, err := load(ctx, m.server.address, tour, m.clients, m.length)
	if err != nil {
		return slice{}, err
	}
	after, err := processorTimes(pids)
	if err != nil {
		return slice{}, err
	}
	m.reads[t] += len(lead) + len(latencies)
	reads := len(latencies)
	if reads == 0 {
		return slice{}, fmt.Errorf("no read ended within %s; make the slice longer", m.length)
	}
	one := slice{
		perSecond: float64(reads) / took.Seconds(),
		p50:       durations(latencies, 0.50), p99: durations(latencies, 0.99),
		reads: reads, vaultTime: after[0] - before[0],
	}
	if len(pids) > 1 {
		one.pluginTime = after[1] - before[1]
	}
	return one, nil
}

func processorTimes(pids []int) ([]time.Duration, error) {
	var all []time.Duration
	for _, pid := range pids {
		one, err := processorTime(pid)
		if err != nil {
			return nil, fmt.Errorf("reading the processor time of a server: %w", err)
		}
		all = append(all, one)
	}
	return all, nil
}
