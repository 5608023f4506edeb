package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// noisy is a measurement of targets whose rates swing by what is given for each, in a pattern.
func noisy(swing map[target]float64, most int) (*measurement, map[target]int) {
	loads := map[target]int{}
	return &measurement{rounds: 20, clients: 8, length: 250 * time.Millisecond, width: 0.04, most: most,
		say: func(string, ...any) {}, reads: map[target]int{},
		load: func(_ context.Context, t target) (slice, error) {
			n := loads[t]
			loads[t]++
			return slice{perSecond: 1000 * (1 + swing[t]*(float64(n*7%11)/5-1)), p50: 1, p99: 1, reads: 1}, nil
		}}, loads
}

func TestSettle_LoadsOnUntilTheRatiosAreNarrow(t *testing.T) {
	t.Parallel()
	m, loads := noisy(map[target]float64{oursRaw: 0.10}, 5000)
	results, err := m.run(t.Context(), []target{oursLeaseless, floorLeaseless}, []target{oursRaw, floorRaw})
	if err != nil {
		t.Fatal(err)
	}
	pairs := [][2]target{{oursLeaseless, floorLeaseless}, {oursRaw, floorRaw}}
	wide, err := m.settle(t.Context(), pairs, results)
	if err != nil || len(wide) != 0 {
		t.Fatalf("settle left %v wide, %v", wide, err)
	}
	if n := loads[oursLeaseless]; n != 21 {
		t.Errorf("a quiet target was loaded %d times, want 21: its ratio was narrow at first", n)
	}
	if n := loads[oursRaw]; n <= 21 || n != loads[floorRaw] {
		t.Errorf(
			"a noisy target was loaded %d times and its floor %d, want more than 21 and as often",
			n,
			loads[floorRaw],
		)
	}
	if width := rateOf(pairs[1], results).width(); width > m.width {
		t.Errorf("the noisy ratio is known to within %.3f", width)
	}
}

func TestSettle_SaysThatTheMachineIsTooNoisy(t *testing.T) {
	t.Parallel()
	m, loads := noisy(map[target]float64{oursRaw: 0.9}, 60)
	results, err := m.run(t.Context(), []target{oursRaw, floorRaw})
	if err != nil {
		t.Fatal(err)
	}
	wide, err := m.settle(t.Context(), [][2]target{{oursRaw, floorRaw}}, results)
	if err != nil || len(wide) != 1 || loads[oursRaw] != 61 {
		t.Fatalf("settle left %v wide after %d loads, %v; want the pair after 61", wide, loads[oursRaw], err)
	}
	var text strings.Builder
	report{&text}.noise(wide, m, results)
	if !strings.Contains(text.String(), "too noisy: after 60 rounds the ratio of s3conn sdk/NAME") {
		t.Errorf("the report says %q", text.String())
	}
}

func TestSettle_EndsWithTheLoadsError(t *testing.T) {
	t.Parallel()
	m, _ := noisy(map[target]float64{oursRaw: 0.9}, 60)
	results, err := m.run(t.Context(), []target{oursRaw, floorRaw})
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	m.load = func(context.Context, target) (slice, error) { return slice{}, gone }
	if _, err := m.settle(t.Context(), [][2]target{{oursRaw, floorRaw}}, results); !errors.Is(err, gone) {
		t.Errorf("got %v, want the load's error", err)
	}
}

// Two pairs share a floor, and one settles before the other: rounds must still be compared with themselves.
func TestSettle_ComparesWithinRoundsWhereAFloorIsShared(t *testing.T) {
	t.Parallel()
	m, loads := noisy(map[target]float64{oursScoped: 0.10}, 5000)
	results, err := m.run(t.Context(), []target{oursLeaseless, floorLeaseless, oursScoped})
	if err != nil {
		t.Fatal(err)
	}
	pairs := [][2]target{{oursLeaseless, floorLeaseless}, {oursScoped, floorLeaseless}}
	if wide, err := m.settle(t.Context(), pairs, results); err != nil || len(wide) != 0 {
		t.Fatalf("settle left %v wide, %v", wide, err)
	}
	if loads[floorLeaseless] != loads[oursScoped] || loads[oursLeaseless] >= loads[oursScoped] {
		t.Errorf("the loads are %v, want the floor's as many as the scope's, and the other's fewer", loads)
	}
}

