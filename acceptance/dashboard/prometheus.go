package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Prometheus is a client of a Prometheus server's HTTP API.
//
// https://prometheus.io/docs/prometheus/latest/querying/api/
type Prometheus struct {
	Address string // "http://127.0.0.1:9090"
	HTTP    *http.Client
}

// Series is what a query returns for one set of labels.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is a value at a time.
type Point struct {
	Time  time.Time
	Value float64
}

const maxAnswer = 16 << 20

// Query runs an expression for one time.
func (p Prometheus) Query(ctx context.Context, expression string, at time.Time) ([]Series, error) {
	return p.query(ctx, "query", url.Values{"query": {expression}, "time": {seconds(at)}})
}

// Range runs an expression for a stretch of time.
func (p Prometheus) Range(
	ctx context.Context,
	expression string,
	from, to time.Time,
	step time.Duration,
) ([]Series, error) {
	return p.query(ctx, "query_range", url.Values{"query": {expression}, "start": {seconds(from)}, "end": {seconds(to)},
		"step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}})
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// Get returns the data of the API's answer.
func (p Prometheus) Get(ctx context.Context, path string, parameters url.Values) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Address+"/api/v1/"+path+"?"+parameters.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("decoding Prometheus's answer with status %d: %w", resp.StatusCode, err)
	}
	if answer.Status != "success" {
		return nil, errors.New("Prometheus refuses the request: " + answer.Error) //nolint:staticcheck // a name
	}
	return answer.Data, nil
}

func (p Prometheus) query(ctx context.Context, path string, parameters url.Values) ([]Series, error) {
	expression := parameters.Get("query")
	data, err := p.Get(ctx, path, parameters)
	if err != nil {
		return nil, fmt.Errorf("running the query %s: %w", expression, err)
	}
	var answer struct {
		Result []struct {
			Metric map[string]string
			Value  *sample  // of a query for one time
			Values []sample // of one for a stretch
		}
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("decoding the result of the query %s: %w", expression, err)
	}
	var all []Series
	for _, result := range answer.Result {
		one := Series{Labels: result.Metric}
		if result.Value != nil {
			result.Values = append(result.Values, *result.Value)
		}
		for _, s := range result.Values {
			if !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) { // a rate over nothing
				one.Points = append(one.Points, Point(s))
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// sample is [seconds, "value"].
type sample Point

func (s *sample) UnmarshalJSON(text []byte) error {
	var at float64
	var value string
	if err := json.Unmarshal(text, &[]any{&at, &value}); err != nil {
		return err
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return err
	}
	*s = sample{Time: time.UnixMilli(int64(at * 1000)), Value: number}
	return nil
}
