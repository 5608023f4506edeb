package dashboard_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/dashboard"
)

var from = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// answering is a Prometheus with one answer to every query.
func answering(t *testing.T, answer string) (prometheus dashboard.Prometheus, queries *[]string) {
	t.Helper()
	queries = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*queries = append(*queries, r.FormValue("query"))
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return dashboard.Prometheus{Address: server.URL, HTTP: server.Client()}, queries
}

const matrix = `{"status":"success","data":{"resultType":"matrix","result":[
	{"metric":{"path":"creds"},"values":[[1772366400,"1"],[1772366405.5,"2.5"],[1772366410,"NaN"]]},
	{"metric":{"path":"</text><script>"},"values":[[1772366400,"0"]]}]}}`

func TestRange_DecodesSeries(t *testing.T) {
	t.Parallel()
	p, _ := answering(t, matrix)
	series, err := p.Range(t.Context(), "up", from, from.Add(time.Minute), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(series) != 2 || series[0].Labels["path"] != "creds" || len(series[0].Points) != 2 {
		t.Fatalf("got %+v, want two series, the first with two points that are numbers", series)
	}
	if point := series[0].Points[1]; point.Value != 2.5 || !point.Time.Equal(from.Add(5500*time.Millisecond)) {
		t.Errorf("the second point is %+v, want 2.5 after 5.5 s", point)
	}
}

func TestQuery_ReturnsPrometheussError(t *testing.T) {
	t.Parallel()
	p, _ := answering(t, `{"status":"error","error":"parse error: unexpected \"$\""}`)
	if _, err := p.Query(t.Context(), "$x", from); err == nil || !strings.Contains(err.Error(), "parse error") ||
		!strings.Contains(err.Error(), "$x") {
		t.Errorf("got %v, want the query with Prometheus's words", err)
	}
}

func TestDraw_WritesWellFormedSVG(t *testing.T) {
	t.Parallel()
	p, queries := answering(t, matrix)
	d, err := dashboard.Load("../../monitoring/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var svg bytes.Buffer
	err = dashboard.Draw(t.Context(), &svg, d, p, dashboard.Values{Job: "j", Mount: "m", Rate: 20 * time.Second},
		dashboard.Window{From: from, To: from.Add(time.Minute), Step: time.Second}, `a "test" & <more>`)
	if err != nil {
		t.Fatal(err)
	}
	decoder, texts := xml.NewDecoder(&svg), 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the picture is not well-formed: %v", err)
		}
		if start, is := token.(xml.StartElement); is {
			if start.Name.Local == "script" {
				t.Error("a label's value has become an element")
			}
			if start.Name.Local == "text" {
				texts++
			}
		}
	}
	if texts < 2*len(d.Panels) {
		t.Errorf("%d texts for %d panels", texts, len(d.Panels))
	}
	for _, query := range *queries {
		if strings.Contains(query, "$") || !strings.Contains(query, `job="j"`) {
			t.Errorf("the query %s has variables left", query)
		}
	}
}

// Panels must not lie upon each other or leave Grafana's 24 columns, and no two may share an id.
func TestDashboard_PanelsFit(t *testing.T) {
	t.Parallel()
	d, err := dashboard.Load("../../monitoring/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 10 || len(d.Expressions()) < len(d.Panels) {
		t.Fatalf("%d panels with %d queries", len(d.Panels), len(d.Expressions()))
	}
	taken := map[[2]int]string{}
	for _, panel := range d.Panels {
		at := panel.GridPos
		if at.X+at.W > 24 {
			t.Errorf("the panel %q ends at column %d", panel.Title, at.X+at.W)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies upon %q", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}
