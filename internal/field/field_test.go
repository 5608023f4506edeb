package field

import (
	"reflect"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const canary = "CANARY-7f3a"

// sample is settings of every type.
type sample struct {
	Kind, Region string
	Lease        bool
	Duration     int64
	Key, Proxy   secret.Text
	Buckets      []string
	Tags         map[string]string
	Certificate  string
}

func sampleTable() Table[sample] {
	return Table[sample]{Subject: "sample", Selector: "kind", Fields: []Field[sample]{
		{Row: Row{Name: "region", Default: "east"}, Place: func(s *sample) any { return &s.Region }},
		{Row: Row{Name: "lease", Type: Bool, Default: true}, Place: func(s *sample) any { return &s.Lease }},
		{Row: Row{Name: "duration", Type: Seconds, Default: int64(60), BelongsTo: "b"},
			Place: func(s *sample) any { return &s.Duration }},
		{Row: Row{Name: "key", Type: Secret, BelongsTo: "a", Show: Never},
			Place: func(s *sample) any { return &s.Key }},
		{Row: Row{Name: "proxy", Type: Secret, Redact: func(secret.Text) string { return "http://xxxxx@proxy" }},
			Place: func(s *sample) any { return &s.Proxy }},
		{Row: Row{Name: "buckets", Type: Strings}, Place: func(s *sample) any { return &s.Buckets }},
		{Row: Row{Name: "tags", Type: Map}, Place: func(s *sample) any { return &s.Tags }},
		{Row: Row{Name: "certificate", Show: Replaced, Instead: []Row{{Name: "certificate_subject"}}},
			Place: func(s *sample) any { return &s.Certificate },
			Derive: func(*sample) (map[string]any, error) {
				return map[string]any{"certificate_subject": "CN=x"},
					nil
			}},
		{Row: Row{Name: "verify", Type: Bool, Instruction: true}},
		{Row: Row{Name: "kind", Default: "a", Allowed: []string{"a", "b"}},
			Place: func(s *sample) any { return &s.Kind }},
	}}
}

func TestMerge_OmittedStaysEmptyResetsGivenReplaces(t *testing.T) {
	t.Parallel()
	table := sampleTable()
	base := table.New()
	if base.Region != "east" || !base.Lease || base.Duration != 60 || base.Kind != "a" || base.Buckets != nil {
		t.Fatalf("New() = %+v, want the defaults", base)
	}
	buckets := []string{"x"}
	var problems problem.List
	got := table.Merge(base, map[string]any{"region": "west", "key": canary, "buckets": buckets,
		"tags": map[string]string{"k": "v"}, "lease": false, "verify": true}, &problems)
	buckets[0] = "changed later"
	want := sample{Kind: "a", Region: "west", Duration: 60, Key: got.Key, Buckets: []string{"x"},
		Tags: map[string]string{"k": "v"}}
	if !reflect.DeepEqual(got, want) || got.Key.Reveal() != canary || base.Region != "east" {
		t.Errorf("merged %+v, want %+v and the base as it was", got, want)
	}
	got = table.Merge(got, map[string]any{"region": nil, "key": nil, "buckets": nil, "tags": nil, "lease": nil},
		&problems)
	if !reflect.DeepEqual(got, base) || problems.Err("merging", "") != nil {
		t.Errorf("cleared %+v (%v), want the defaults", got, problems.Err("merging", ""))
	}
}

func TestMerge_SelectorDropsTheFieldsOfTheOther(t *testing.T) {
	t.Parallel()
	table := sampleTable()
	base := table.New()
	base.Key = secret.New(canary)
	var problems problem.List
	got := table.Merge(base, map[string]any{"kind": "b", "duration": int64(90)}, &problems)
	if !got.Key.Empty() || got.Duration != 90 || problems.Err("merging", "") != nil {
		t.Errorf("merged %+v (%v), want no key and 90 s", got, problems.Err("merging", ""))
	}
	table.Merge(got, map[string]any{"key": canary}, &problems)
	want := "merging: key: belongs to kind a, and this sample's is b; leave it out or change kind"
	if err := problems.Err("merging", ""); err == nil || err.Error() != want {
		t.Errorf("a field of another kind: %v, want %q", err, want)
	}
	unknownKind := problem.List{}
	unknownKind.Add("kind", "is unknown")
	table.Merge(got, map[string]any{"key": canary}, &unknownKind)
	if unknownKind.Has("key") {
		t.Error("a field is said to belong to another kind although the kind is not known")
	}
}

func TestShow_FollowsTheRows(t *testing.T) {
	t.Parallel()
	table := sampleTable()
	settings := table.New()
	settings.Key, settings.Proxy = secret.New(canary), secret.New(canary)
	got, err := table.Show(&settings)
	want := map[string]any{"kind": "a", "region": "east", "lease": true, "proxy": "http://xxxxx@proxy",
		"buckets": []string{}, "tags": map[string]string{}, "certificate_subject": "CN=x"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Show() = %v, %v; want %v", got, err, want)
	}
	for _, row := range table.Shown() {
		if _, shown := got[row.Name]; !shown && row.BelongsTo != "b" {
			t.Errorf("%s has a row and is not shown", row.Name)
		}
	}
}

func TestTable_InstructionsAreNoSettings(t *testing.T) {
	t.Parallel()
	table := sampleTable()
	all, settings := Names(table.Rows()), Names(table.Settings())
	if len(all) != len(settings)+1 || !strings.Contains(strings.Join(all, " "), "verify") ||
		strings.Contains(strings.Join(settings, " "), "verify") {
		t.Errorf("rows %v, settings %v: want verify in the former alone", all, settings)
	}
}

func TestTable_FieldsWithoutSelectorAlwaysApply(t *testing.T) {
	t.Parallel()
	table := Table[sample]{Fields: []Field[sample]{
		{Row: Row{Name: "region"}, Place: func(s *sample) any { return &s.Region }},
	}}
	var problems problem.List
	got := table.Merge(table.New(), map[string]any{"region": "west"}, &problems)
	if shown, err := table.Show(&got); err != nil || shown["region"] != "west" {
		t.Errorf("shown %v, %v", shown, err)
	}
}