func TestRun_ClearsUpAfterEachLoad(t *testing.T) {
	t.Parallel()
	m, loads := noisy(nil, 30)
	m.rounds = 2
	var cleared []target
	full := errors.New("the server is full")
	m.after = func(_ context.Context, one target) error {
		cleared = append(cleared, one)
		if len(cleared) != loads[floorLeased]+loads[oursLeased] {
			t.Errorf("cleared up %d times after %v", len(cleared), loads)
		}
		if len(cleared) == 5 {
			return full
		}
		return nil
	}
	_, err := m.run(t.Context(), []target{floorLeased, oursLeased})
	want := []target{floorLeased, oursLeased, oursLeased, floorLeased, floorLeased}
	if !errors.Is(err, full) || !slices.Equal(cleared, want) {
		t.Errorf("cleared up after %v, %v; want %v and the error", cleared, err, want)
	}
}

func TestRevokeLeases_OfTheTargetAlone(t *testing.T) {
	t.Parallel()
	var asked []string
	status := http.StatusNoContent
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.URL.Path+" "+strings.TrimSpace(string(body)))
		w.WriteHeader(status)
	})
	config := api.DefaultConfig()
	config.Address = "http://" + address
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{client: client}
	if err := s.revokeLeases(t.Context(), oursLeased); err != nil {
		t.Fatal(err)
	}
	if want := []string{`/v1/sys/leases/revoke-prefix/s3conn/creds/leased {"sync":true}`}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	status = http.StatusForbidden
	if err := s.revokeLeases(t.Context(), oursLeased); err == nil || !strings.Contains(err.Error(), oursLeased.name) {
		t.Errorf("error %v, want whose leases they are", err)
	}
}

func TestCharts_AreWellFormedAndOfTheRun(t *testing.T) {
	t.Parallel()
	results := map[target]series{}
	for _, pair := range twins {
		for i, one := range pair {
			for n := range 30 {
				results[one] = append(
					results[one],
					slice{perSecond: 3000 + float64(100*i+n%5), p50: 5, p99: 9, reads: 1},
				)
			}
		}
	}
	m, _ := noisy(nil, 30)
	m.rounds = 30
	caption := m.caption("inmem", results)
	dir := t.TempDir()
	if err := charts(dir, caption, results); err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"bench-ratios.svg": {oursScoped.name + ", p99", "0.968", "0.95"},
		"bench-rates.svg":  {oursScoped.name, floorLeased.name, "3002"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(text)))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is not well-formed: %v", name, err)
			}
		}
		for _, want := range append(wants, caption) {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
}

func TestBars_HoldLowerEndsToTheBar(t *testing.T) {
	t.Parallel()
	lower, median := bar{limit: 0.95, kind: lowerAbove}, bar{limit: 0.95}
	for _, i := range []interval{{0.97, 0.951, 0.98}, {0.97, 0.949, 0.98}} {
		if got, want := lower.met(i), i.low >= 0.95; got != want || !median.met(i) {
			t.Errorf("%v: the lower end passes: %v, want %v; the median passes: %v", i, got, want, median.met(i))
		}
	}
	if text := fmt.Sprint(lower.text(), "; ", median.text()); text != "lower end at least 0.95; at least 0.95" {
		t.Errorf("the bars are %q", text)
	}
}

func TestRatioChart_AxisStaysReadable(t *testing.T) {
	t.Parallel()
	text := ratioChart([]ratioRow{{"wide", interval{1.5, 0.6, 2.7}}}, "x")
	if n := strings.Count(text, `class="g"`); n < 4 || n > 12 {
		t.Errorf("the axis has %d lines", n)
	}
	if strings.Contains(rateChart([]rateBar{{"one", 10, false}}, "x"), ">-0<") {
		t.Error("the axis begins with -0")
	}
}
