package dashboard

import (
	"fmt"
	"math"
	"strings"
)

// box is a rectangle in pixels.
type box struct{ x, y, w, h float64 }

const (
	legendLine = 15.0
	legendChar = 6.2 // an estimate: nothing here measures fonts
)

// lines draws a panel of series over time.
func (p *picture) lines(b box, panel Panel, series []legended, window Window) {
	plot := box{x: b.x + 62, y: b.y + 32, w: b.w - 78, h: b.h - 60}
	if len(series) == 0 {
		p.writeText(b.x+b.w/2, b.y+b.h/2+8, "s", "middle", "nothing in this time")
		return
	}
	rows := legendRows(series, b.w-20)
	plot.h -= legendLine * float64(len(rows))
	top, step := axis(highest(series))
	unit := panel.FieldConfig.Defaults.Unit
	for value := 0.0; value <= top*1.001; value += step {
		y := plot.y + plot.h*(1-value/top)
		p.add(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="g"/>`, plot.x, plot.x+plot.w, y, y)
		p.writeText(plot.x-6, y+4, "a", "end", formatted(value, unit))
	}
	span := window.To.Sub(window.From).Seconds()
	for i := range 5 {
		part := float64(i) / 4
		p.writeText(plot.x+plot.w*part, plot.y+plot.h+15, "a", "middle", fmt.Sprintf("%.0f s", span*part))
	}
	for i, one := range series {
		p.line(plot, one, palette[i%len(palette)], top, window, span)
	}
	p.legend(b, rows)
}

// line draws one series. A gap of more than two steps interrupts it.
func (p *picture) line(plot box, one legended, colour string, top float64, window Window, span float64) {
	var path strings.Builder
	for i, point := range one.Points {
		command := "L"
		if i == 0 || point.Time.Sub(one.Points[i-1].Time) > 2*window.Step {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, plot.x+plot.w*point.Time.Sub(window.From).Seconds()/span,
			plot.y+plot.h*(1-max(point.Value, 0)/top))
	}
	p.add(`<path d="%s" class="l" stroke="%s" stroke-linecap="round"/>`, path.String(), colour)
}

// legendRows puts names side by side, as far as they fit.
func legendRows(series []legended, width float64) [][]string {
	rows, used := [][]string{nil}, 0.0
	for _, one := range series {
		needs := legendWidth(one.name)
		if last := len(rows) - 1; used+needs > width && len(rows[last]) > 0 {
			rows, used = append(rows, nil), 0
		}
		last := len(rows) - 1
		rows[last] = append(rows[last], one.name)
		used += needs
	}
	return rows
}

func legendWidth(name string) float64 { return 30 + legendChar*float64(len(name)) }

func (p *picture) legend(b box, rows [][]string) {
	y, colour := b.y+b.h-10-legendLine*float64(len(rows)-1), 0
	for _, names := range rows {
		x := b.x + 14
		for _, name := range names {
			p.add(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="3"/>`, x, x+14, y-4, y-4,
				palette[colour%len(palette)])
			p.writeText(x+18, y, "s", "start", name)
			x += legendWidth(name)
			colour++
		}
		y += legendLine
	}
}

func highest(series []legended) float64 {
	top := 0.0
	for _, one := range series {
		for _, point := range one.Points {
			top = max(top, point.Value)
		}
	}
	return top
}

// axis returns where the axis ends, and the distance of its lines: 1, 2 or 5 times a power of ten.
func axis(highest float64) (top, step float64) {
	if highest <= 0 {
		return 1, 1
	}
	rough := highest / 4
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if step = factor * power; step >= rough {
			break
		}
	}
	return math.Ceil(highest/step) * step, step
}
