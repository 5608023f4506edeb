package connection

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// fullConnection has every field set to a value of its own, so that an encoded entry shows them all.
func fullConnection() Connection {
	return Connection{
		Revision: "REVISION",
		Settings: Settings{
			AuthType: "auth", Region: "region", CustomRegion: "custom", AccessKey: "AKIA",
			ProfileARN: "profile", RoleARN: "role", TrustAnchorARN: "anchor", SessionName: "name",
			SendSessionName: true,
			Duration:        1200, ExtendedDuration: true, Certificate: "certificate",
			RolesAnywhereEndpoint: "https://ra",
			GenerateLease:         true,
			S3Endpoint:            "https://s3", S3Region: "s3region", S3PathStyle: true, S3AllowHTTP: true,
			CACert:      "ca",
			STSEndpoint: "https://sts", AllowUnscoped: true,
			RotationPeriod: 86400, RotationGrace: 7200, IAMEndpoint: "https://iam", KeySince: 1700000000,
		},
		SecretKey: secret.New("secret"), PrivateKey: secret.New("key"), ProxyURL: secret.New("http://proxy"),
	}
}

func golden(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The file changes when a field is added, and at no other time: a tag that changes would lose what is stored.
func TestEncode_WritesEveryFieldUnderItsTag(t *testing.T) {
	t.Parallel()
	full := fullConnection()
	for i := range reflect.TypeFor[Settings]().NumField() {
		if reflect.ValueOf(full.Settings).Field(i).IsZero() {
			t.Errorf("%s is not set, so the entry would not show it", reflect.TypeFor[Settings]().Field(i).Name)
		}
	}
	got, err := full.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(golden(t, "connection.json"))); string(got) != want {
		t.Errorf("encoded as\n%s\nwant, as in testdata/connection.json,\n%s", got, want)
	}
}

// testdata/connection-v1.json is what version 0.1.0 of the plugin wrote. It never changes, whatever fields are added.
func TestDecode_ReadsWhatVersion0_1_0Wrote(t *testing.T) {
	t.Parallel()
	stored := golden(t, "connection-v1.json")
	got, err := Decode(stored)
	if err != nil {
		t.Fatal(err)
	}
	if got.Revision != "REVISION" || got.SecretKey.Reveal() != "secret" || got.PrivateKey.Reveal() != "key" ||
		got.ProxyURL.Reveal() != "http://proxy" || !got.Passphrase.Empty() {
		t.Errorf("decoded %+v, want revision and secrets of the entry", got)
	}
	if !got.AllowUnscoped {
		t.Error("an entry of version 0.1.0 refuses to be read without a scope")
	}
	again, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]any
	if json.Unmarshal(stored, &before) != nil || json.Unmarshal(again, &after) != nil {
		t.Fatal("an entry is not JSON")
	}
	for tag, value := range before {
		if after[tag] != value {
			t.Errorf("%s was %v and is written as %v", tag, value, after[tag])
		}
	}
}

func TestDecode_RefusesNewerAndDamagedEntriesWithoutRepeatingThem(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ stored, says string }{
		"newer": {`{"version":3,"revision":"CANARY","auth_type":"access_key"}`,
			"version 3 by a newer plugin"},
		"newer, a duration in words": {`{"version":3,"revision":"CANARY","duration":"1h"}`, "run the newer plugin"},
		"newer, nested":              {`{"version":7,"revision":{"id":"CANARY"},"region":["a"]}`, "version 7"},
		"not JSON":                   {"CANARY{", "is damaged"},
		"empty":                      {"", "is damaged"},
		"null":                       {"null", "is damaged"},
		"no version":                 {`{"revision":"CANARY"}`, "is damaged"},
		"no revision":                {`{"version":1}`, "is damaged"},
		"version below":              {`{"version":-1,"revision":"CANARY"}`, "is damaged"},
		"a duration in words":        {`{"version":1,"revision":"CANARY","duration":"CANARY"}`, "is damaged"},
	} {
		got, err := Decode([]byte(row.stored))
		var unreadable *UnreadableError
		if got != nil || !errors.As(err, &unreadable) || !strings.Contains(err.Error(), row.says) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: decoded %v, %v; want an UnreadableError with %q", name, got, err, row.says)
		}
	}
}

func TestEncode_LeavesTheIdentityToTheEntryThatItNames(t *testing.T) {
	t.Parallel()
	conn := fullConnection()
	conn.IdentityID = "IDENTITY"
	stored, err := conn.Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := string(stored)
	if !strings.Contains(text, `"version":2`) || !strings.Contains(text, `"identity":"IDENTITY"`) ||
		strings.Contains(text, `"certificate"`) || strings.Contains(text, `"private_key"`) {
		t.Errorf("encoded as %s", text)
	}
	back, err := Decode(stored)
	if err != nil || back.IdentityID != "IDENTITY" || back.Certificate != "" || !back.PrivateKey.Empty() {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

// Version 0.1.0 of the plugin refuses version 2, and would hand out such a connection's own credentials.
func TestEncode_AConnectionForScopesAloneIsNotForVersion0_1_0(t *testing.T) {
	t.Parallel()
	conn := fullConnection()
	conn.AllowUnscoped = false
	stored, err := conn.Encode()
	if err != nil || !strings.Contains(string(stored), `"version":2`) {
		t.Errorf("encoded as %s, %v", stored, err)
	}
	back, err := Decode(stored)
	if err != nil || back.AllowUnscoped || back.Certificate != conn.Certificate ||
		back.PrivateKey.Reveal() != conn.PrivateKey.Reveal() {
		t.Errorf("decoded %+v, %v", back, err)
	}
}
