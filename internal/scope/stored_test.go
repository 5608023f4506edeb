package scope

import (
	"errors"
	"reflect"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// golden is the entry that version 1 has stored for everything; it never changes.
const golden = `{"version":1,"revision":"r1","buckets":["bucket-a"],"prefixes":["a/"],"access":["read"],` +
	`"kms_key_arns":["k"],"source_cidrs":["203.0.113.0/24"],"source_vpc_endpoints":["vpce-1"],"policy":"{}",` +
	`"role_arn":"arn",` +
	`"external_id":"x","session_name":"n","session_tags":{"t":"v"},"transitive_tag_keys":["t"],"source_identity":"i",` +
	`"duration":900,"generate_lease":true}`

func everything() Scope {
	return Scope{"r1", Settings{[]string{"bucket-a"}, []string{"a/"}, []string{"read"}, []string{"k"},
		[]string{"203.0.113.0/24"},
		[]string{"vpce-1"}, "{}", "arn", "x", "n", map[string]string{"t": "v"}, []string{"t"}, "i", 900, true}}
}

func TestStored_FormNeverChanges(t *testing.T) {
	t.Parallel()
	s := everything()
	entry, err := Encode(&s)
	if err != nil || string(entry) != golden {
		t.Errorf("Encode: %s, %v; want %s", entry, err, golden)
	}
	got, err := Decode([]byte(golden))
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("Decode: %+v, %v; want %+v", got, err, s)
	}
}

func TestDecode_RefusesDamagedAndNewerEntries(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{``, `x`, `{}`, `{"version":1}`, `{"version":0,"revision":"r"}`,
		`{"version":1,"revision":"r","buckets":1}`} {
		if _, err := Decode([]byte(entry)); !errors.Is(err, ErrDamaged) {
			t.Errorf("Decode(%s): %v, want ErrDamaged", entry, err)
		}
	}
	var newer *NewerError
	if _, err := Decode([]byte(`{"version":2,"revision":{}}`)); !errors.As(err, &newer) || newer.Version != 2 {
		t.Errorf("a newer entry: %v, want a *NewerError", err)
	}
}

func TestTable_CoversEverySettingAndKeepsItsDefaults(t *testing.T) {
	t.Parallel()
	table := Table()
	if s := table.New(); !reflect.DeepEqual(s, New()) {
		t.Errorf("the table's defaults %+v are not those of New", s)
	}
	if rows, fields := len(table.Fields), reflect.TypeFor[Settings]().NumField(); rows != fields {
		t.Errorf("the table has %d rows, and Settings %d fields", rows, fields)
	}
	for _, row := range table.Fields {
		s := everything()
		place := reflect.ValueOf(row.Place(&s)).Elem()
		if place.IsZero() {
			t.Errorf("%s is empty in a scope that has everything", row.Name)
		}
	}
}

func TestTable_NothingOpensAWholeBucketByAccident(t *testing.T) {
	t.Parallel()
	for name, faulty := range map[string]any{"prefixes": "", "policy": nil} {
		for _, row := range Table().Rows() {
			if row.Name != name {
				continue
			}
			if value, fault := row.Decode(faulty); fault == "" {
				t.Errorf("%s: an empty value is taken as %v", name, value)
			}
		}
	}
	base := scopeOf(func(s *Scope) { s.Prefixes = []string{"a/"} })
	var problems problem.List
	merged := Table().Merge(base, map[string]any{"buckets": []string{"bucket-b"}}, &problems)
	if !reflect.DeepEqual(merged.Prefixes, []string{"a/"}) {
		t.Errorf("a write of other fields left the prefixes %v", merged.Prefixes)
	}
}

func TestShow_HasTheFieldsThatApply(t *testing.T) {
	t.Parallel()
	s := scopeOf(func(s *Scope) { s.Prefixes = []string{"{{identity.entity.name}}/"} })
	shown, err := Show(&s, chained())
	if err != nil {
		t.Fatalf("Show: %v", err)
	}
	if _, has := shown["policy"]; has || !reflect.DeepEqual(shown["access"], []string{"list", "read"}) ||
		shown["duration"] != int64(3600) {
		t.Errorf("shown %v", shown)
	}
	const want = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation",` +
		`"s3:GetObject",` +
		`"s3:GetObjectVersion"],"Resource":["arn:aws:s3:::bucket-a",` +
		`"arn:aws:s3:::bucket-a/{{identity.entity.name}}/*"]},` +
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::bucket-a",` +
		`"Condition":{"StringLike":{"s3:prefix":"{{identity.entity.name}}/*"}}}]}`
	if shown["session_policy"] != want {
		t.Errorf("the session policy is shown as %s", shown["session_policy"])
	}
	own := scopeOf(func(s *Scope) { s.Buckets, s.Policy = nil, ownPolicy })
	shown, err = Show(&own, chained())
	if _, has := shown["buckets"]; has || err != nil || shown["policy"] != ownPolicy {
		t.Errorf("shown %v, %v", shown, err)
	}
}
