package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// The charts show what the tables of the same run say: their caption is the run's, which stands above the tables too.

const (
	chartWidth = 900.0
	labelWidth = 330.0
	chartRow   = 26.0
	chartTop   = 64.0
	chartStyle = `<style>text{font:12px sans-serif;fill:#24292f}.t{font-size:16px;font-weight:600}.s{fill:#57606a;` +
		`font-size:11px}.g{stroke:#d8dee4}.b{stroke:#bc4c00;stroke-dasharray:4 3}` +
		`.r{stroke:#0072b2;stroke-width:2}</style>`
)

// chart collects an SVG whose horizontal axis goes from low to high.
type chart struct {
	strings.Builder
	low, high, height float64
}

func newChart(title, caption string, low, high float64, rows int) *chart {
	c := &chart{low: low, high: high, height: chartTop + chartRow*float64(rows)}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img"><title>%s</title>%s`,
		chartWidth, c.height+40, escaped(title), chartStyle)
	c.add(`<rect width="100%%" height="100%%" fill="#fff"/>`)
	c.text(12, 24, "t", "start", title)
	c.text(12, 43, "s", "start", caption)
	return c
}

func (c *chart) add(format string, arguments ...any) { fmt.Fprintf(c, format+"\n", arguments...) }

func (c *chart) text(x, y float64, class, anchor, text string) {
	c.add(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, escaped(text))
}

func escaped(text string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(text)) != nil { // a strings.Builder takes everything
		return ""
	}
	return b.String()
}

// x is where a value lies; what is off the axis lies at its end.
func (c *chart) x(value float64) float64 {
	part := (value - c.low) / (c.high - c.low)
	return labelWidth + (chartWidth-labelWidth-60)*min(max(part, 0), 1)
}

// axis draws lines at every multiple of the step.
func (c *chart) axis(step float64, format string) {
	for i := math.Ceil(c.low/step-1e-9) + 0; i*step <= c.high+1e-9; i++ {
		x := c.x(i * step)
		c.add(`<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.1f" class="g"/>`, x, x, chartTop-8, c.height)
		c.text(x, c.height+18, "s", "middle", fmt.Sprintf(format, i*step))
	}
}

// ratioRow is one ratio of the chart of ratios.
type ratioRow struct {
	label string
	interval
}

// lowestRatio is the bar for the lower ends of the ratios of reads to the floor.
const lowestRatio = 0.95

// ratioChart shows ratios to the floor with their intervals.
func ratioChart(rows []ratioRow, caption string) string {
	low, high := 0.9, 1.1
	for _, row := range rows {
		low, high = min(low, math.Floor(row.low*20)/20), max(high, math.Ceil(row.high*20)/20)
	}
	c := newChart("Reads to those of the floor", caption, low, high, len(rows))
	step := 0.05
	for (high-low)/step > 10 {
		step *= 2
	}
	c.axis(step, "%.2f")
	for i, row := range rows {
		y := chartTop + chartRow*(float64(i)+0.5)
		c.text(labelWidth-12, y+4, "", "end", row.label)
		c.add(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="r"/>`, c.x(row.low), c.x(row.high), y, y)
		for _, end := range []float64{row.low, row.high} {
			c.add(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="r"/>`, c.x(end), c.x(end), y-5, y+5)
		}
		c.add(`<circle cx="%.1f" cy="%.1f" r="4.5" fill="#0072b2"/>`, c.x(row.middle), y)
		c.text(chartWidth-8, y+4, "s", "end", fmt.Sprintf("%.3f", row.middle))
	}
	c.add(
		`<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.1f" class="b"/>`,
		c.x(lowestRatio),
		c.x(lowestRatio),
		chartTop-8,
		c.height,
	)
	c.text(
		12,
		c.height+34,
		"s",
		"start",
		"Point: median over the rounds. Line: its 95 % interval. Dashed: the bar for the lower end of reads/s; with "+
			"1,000 entities it is 0.93, for the point.",
	)
	return c.String() + "</svg>\n"
}

// rateBar is one rate of the chart of rates.
type rateBar struct {
	label     string
	perSecond float64
	floor     bool
}

// rateChart shows the reads a second of all targets side by side.
func rateChart(bars []rateBar, caption string) string {
	most := 1.0
	for _, bar := range bars {
		most = max(most, bar.perSecond)
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	c := newChart("Reads a second", caption, 0, math.Ceil(most/step)*step, len(bars))
	c.axis(step, "%.0f")
	for i, bar := range bars {
		y, colour := chartTop+chartRow*float64(i)+4, "#0072b2"
		if bar.floor {
			colour = "#8c959f"
		}
		c.text(labelWidth-12, y+13, "", "end", bar.label)
		c.add(
			`<rect x="%.1f" y="%.1f" width="%.1f" height="18" fill="%s"/>`,
			c.x(0),
			y,
			c.x(bar.perSecond)-c.x(0),
			colour,
		)
		c.text(c.x(bar.perSecond)+6, y+13, "s", "start", fmt.Sprintf("%.0f", bar.perSecond))
	}
	return c.String() + "</svg>\n"
}

// charts writes both charts into a directory.
func charts(dir, caption string, results map[target]series) error {
	var rows []ratioRow
	var bars []rateBar
	for _, pair := range twins {
		for _, value := range []struct {
			name string
			of   func(slice) float64
		}{{"reads/s", throughput}, {"p50", p50}, {"p99", p99}} {
			middle, low, high := ratio(results[pair[0]], results[pair[1]], value.of)
			rows = append(rows, ratioRow{pair[0].name + ", " + value.name, interval{middle, low, high}})
		}
	}
	for _, t := range targetsOf(twins) {
		bars = append(bars, rateBar{t.name, results[t].median(throughput), t.program != oursProgram.name})
	}
	for _, t := range []target{awsRole, awsRolePlain, kvEntry} {
		bars = append(bars, rateBar{t.name, results[t].median(throughput), true})
	}
	for name, text := range map[string]string{"bench-ratios.svg": ratioChart(rows, caption),
		"bench-rates.svg": rateChart(bars, caption)} {
		if err := os.WriteFile(
			filepath.Join(dir, name),
			[]byte(text),
			0o644,
		); err != nil { //nolint:gosec // it is published
			return fmt.Errorf("writing a chart: %w", err)
		}
	}
	return nil
}
