package connection

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestWrite_WarnsOfTheSessionNameThatWillBeSent(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	for given, sent := range map[string]string{
		"orders api/ü":            "orders-api--",
		strings.Repeat("a", 65):   strings.Repeat("a", 64),
		"x":                       "x-",
		"fine.name_1@host=a,b+c-": "",
	} {
		warnings := m.write("orders", rolesAnywhereFields(t, with("session_name", given)))
		if sent == "" && warnings != "" {
			t.Errorf("session_name %q: warned although it is sent as it is: %s", given, warnings)
		}
		if sent != "" && !strings.Contains(warnings, fmt.Sprintf("%q", sent)) {
			t.Errorf("session_name %q: warnings %q do not say that %q will be sent", given, warnings, sent)
		}
		if got := m.show("orders")["session_name"]; got != given {
			t.Errorf("session_name reads back as %q, want %q", got, given)
		}
	}
	if warnings := m.write("orders", with("session_name", "a b")); warnings == "" {
		t.Error("no warning for a session name with a space")
	}
	if warnings := m.write("orders", with("send_session_name", false)); warnings != "" {
		t.Errorf("a session name that is not sent causes the warnings %q", warnings)
	}
}

func TestWrite_CertificateNearItsEndCausesAWarningAndAnEndedOneIsRefused(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	end := time.Date(2027, 11, 23, 9, 26, 49, 0, time.UTC)
	fields := rolesAnywhereFields(t)
	m.now = end.Add(-31 * 24 * time.Hour)
	if warnings := m.write("orders", fields); warnings != "" {
		t.Errorf("31 days before the end: warnings %q, want none", warnings)
	}
	m.now = end.Add(-29 * 24 * time.Hour)
	written := m.write("orders", fields)
	_, read := m.read("orders")
	for _, warnings := range []string{written, read} {
		if !strings.Contains(warnings, "2027-11-23T09:26:49Z") {
			t.Errorf("29 days before the end: %q, want a warning with the date", warnings)
		}
	}
	m.now = end.Add(24 * time.Hour)
	assertRefused(t, m.refused("orders", with("duration", 1200)), "certificate", "2027-11-23")
	if _, warnings := m.read("orders"); !strings.Contains(warnings, "expired") {
		t.Errorf("after the end a read warns with %q", warnings)
	}

	early := newDesk(t)
	early.now = testTime.Add(-24 * time.Hour)
	assertRefused(t, early.refused("orders", fields), "certificate", "2026-11-23")
}

func TestWrite_AcceptsEveryPartitionAndItsOwnRegion(t *testing.T) {
	t.Parallel()
	for region, partition := range map[string]string{
		"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "eusc-de-east-1": "aws-eusc",
	} {
		arns := rolesAnywhereFields(t, with("region", region))
		for _, field := range []string{"profile_arn", "role_arn", "trust_anchor_arn"} {
			changedARN := strings.Replace(arns[field].(string), "arn:aws:", "arn:"+partition+":", 1)
			arns[field] = strings.Replace(changedARN, "us-east-1", region, 1)
		}
		newDesk(t).write("orders", arns)
	}
	arns := rolesAnywhereFields(t, with("custom_region", "us-iso-east-1"))
	for _, field := range []string{"profile_arn", "role_arn", "trust_anchor_arn"} {
		changedARN := strings.Replace(arns[field].(string), "arn:aws:", "arn:aws-iso:", 1)
		arns[field] = strings.Replace(changedARN, "us-east-1", "us-iso-east-1", 1)
	}
	newDesk(t).write("orders", arns)
}

func TestWrite_DurationTakesSecondsAndGoDurations(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	m.write("orders", rolesAnywhereFields(t))
	for _, given := range []any{1200, "1200", "20m", "1200s", json.Number("1200"), float64(1200)} {
		m.write("orders", with("duration", 900))
		m.write("orders", with("duration", given))
		if got := m.show("orders")["duration"]; got != int64(1200) {
			t.Errorf("duration %#v reads back as %v, want 1200", given, got)
		}
	}
}

func TestWrite_PlainHTTPNeedsItsOwnField(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	plain := accessKeyFields(with("s3_endpoint", "http://store.example:9000"))
	if text := m.refused("reports", plain); !strings.Contains(text, "s3_allow_http=true") {
		t.Errorf("the refusal does not name the field: %s", text)
	}
	plain["s3_allow_http"] = true
	m.write("reports", plain)
	if text := m.refused("reports", with("s3_allow_http", false)); !strings.Contains(text, "s3_endpoint") {
		t.Errorf("taking the exception back: %s", text)
	}
}

// The other fields are not judged by a type that nobody asked for.
func TestWrite_UnknownAuthTypeIsTheOneProblem(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	text := m.refused("x", map[string]any{"auth_type": "iam", "access_key": "A",
		"secret_key": "B"})
	assertRefused(t, text, "auth_type", `auth_type: "iam" is unknown`)
	assertProblems(t, text, 1)
	for _, before := range []map[string]any{accessKeyFields(), rolesAnywhereFields(t)} {
		m.write("orders", before)
		text := m.refused("orders", with("auth_type", "rolesanywhere"))
		assertRefused(t, text, "auth_type", `auth_type: "rolesanywhere" is unknown`)
		assertProblems(t, text, 1)
	}
}

