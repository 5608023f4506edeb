package field

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestDecode_ReturnsTheTypesValue(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		row  Row
		raw  any
		want any
	}{
		{"text", Row{}, " a b ", "a b"},
		{"verbatim text", Row{Verbatim: true}, " a b ", " a b "},
		{"text of spaces", Row{}, " \t", nil},
		{"empty text", Row{Type: Secret}, "", nil},
		{"null", Row{}, nil, nil},
		{"allowed text", Row{Allowed: []string{"a", "b"}}, "b", "b"},
		{"true", Row{Type: Bool}, true, true},
		{"a word for true", Row{Type: Bool}, "T", true},
		{"empty boolean", Row{Type: Bool}, "", nil},
		{"null boolean", Row{Type: Bool}, nil, nil},
		{"seconds", Row{Type: Seconds}, json.Number("3600"), int64(3600)},
		{"seconds as text", Row{Type: Seconds}, "3600", int64(3600)},
		{"a duration", Row{Type: Seconds}, "1h", int64(3600)},
		{"a float", Row{Type: Seconds}, 3600.0, int64(3600)},
		{"an int", Row{Type: Seconds}, 0, int64(0)},
		{"an int64", Row{Type: Seconds}, int64(5), int64(5)},
		{"empty seconds", Row{Type: Seconds}, "", nil},
		{"a number", Row{Type: Int}, json.Number("-5"), int64(-5)},
		{"a large number", Row{Type: Int}, json.Number("5000000000000"), int64(5000000000000)},
		{"a number as text", Row{Type: Int}, " 12 ", int64(12)},
		{"a number as a float", Row{Type: Int}, 12.0, int64(12)},
		{"a number as an int", Row{Type: Int}, 12, int64(12)},
		{"zero", Row{Type: Int}, int64(0), int64(0)},
		{"an empty number", Row{Type: Int}, "", nil},
		{"null number", Row{Type: Int}, nil, nil},
		{"items with commas", Row{Type: Strings, Verbatim: true}, "a, b ,,c", []string{"a", "b", "", "c"}},
		{"a list", Row{Type: Strings}, []any{" a,b ", "c"}, []string{"a,b", "c"}},
		{"a verbatim list", Row{Type: Strings, Verbatim: true}, []string{" a"}, []string{" a"}},
		{"an empty list", Row{Type: Strings}, []any{}, nil},
		{"an empty text of items", Row{Type: Strings}, "", nil},
		{"allowed items", Row{Type: Strings, Allowed: []string{"list", "read"}}, "read,list", []string{"read", "list"}},
		{"one pair", Row{Type: Map}, " team = a=b,c ", map[string]string{"team": "a=b,c"}},
		{"pairs", Row{Type: Map, Verbatim: true}, []any{"a= 1", "b="}, map[string]string{"a": " 1", "b": ""}},
		{"an object", Row{Type: Map}, map[string]any{"a": "1"}, map[string]string{"a": "1"}},
		{"a Go map", Row{Type: Map}, map[string]string{"a": "1"}, map[string]string{"a": "1"}},
		{"an empty object", Row{Type: Map}, map[string]any{}, nil},
		{"an empty text of pairs", Row{Type: Map}, "", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, fault := row.row.Decode(row.raw)
			if fault != "" || !reflect.DeepEqual(got, row.want) {
				t.Errorf("Decode(%#v) = %#v, %q; want %#v", row.raw, got, fault, row.want)
			}
		})
	}
}

