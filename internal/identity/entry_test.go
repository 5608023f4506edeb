package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// fullEntry has every field.
func fullEntry() *Entry {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	return &Entry{
		State: State{
			ID:      "id-1",
			Current: &Pair{"certificate", secret.New("current key"), OriginVault},
			Waiting: &Waiting{"ec-p256", secret.New("waiting key"), "csr", at},
			Issuer: &Issuer{Revision: "r", Settings: enroll.Settings{
				Type: enroll.TypeVaultPKI, Address: "https://vault:8200", CACert: "ca",
				ProxyURL:     secret.New("http://u:p@proxy"),
				CertAuthPath: "cert", CertAuthRole: "renewal", PKIPath: "pki", PKIRole: "s3conn", Namespace: "ns",
				TTL: time.Hour, Label: "l",
			}, RenewBefore: time.Hour, Key: KeySame, KeyType: "ec-p384", Names: Names{
				CommonName: "cn", Organization: []string{"o"}, OrganizationalUnit: []string{"ou"},
				Country:  []string{"DE"},
				Province: []string{"st"}, Locality: []string{"l"}, DNSSANs: []string{"d"}, URISANs: []string{"u:r"},
			}},
			Renewal: &Renewal{secret.New("renewal key"), OriginVault, true, "csr2", "certificate2", at},
			Record:  Record{at, at, "no", 3, at},
		},
		Imported: &Import{"id-2", &Pair{"certificate3", secret.New("imported key"), OriginImported}},
	}
}

func TestEntry_StoredFormIsTheGolden(t *testing.T) {
	t.Parallel()
	text, err := fullEntry().Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/entry_v1.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text); got != strings.TrimSpace(string(golden)) {
		t.Errorf("stored form:\n%s", got)
	}
	entry, err := Decode(golden)
	if err != nil {
		t.Fatal(err)
	}
	again, err := entry.Encode()
	if err != nil || string(again) != string(text) {
		t.Errorf("read and written again:\n%s", again)
	}
}

func TestEntry_PrintsNoSecret(t *testing.T) {
	t.Parallel()
	entry := fullEntry()
	asJSON, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%+v %#v %s", entry, entry.State, entry.State.Current), string(asJSON),
		fmt.Sprintf("%+v %+v %+v %+v", *entry.State.Current, *entry.State.Waiting, *entry.State.Issuer,
			*entry.State.Renewal)} {
		for _, one := range []string{"current key", "waiting key", "renewal key", "imported key", "u:p@proxy"} {
			if strings.Contains(text, one) {
				t.Errorf("%q is in %s", one, text)
			}
		}
	}
}

func TestDecode_Refuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"version":2,"id":"a"}`: "stored in form 2 by a newer plugin",
		`{"version":1}`:          "is damaged",
		`{"id":"a"}`:             "is damaged",
		`CANARY`:                 "is damaged",
		`{"version":1,"id":"a","current":"CANARY"}`: "is damaged",
	} {
		_, err := Decode([]byte(text))
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	entry := fullEntry()
	inline := &Pair{"inline", secret.New("inline key"), OriginImported}
	for name, test := range map[string]struct {
		entry   *Entry
		id      string
		inline  *Pair
		current string
		waits   bool
	}{
		"the entry's own":                           {entry, "id-1", nil, "certificate", true},
		"an import that the configuration names":    {entry, "id-2", nil, "certificate3", true},
		"a configuration of v0.1.0, never touched":  {nil, "rev", inline, "inline", false},
		"a configuration of v0.1.0, then swapped":   {entry, "id-1", inline, "certificate", true},
		"a downgrade has written another one since": {entry, "rev", inline, "inline", false},
		"left behind by a deleted connection":       {entry, "other", nil, "", false},
		"no identity yet":                           {nil, "id", nil, "", false},
	} {
		state := Resolve(test.entry, test.id, test.inline)
		current := ""
		if state.Current != nil {
			current = state.Current.Certificate
		}
		if current != test.current || (state.Waiting != nil) != test.waits || state.ID != test.id {
			t.Errorf("%s: current %q, waits %v, id %q", name, current, state.Waiting != nil, state.ID)
		}
	}
	imported := Resolve(entry, "id-2", nil)
	if imported.Issuer == nil || imported.Renewal != nil || imported.Record.Failures != 0 {
		t.Errorf("after an import: %+v", imported)
	}
	again := entry.State.WithImport("id-3", inline)
	if Resolve(again, "id-1", nil).Current.Certificate != "certificate" ||
		Resolve(again, "id-3", nil).Current.Certificate != "inline" {
		t.Error("an import counts before the configuration names it")
	}
	encoded, err := entry.State.WithImport("id-4", nil).Encode()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := Decode(encoded)
	if err != nil || Resolve(taken, "id-4", nil).Current != nil || Resolve(taken, "id-4", nil).Waiting == nil {
		t.Errorf("taken away: %+v, %v", taken, err)
	}
}