func TestWrite_NamesEverythingThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	text := m.refused("orders", rolesAnywhereFields(t,
		with("region", "EU-WEST-1"), with("duration", 1), with("session_name", absent),
		with("private_key", []any{"CANARY"}),
		with("certificate", "garbage"), with("s3_endpoint", "x"), with("proxy", "y"), with("access_key", "AKIA")))
	for _, field := range []string{"region", "duration", "session_name", "private_key", "certificate", "s3_endpoint",
		`"proxy"`, "access_key",
		"profile_arn", "trust_anchor_arn"} {
		if strings.Count(text, "- "+field+": ") != 1 {
			t.Errorf("%s is not named once in:\n%s", field, text)
		}
	}
}

func TestWrite_ARNsThatAreNoneAreNotComparedToo(t *testing.T) {
	t.Parallel()
	text := newDesk(t).refused("orders", rolesAnywhereFields(t, with("profile_arn", "a"), with("role_arn", "b"),
		with("trust_anchor_arn", "c")))
	assertRefused(t, text, "profile_arn: ", `"a" is not`)
	assertProblems(t, text, 3)
}

func TestShow_CertificateOfAKeyThatIsNotKnownHasNoKeyType(t *testing.T) {
	t.Parallel()
	issued := issue(t, newAuthority(t), rolesanywheretest.IssueOptions{PublicKey: ed25519.PublicKey(make([]byte, 32))})
	conn := New()
	conn.AuthType, conn.Certificate = AuthRolesAnywhere, string(issued.CertificatePEM)
	shown, _, err := conn.Show(testTime)
	if err != nil || shown["certificate_key_type"] != "unknown" {
		t.Errorf("the key's type is %v, %v", shown["certificate_key_type"], err)
	}
}

func TestWrite_BoundsEveryText(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"certificate": 65536, "private_key": 65536, "ca_cert": 65536, "pkcs12": 131072}
	for _, f := range Table().Rows() {
		if f.Type == field.Bool {
			continue
		}
		limit := limits[f.Name]
		if limit == 0 {
			limit = 2048
		}
		fields := accessKeyFields()
		if f.BelongsTo == AuthRolesAnywhere {
			fields = rolesAnywhereFields(t)
		}
		write := func(length int) string {
			fields[f.Name] = strings.Repeat("7", length)
			if _, _, err := newDesk(t).try("x", fields); err != nil {
				return err.Error()
			}
			return ""
		}
		if f.Type == field.Seconds { // a number; what is longer than any is refused as no number
			assertRefused(t, write(limit+1), f.Name+": ", "positive number of seconds")
			continue
		}
		assertRefused(t, write(limit+1), f.Name+": ",
			fmt.Sprintf("is %d bytes long; at most %d are accepted", limit+1, limit))
		if text := write(limit); strings.Contains(text, "bytes long") {
			t.Errorf("%s of %d bytes is refused for its length: %s", f.Name, limit, text)
		}
	}
}

func TestWrite_MisspeltFieldIsNamedWithItsNeighbour(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	for given, want := range map[string]string{
		"Secret-Key": "did you mean secret_key?", "role_arm": "did you mean role_arn?",
		"session_nam":       "did you mean session_name?",
		"verify-connection": "did you mean verify_connection?", "completely_different": "vault path-help",
		"\nx\x1b[31m": `"\nx\x1b[31m"`,
	} {
		assertRefused(t, m.refused("x", accessKeyFields(with(given, "CANARY"))), "there is no such field", want)
	}
}

func TestWrite_TextAroundCACertIsNotStored(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	ca := string(newAuthority(t).CertificatePEM())
	other := string(newAuthority(t).CertificatePEM())
	m.write("reports", accessKeyFields(with("ca_cert", "CANARY before\n"+ca+"CANARY between\n"+other)))
	if got := m.show("reports")["ca_cert"]; got != ca+other {
		t.Errorf("ca_cert is stored as %q", got)
	}
	if strings.Contains(m.stored("reports"), "CANARY") {
		t.Error("text around the certificates was stored")
	}
	assertRefused(t, m.refused("reports", with("ca_cert", ca+"CANARY after")), "ca_cert: ", "is not PEM")
	broken := pemText("CERTIFICATE", []byte("CANARY"))
	assertRefused(t, m.refused("reports", with("ca_cert", ca+broken)), "ca_cert: ", "certificate 2")
}

// pem.Decode steps over a damaged block, and a CA that the operator gave would not be trusted.
func TestWrite_DamagedCACertIsRefused(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	good := string(newAuthority(t).CertificatePEM())
	for name, damaged := range map[string]string{
		"END line":   strings.Replace(good, "-----END CERTIFICATE-----", "-----END CERTIFICATE----", 1),
		"BASE64":     strings.Replace(good, "MII", "M*I", 1),
		"no newline": strings.TrimSuffix(good, "\n"),
	} {
		if damaged == good {
			t.Fatalf("%s: nothing is damaged", name)
		}
		for _, text := range []string{damaged + good, good + damaged + good} {
			assertRefused(t, m.refused("reports", accessKeyFields(with("ca_cert", text))), "ca_cert: ", "is damaged")
		}
	}
	m.write("reports", accessKeyFields(with("ca_cert",
		strings.Repeat(good, 7)))) // a bundle is longer than a chain may be
	if got := m.show("reports")["ca_cert"]; got != strings.Repeat(good, 7) {
		t.Errorf("7 CA certificates are stored as %q", got)
	}
}
