package dashboard

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Window is the stretch of time that a picture shows.
type Window struct {
	From, To time.Time
	Step     time.Duration
}

const (
	column, row = 50, 32 // of Grafana's grid, in pixels
	gap         = 8      // around each panel
	heading     = 46
)

// Grafana's names of colours and the palette of series, which the colour-blind can distinguish too.
var (
	palette = [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b"}
	named   = map[string]string{"green": "#1a7f37", "orange": "#bc4c00", "red": "#cf222e"}
)

// picture collects SVG. Text is escaped, so that a label's value cannot end an element.
type picture struct{ strings.Builder }

func (p *picture) add(format string, arguments ...any) { fmt.Fprintf(p, format+"\n", arguments...) }

func (p *picture) writeText(x, y float64, class, anchor, text string) {
	p.add(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, escaped(text))
}

func escaped(text string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(text)) != nil { // a strings.Builder takes everything
		return ""
	}
	return b.String()
}

// Draw runs the queries of all panels and writes them as one SVG.
func Draw(
	ctx context.Context,
	w io.Writer,
	d *Dashboard,
	from Prometheus,
	values Values,
	window Window,
	subtitle string,
) error {
	var p picture
	height := 0
	for _, panel := range d.Panels {
		height = max(height, heading+(panel.GridPos.Y+panel.GridPos.H)*row)
	}
	width := 24 * column
	p.add(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" role="img">`,
		width,
		height,
	)
	p.add(`<title>%s</title>`, escaped(d.Title+": "+subtitle))
	p.add(
		`<style>.h{font-size:20px;font-weight:600}.t{font-size:13px;font-weight:600}` +
			`.s,.a{font-size:11px;fill:#57606a}.v{font-size:30px;font-weight:600}` +
			`.g{stroke:#d8dee4;stroke-width:1}.l{fill:none;stroke-width:1.6}</style>`,
	)
	p.add(`<rect width="%d" height="%d" fill="#f6f8fa"/>`, width, height)
	p.writeText(gap, 29, "h", "start", d.Title)
	p.writeText(float64(width-gap), 29, "s", "end", subtitle)
	for _, panel := range d.Panels {
		series, err := panel.run(ctx, from, values, window)
		if err != nil {
			return fmt.Errorf("drawing the panel %q: %w", panel.Title, err)
		}
		box := box{x: float64(panel.GridPos.X*column + gap/2), y: float64(heading + panel.GridPos.Y*row),
			w: float64(panel.GridPos.W*column - gap), h: float64(panel.GridPos.H*row - gap)}
		p.add(
			`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="4" fill="#fff" stroke="#d0d7de"/>`,
			box.x,
			box.y,
			box.w,
			box.h,
		)
		p.writeText(box.x+10, box.y+20, "t", "start", panel.Title)
		if panel.Type == "stat" {
			p.stat(box, panel, series)
		} else {
			p.lines(box, panel, series, window)
		}
	}
	p.add(`</svg>`)
	_, err := io.WriteString(w, p.String())
	return err
}

// legended is a series with its name in the legend.
type legended struct {
	Series
	name string
}

// run returns what the panel's queries return, the same name always in the same order. A panel of one value has it
// last.
func (p Panel) run(ctx context.Context, from Prometheus, values Values, window Window) ([]legended, error) {
	var all []legended
	for _, target := range p.Targets {
		series, err := from.Range(ctx, values.Expand(target.Expr), window.From, window.To, window.Step)
		if err != nil {
			return nil, err
		}
		for _, one := range series {
			if len(one.Points) > 0 {
				all = append(all, legended{one, one.legend(target.LegendFormat)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b legended) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

var placeholder = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// legend is the format with labels put in for {{label}}.
func (s Series) legend(format string) string {
	return placeholder.ReplaceAllStringFunc(format, func(found string) string {
		return s.Labels[placeholder.FindStringSubmatch(found)[1]]
	})
}

// stat writes the last value, in the colour of its threshold.
func (p *picture) stat(b box, panel Panel, series []legended) {
	shown, colour := "-", "#24292f"
	if len(series) > 0 {
		points := series[0].Points
		value := points[len(points)-1].Value
		shown = formatted(value, panel.FieldConfig.Defaults.Unit)
		for _, step := range panel.FieldConfig.Defaults.Thresholds.Steps {
			if step.Value == nil || value >= *step.Value {
				colour = named[step.Color]
			}
		}
	}
	p.add(
		`<text x="%.1f" y="%.1f" class="v" fill="%s" text-anchor="middle">%s</text>`,
		b.x+b.w/2,
		b.y+b.h/2+22,
		colour,
		escaped(shown),
	)
}

// formatted is a value in Grafana's unit.
func formatted(value float64, unit string) string {
	switch unit {
	case "s":
		return duration(value)
	case "reqps":
		return fmt.Sprintf("%.4g/s", value)
	default:
		return fmt.Sprintf("%.4g", value)
	}
}

func duration(seconds float64) string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}, {"ms", 1e-3}} {
		if seconds >= unit.size {
			return fmt.Sprintf("%.3g %s", seconds/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.3g s", seconds)
}
