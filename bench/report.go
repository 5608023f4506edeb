package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
)

// report writes Markdown tables. What it could not write it does not report: it writes to a terminal or a file that a
// person then reads.
type report struct{ w io.Writer }

func (r report) title(format string, arguments ...any) {
	fmt.Fprintf(r.w, "\n### "+format+"\n\n", arguments...)
}

func (r report) header(columns ...string) {
	r.row(columns...)
	fmt.Fprintf(r.w, "|%s\n", strings.Repeat("---|", len(columns)))
}

func (r report) row(cells ...string) { fmt.Fprintf(r.w, "| %s |\n", strings.Join(cells, " | ")) }

// caption says when and where a run was made: what its absolute numbers are worth.
func caption(storage string) string {
	return fmt.Sprintf(
		"%s: %d processors, %s, %s/%s; Vault with %s storage",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.NumCPU(),
		runtime.Version(),
		runtime.GOOS,
		runtime.GOARCH,
		storage,
	)
}

// caption says how much was measured, too.
func (m *measurement) caption(storage string, results map[target]series) string {
	rounds := 0
	for _, one := range results {
		rounds = max(rounds, len(one))
	}
	return fmt.Sprintf(
		"%s; %d clients; %d to %d rounds of %s each",
		caption(storage),
		m.clients,
		m.rounds,
		rounds,
		m.length,
	)
}

func (r report) machine(caption string) { fmt.Fprintf(r.w, "%s.\n", caption) }

// noise says which ratios are not known as well as they should be.
func (r report) noise(wide [][2]target, m *measurement, results map[target]series) {
	for _, pair := range wide {
		fmt.Fprintf(
			r.w,
			"\nThis machine is too noisy: after %d rounds the ratio of %s to %s has an interval %.3f wide, and %.3f "+
				"was asked for.\n",
			len(results[pair[0]]),
			pair[0].name,
			pair[1].name,
			rateOf(pair, results).width(),
			m.width,
		)
	}
}

func (r report) targets(targets []target, results map[target]series) {
	r.title("Reads")
	r.header("target", "reads/s", "p50", "p99", "Vault's CPU per read", "plugin's CPU per read")
	for _, t := range targets {
		s := results[t]
		plugin := "-"
		if t.program != "" {
			plugin = micros(s.perRead(pluginTime))
		}
		r.row(t.name, fmt.Sprintf("%.0f", s.median(throughput)), micros(s.median(p50)), micros(s.median(p99)),
			micros(s.perRead(vaultTime)), plugin)
	}
}

func micros(nanoseconds float64) string {
	return fmt.Sprintf("%.0f µs", nanoseconds/float64(time.Microsecond))
}

func (r report) ratios(pairs [][2]target, results map[target]series) {
	r.title(
		"Ratios, as medians over the rounds with the median's 95 %% interval in brackets; processor time over all " +
			"rounds",
	)
	r.header("target", "to", "reads/s", "p50", "p99", "Vault's CPU", "plugin's CPU")
	for _, pair := range pairs {
		cells := []string{pair[0].name, pair[1].name}
		for _, value := range []func(slice) float64{throughput, p50, p99} {
			middle, low, high := ratio(results[pair[0]], results[pair[1]], value)
			if middle == 0 {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, withInterval(middle, low, high))
		}
		for _, spent := range []func(slice) time.Duration{vaultTime, pluginTime} {
			of, to := results[pair[0]].perRead(spent), results[pair[1]].perRead(spent)
			if of == 0 || to == 0 {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, fmt.Sprintf("%.3f", of/to))
		}
		r.row(cells...)
	}
}

func withInterval(middle, low, high float64) string {
	return fmt.Sprintf("%.3f (%.3f to %.3f)", middle, low, high)
}

// upstream says what AWS was asked for.
func (r report) upstream(reads map[target]int, calls awsCalls) {
	total := func(targets ...target) string {
		sum := 0
		for _, t := range targets {
			sum += reads[t]
		}
		return fmt.Sprint(sum)
	}
	r.title("Calls to AWS")
	r.header("engine", "reads", "calls")
	r.row("s3conn, CreateSession", total(oursLeased, oursLeaseless, oursRaw, oursScoped, oursCrowd),
		fmt.Sprintf("%d (%d connections)", calls.sessions, connections))
	r.row("s3conn, AssumeRole, one scope without templates and one with", total(oursScoped, oursCrowd),
		fmt.Sprintf("%d (%d scope and %d entities)", calls.narrowed, scopes, crowdSize))
	r.row("AWS engine, AssumeRole", total(awsRole, awsRolePlain, awsRoleAmongLeases), fmt.Sprint(calls.assumed))
}

type processFigures struct {
	start map[string]time.Duration
	// Resident memory in KiB: mounted and never used, configured and read once, after the load.
	idle, inUse, loaded map[string]int64
}

func (r report) processes(programs plugins, f processFigures) {
	base := programs.floor
	r.title("The process (in brackets: to the floor's)")
	r.header(
		"plugin",
		"start to serving",
		"resident, idle",
		"resident, read once",
		"resident, after the load",
		"stripped program",
	)
	compared := func(format string, value, to float64) string {
		return fmt.Sprintf(format+" (%.2f)", value, value/to)
	}
	const mib = 1 << 20
	for _, p := range programs.all() {
		r.row(p.name,
			compared("%.0f ms", float64(f.start[p.name])/1e6, float64(f.start[base.name])/1e6),
			compared("%.1f MiB", float64(f.idle[p.name])/1024, float64(f.idle[base.name])/1024),
			compared("%.1f MiB", float64(f.inUse[p.name])/1024, float64(f.inUse[base.name])/1024),
			compared("%.1f MiB", float64(f.loaded[p.name])/1024, float64(f.loaded[base.name])/1024),
			compared("%.1f MiB", float64(p.size)/mib, float64(base.size)/mib))
	}
}

func (r report) weights(of, over weight) {
	r.title("Symbols that the plugin has over the floor's, by module")
	r.header("module", "plugin", "floor", "more")
	const kib = 1 << 10
	for _, name := range excess(of, over) {
		r.row(name, fmt.Sprintf("%d KiB", of[name]/kib), fmt.Sprintf("%d KiB", over[name]/kib),
			fmt.Sprintf("%d KiB", (of[name]-over[name])/kib))
	}
}