func TestDecode_FaultNamesTheCauseAndNeverTheValue(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		row  Row
		raw  any
		says string
	}{
		{"an object for a secret", Row{Type: Secret}, map[string]any{"a": canary},
			"is an object; it has to be a string"},
		{"a list for a text", Row{}, []any{canary}, "is a list"},
		{"a Go list for a text", Row{}, []string{canary}, "is a list"},
		{"a boolean for a text", Row{}, true, "is a boolean"},
		{"a number for a text", Row{}, json.Number("1"), "is a number"},
		{"a long text", Row{Limit: 5}, canary, "is 11 bytes long; at most 5 are accepted"},
		{"a text for a boolean", Row{Type: Bool}, canary, "has to be true or false"},
		{"a list for a boolean", Row{Type: Bool}, []any{}, "has to be true or false"},
		{"a text for seconds", Row{Type: Seconds}, canary, "has to be a positive number of seconds"},
		{"negative seconds", Row{Type: Seconds}, "-1", "has to be a positive number of seconds"},
		{"half a second", Row{Type: Seconds}, "1500ms", "has to be a positive number of seconds"},
		{"a float that is no number", Row{Type: Seconds}, 1.5, "has to be a positive number of seconds"},
		{"a text for a number", Row{Type: Int}, canary, "has to be a whole number"},
		{"half a number", Row{Type: Int}, 0.5, "has to be a whole number"},
		{"half a number as text", Row{Type: Int}, "0.5", "has to be a whole number"},
		{"an object for a number", Row{Type: Int}, map[string]any{"a": canary}, "has to be a whole number"},
		{"a number too large", Row{Type: Int}, json.Number("9223372036854775808"), "has to be a whole number"},
		{"a float too large", Row{Type: Int}, 1e18, "has to be a whole number"},
		{"too many seconds", Row{Type: Seconds}, json.Number("9223372036854775808"),
			"has to be a positive number of seconds"},
		{"an object for seconds", Row{Type: Seconds}, map[string]any{"a": canary},
			"has to be a positive number of seconds"},
		{"an object for items", Row{Type: Strings}, map[string]any{"a": canary}, "has to be a list of strings"},
		{"a list of objects", Row{Type: Strings}, []any{map[string]any{"a": canary}}, "has to be a list of strings"},
		{"too many items", Row{Type: Strings, MaxItems: 1}, "a," + canary, "has 2 items; at most 1 are accepted"},
		{"a long item", Row{Type: Strings, Limit: 5}, canary, "has an item of 11 bytes; at most 5 are accepted"},
		{"a text that is no pair", Row{Type: Map}, canary, "key=value"},
		{"an object of lists", Row{Type: Map}, map[string]any{"a": []any{canary}}, "has to be an object of strings"},
		{"a number for a map", Row{Type: Map}, 1, "has to be an object of strings"},
		{"a pair without key", Row{Type: Map}, "=" + canary, "has an entry without a key"},
		{"a key twice", Row{Type: Map}, []any{canary + "=1", canary + "=2"}, "has a key more than once"},
		{"too many pairs", Row{Type: Map, MaxItems: 1}, []any{"a=1", canary + "=2"},
			"has 2 entries; at most 1 are accepted"},
		{"a long value", Row{Type: Map, Limit: 5}, "a=" + canary,
			"has a key or value of 11 bytes; at most 5 are accepted"},
		{"a field that cannot be cleared", Row{Type: Strings, ClearRefused: "cannot be empty"}, "", "cannot be empty"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, fault := row.row.Decode(row.raw)
			if got != nil || !strings.Contains(fault, row.says) || strings.Contains(fault, canary) {
				t.Errorf("Decode(%#v) = %#v, %q; want words with %q and without the value", row.raw, got, fault,
					row.says)
			}
		})
	}
}

func TestDecode_QuotesWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		row  Row
		raw  any
		want string
	}{
		{Row{Allowed: []string{"a"}}, "x\n", `"x" is unknown; it has to be "a"`},
		{Row{Allowed: []string{"a", "b"}}, "x", `"x" is unknown; it has to be "a" or "b"`},
		{Row{Type: Strings, Allowed: []string{"a", "b", "c"}}, "a,,c",
			`has the unknown item ""; each has to be "a", "b" or "c"`},
	} {
		if got, fault := row.row.Decode(row.raw); got != nil || fault != row.want {
			t.Errorf("Decode(%#v) = %#v, %q; want %q", row.raw, got, fault, row.want)
		}
	}
}

func TestDecodeAll_LeavesFaultyFieldsOutAndTheRequestAsItWas(t *testing.T) {
	t.Parallel()
	rows := []Row{{Name: "region"}, {Name: "secret_key", Type: Secret}, {Name: "lease", Type: Bool}}
	data := map[string]any{"region": " a ", "secret_key": []any{canary}, "other": 1}
	var problems problem.List
	got := DecodeAll(rows, data, &problems)
	if want := (map[string]any{"region": "a", "other": 1}); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %v, want %v", got, want)
	}
	if data["region"] != " a " || !problems.Has("secret_key") || problems.Has("region") {
		t.Errorf("the request became %v and the problems are %v", data, problems.Err("decoding", ""))
	}
}

// FuzzDecode decodes any JSON value for each type: no fault repeats it, and a value is of the type's own.
func FuzzDecode(f *testing.F) {
	for _, raw := range []string{`null`, `"CANARY-7f3a"`, `{"a":"CANARY-7f3a"}`, `["CANARY-7f3a=b"]`, `1e400`, `-1.5`,
		`true`} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, body string) {
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.UseNumber()
		var raw any
		if decoder.Decode(&raw) != nil {
			t.Skip("not JSON")
		}
		for kind, zero := range map[Type]any{String: "", Secret: "", Bool: false, Seconds: int64(0),
			Strings: []string{}, Map: map[string]string{}} {
			row := Row{Type: kind, Limit: 40, MaxItems: 3}
			value, fault := row.Decode(raw)
			if strings.Contains(fault, canary) || fault != "" && value != nil {
				t.Errorf("type %d: %v, %q", kind, value, fault)
			}
			if value != nil && reflect.TypeOf(value) != reflect.TypeOf(zero) {
				t.Errorf("type %d: decoded a %T", kind, value)
			}
		}
	})
}
