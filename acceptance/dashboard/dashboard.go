// Package dashboard reads a Grafana dashboard, runs its queries at a Prometheus and draws what they return, so that the
// dashboard can be judged, and shown, without a Grafana.
package dashboard

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Dashboard is what is used of Grafana's model.
//
// https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
type Dashboard struct {
	Title       string
	Panels      []Panel
	Templating  struct{ List []Variable }
	Annotations struct{ List []Annotation }
}

// Panel is one picture of the dashboard.
type Panel struct {
	Title, Type string
	GridPos     struct{ X, Y, W, H int } // in columns, of which there are 24, and rows
	Targets     []Target
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Thresholds struct{ Steps []Step }
		}
	}
}

// Target is one query of a panel.
type Target struct{ Expr, LegendFormat string }

// Step colours a value from Value on; the first one has none.
type Step struct {
	Color string
	Value *float64
}

// Variable is chosen by whoever looks at the dashboard.
type Variable struct{ Name, Type, Definition string }

// Annotation marks when something happened.
type Annotation struct{ Name, Expr string }

// Load reads the dashboard from Grafana's JSON.
func Load(file string) (*Dashboard, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("decoding the dashboard %s: %w", file, err)
	}
	return &d, nil
}

// Expressions returns every query of the dashboard, annotations included, as they stand.
func (d *Dashboard) Expressions() []string {
	var all []string
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
		}
	}
	for _, annotation := range d.Annotations.List {
		all = append(all, annotation.Expr)
	}
	return all
}

// Values are what the dashboard's variables stand for.
type Values struct {
	Job, Mount string
	Rate       time.Duration // $__rate_interval: at least four scrapes
}

// Expand puts the variables into a query. A variable that is not known stays and makes the query one that Prometheus
// refuses.
func (v Values) Expand(expression string) string {
	return strings.NewReplacer("$__rate_interval", fmt.Sprintf("%ds", int(v.Rate.Seconds())), "$job", v.Job,
		"$mount", v.Mount).Replace(expression)
}
