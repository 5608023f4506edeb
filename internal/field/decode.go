package field

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// DecodeAll returns a copy of a request's data in which the values of the rows' fields are decoded: see [Row.Decode]. A
// value that cannot be decoded is left out and added to problems. Fields without a row stay as they are.
func DecodeAll(rows []Row, data map[string]any, problems *problem.List) map[string]any {
	decoded := maps.Clone(data)
	for i := range rows {
		row := &rows[i]
		raw, given := data[row.Name]
		if !given {
			continue
		}
		value, fault := row.Decode(raw)
		if fault != "" {
			problems.Add(row.Name, "%s", fault)
			delete(decoded, row.Name)
			continue
		}
		decoded[row.Name] = value
	}
	return decoded
}

// Decode returns the field's value from what a JSON request or the command line holds: of the Go type that [Type]
// states, or nil for a field that is to be cleared. fault says what is wrong with it and never repeats it, except for
// a String or Strings with allowed values.
//
// Strings come as a list, or as one text with commas between the items; spaces around the items of the latter are
// always removed. A Map comes as an object, or as one text key=value or a list of them; spaces around keys are
// removed. Empty items of a list are kept, for validation to judge.
func (r *Row) Decode(raw any) (value any, fault string) {
	switch r.Type {
	case Bool:
		value, fault = decodeBool(raw)
	case Seconds:
		value, fault = decodeSeconds(raw)
	case Int:
		value, fault = decodeInt(raw)
	case Strings:
		value, fault = r.decodeStrings(raw)
	case Map:
		value, fault = r.decodeMap(raw)
	default:
		value, fault = r.decodeString(raw)
	}
	if value == nil && fault == "" && r.ClearRefused != "" {
		return nil, r.ClearRefused
	}
	return value, fault
}

func (r *Row) decodeString(raw any) (value any, fault string) {
	if raw == nil || raw == "" {
		return nil, ""
	}
	text, ok := raw.(string)
	if !ok {
		return nil, "is " + kindOf(raw) + "; it has to be a string"
	}
	if r.Limit > 0 && len(text) > r.Limit {
		return nil, fmt.Sprintf("is %d bytes long; at most %d are accepted", len(text), r.Limit)
	}
	if !r.Verbatim {
		text = strings.TrimSpace(text)
	}
	if text == "" {
		return nil, ""
	}
	if !r.allows(text) {
		return nil, problem.Quote(text) + " is unknown; it has to be " + alternatives(r.Allowed)
	}
	return text, ""
}

func (r *Row) allows(text string) bool {
	return len(r.Allowed) == 0 || slices.Contains(r.Allowed, text)
}

// alternatives writes values as a choice, such as "a", "b" or "c".
func alternatives(values []string) string {
	quoted := make([]string, len(values))
	for i, one := range values {
		quoted[i] = strconv.Quote(one)
	}
	if last := len(quoted) - 1; last > 0 {
		return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
	}
	return strings.Join(quoted, "")
}

func decodeBool(raw any) (value any, fault string) {
	switch v := raw.(type) {
	case nil:
		return nil, ""
	case bool:
		return v, ""
	case string:
		if v == "" {
			return nil, ""
		}
		if parsed, err := strconv.ParseBool(v); err == nil {
			return parsed, ""
		}
	}
	return nil, "has to be true or false"
}

func decodeSeconds(raw any) (value any, fault string) {
	if raw == nil || raw == "" {
		return nil, ""
	}
	seconds, ok := wholeSeconds(raw)
	if !ok || seconds < 0 {
		return nil, "has to be a positive number of seconds or a Go duration, such as 3600 or \"1h\""
	}
	return seconds, ""
}

func decodeInt(raw any) (value any, fault string) {
	var text string
	switch v := raw.(type) {
	case nil:
		return nil, ""
	case string:
		text = strings.TrimSpace(v)
		if text == "" {
			return nil, ""
		}
	case json.Number:
		text = v.String()
	case int:
		return int64(v), ""
	case int64:
		return v, ""
	case float64:
		const exact = 1 << 53 // beyond it a float64 skips whole numbers
		if v == math.Trunc(v) && math.Abs(v) <= exact {
			return int64(v), ""
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, "has to be a whole number"
	}
	return n, ""
}

// wholeSeconds accepts numbers and texts of numbers up to those of 32 bits, and Go durations.
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
	case []any, []string:
		return "a list"
	case bool:
		return "a boolean"
	}
	return "a number"
}
