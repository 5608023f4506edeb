package scope

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func encoded(t testing.TB, document *node) string {
	t.Helper()
	var b strings.Builder
	if fault := document.encode(&b, func(text *template) (string, string) { return text.String(), "" }); fault != "" {
		t.Fatal(fault)
	}
	return b.String()
}

// FuzzDocument reads any policy: what is taken is sent as the same JSON, in characters that AWS takes.
func FuzzDocument(f *testing.F) {
	for _, policy := range []string{ownPolicy, `{}`, `{"a":[1,2.50,-1e9,true,null,"é€😀\u2028\u0000"]}`,
		`{"a":"{{identity.entity.id}}"}`,
		`{"a":"\ud800"}`, `{"a":1,"a":2}`, `[[[[[[[[`, `{"a":"}}"}`, "{\"a\":\"\xff\"}"} {
		f.Add(policy)
	}
	f.Fuzz(func(t *testing.T, policy string) {
		document, fault := parseDocument(policy)
		if fault != "" {
			return
		}
		_ = checkStatements(document)
		_ = grantsEverything(document)
		text := encoded(t, document)
		var before, after any
		decode := func(text string, into *any) error {
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.UseNumber()
			return decoder.Decode(into)
		}
		if decode(policy, &before) != nil || decode(text, &after) != nil || !equivalent(before, after) {
			t.Fatalf("%q is sent as %q", policy, text)
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0xff }) {
			t.Fatalf("%q holds a character that AWS does not take", text)
		}
	})
}

// equivalent lets directives differ, which are written without the spaces inside.
func equivalent(before, after any) bool {
	spaced, _ := json.Marshal(before)
	plain, _ := json.Marshal(after)
	if reflect.DeepEqual(before, after) {
		return true
	}
	return strings.Contains(string(spaced), "{{") && len(plain) <= len(spaced)
}
