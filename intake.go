package s3conn

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// The framework checks types by itself, but its error quotes the value: a secret_key sent as an object would be
// repeated in the response, the server's log and the audit log. So every field is decoded here first, with words
// of our own, and the framework sees only values it accepts.

type intakeKey struct{}

// takeIn replaces the request's fields by their decoded values: string, bool, int64 (seconds), or nil for a field
// that is to be cleared. What cannot be decoded is taken out and told by intakeProblems.
func takeIn(ctx context.Context, req *logical.Request) context.Context {
	if len(req.Data) == 0 {
		return ctx
	}
	data := maps.Clone(req.Data)
	found := &problem.List{}
	for _, f := range connectionFields() {
		raw, given := data[f.name]
		if !given {
			continue
		}
		value, why := f.decode(raw)
		if why != "" {
			found.Add(f.name, "%s", why)
			delete(data, f.name)
			continue
		}
		data[f.name] = value
	}
	if data["verify_connection"] != nil {
		value, why := decodeFlag(data["verify_connection"])
		if why != "" {
			found.Add("verify_connection", "%s", why)
		}
		data["verify_connection"] = value
	}
	req.Data = data
	return context.WithValue(ctx, intakeKey{}, found)
}

func intakeProblems(ctx context.Context) *problem.List {
	if found, ok := ctx.Value(intakeKey{}).(*problem.List); ok {
		return found.Clone()
	}
	return &problem.List{}
}

// decode returns the field's value, or what is wrong with it in words that never quote it.
func (f *field) decode(raw any) (value any, why string) {
	if raw == nil || raw == "" {
		return nil, ""
	}
	switch f.in(&connection{}).(type) {
	case *bool:
		return decodeFlag(raw)
	case *int64:
		return decodeSeconds(raw)
	}
	s, ok := raw.(string)
	switch {
	case !ok:
		return nil, "is " + kindOf(raw) + "; it has to be a string"
	case len(s) > f.limit:
		return nil, fmt.Sprintf("is %d bytes long; at most %d are accepted", len(s), f.limit)
	}
	if !f.verbatim {
		if s = strings.TrimSpace(s); s == "" {
			return nil, ""
		}
	}
	return s, ""
}

func decodeFlag(raw any) (value any, why string) {
	switch v := raw.(type) {
	case nil:
		return nil, ""
	case bool:
		return v, ""
	case string:
		if v == "" {
			return nil, ""
		}
		if b, err := strconv.ParseBool(v); err == nil {
			return b, ""
		}
	}
	return nil, "has to be true or false"
}

// decodeSeconds refuses negative numbers itself, because the framework would, with an error of its own.
func decodeSeconds(raw any) (value any, why string) {
	const want = "has to be a positive number of seconds or a Go duration, such as 3600 or \"1h\""
	seconds, ok := wholeSeconds(raw)
	if !ok || seconds < 0 {
		return nil, want
	}
	return seconds, ""
}

func wholeSeconds(raw any) (seconds int64, ok bool) {
	var text string
	switch v := raw.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) <= math.MaxInt32
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(text)
	return int64(d / time.Second), err == nil && d == d.Truncate(time.Second)
}

func kindOf(raw any) string {
	switch raw.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case bool:
		return "a boolean"
	}
	return "a number"
}

// refuseUnknown reports the request's fields that are not among the known ones: a misspelt field must not look
// as if it had been obeyed.
func refuseUnknown(p *problem.List, data map[string]any, known []string) {
	const most = 10
	unknown := slices.DeleteFunc(slices.Sorted(maps.Keys(data)), func(name string) bool { return slices.Contains(known, name) })
	for i, name := range unknown {
		if i == most {
			p.Add("...", "and %d more that do not exist", len(unknown)-most)
			return
		}
		if near := nearest(name, known); near != "" {
			p.Add(problem.Quote(name), "there is no such field; did you mean %s?", near)
		} else {
			p.Add(problem.Quote(name), "there is no such field; the fields are in the path's help (vault path-help)")
		}
	}
}

// nearest finds a known name that differs only in case, dashes or a letter or two.
func nearest(name string, known []string) string {
	if len(name) > limitName {
		return ""
	}
	plain := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	best, distance := "", 3
	for _, candidate := range known {
		if d := editDistance(plain, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
