package connection

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// testTime is when the certificates in rolesanywhere/testdata are valid.
var testTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// desk keeps connections and changes them as a write to config/NAME does, without Vault.
type desk struct {
	t    *testing.T
	now  time.Time
	kept map[string]Connection
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return &desk{t: t, now: testTime, kept: map[string]Connection{}}
}

// try returns the changed connection with its warnings, or what is wrong; it keeps nothing.
func (d *desk) try(name string, fields map[string]any) (Connection, []string, error) {
	base, known := d.kept[name]
	if !known {
		base = New()
	}
	rows, problems := Table().Rows(), &problem.List{}
	decoded := field.DecodeAll(rows, fields, problems)
	field.RefuseUnknown(problems, fields, field.Names(rows))
	conn := Merge(base, decoded, problems)
	warnings := conn.Validate(d.now, problems)
	return conn, warnings, problems.Err("writing", "nothing was stored")
}

// write keeps the connection, which has to be accepted, and returns its warnings in one text.
func (d *desk) write(name string, fields map[string]any) (warnings string) {
	d.t.Helper()
	conn, found, err := d.try(name, fields)
	if err != nil {
		d.t.Fatal(err)
	}
	conn.Revision = NewRevision()
	d.kept[name] = conn
	return strings.Join(found, "\n")
}

// refused returns the words in which the write is refused.
func (d *desk) refused(name string, fields map[string]any) string {
	d.t.Helper()
	_, _, err := d.try(name, fields)
	var invalid *problem.Error
	if !errors.As(err, &invalid) {
		d.t.Fatalf("the write is not refused: %v", err)
	}
	return err.Error()
}

func (d *desk) show(name string) map[string]any {
	d.t.Helper()
	shown, _ := d.read(name)
	return shown
}

func (d *desk) read(name string) (shown map[string]any, warnings string) {
	d.t.Helper()
	conn := d.kept[name]
	shown, found, err := conn.Show(d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	return shown, strings.Join(found, "\n")
}

// stored is the entry in its stored form, empty where there is none.
func (d *desk) stored(name string) string {
	d.t.Helper()
	conn, known := d.kept[name]
	if !known {
		return ""
	}
	encoded, err := conn.Encode()
	if err != nil {
		d.t.Fatal(err)
	}
	return string(encoded)
}

const (
	testAccount = "123456789012"
	testUUID    = "11111111-2222-3333-4444-555555555555"
)

type absence struct{}

var absent = absence{}

// vector reads a file of AWS's own client's requests and keys.
func vector(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "rolesanywhere", "testdata", name))
	if err != nil {
		t.Fatalf("reading a test vector: %v", err)
	}
	return string(content)
}

// accessKeyFields is a valid access_key
func accessKeyFields(changes ...map[string]any) map[string]any {
	return changed(map[string]any{"access_key": "AKIAEXAMPLE", "secret_key": "sEcReT/key+1"}, changes)
}

// rolesAnywhereFields is a valid roles_anywhere connection at testTime.
func rolesAnywhereFields(t testing.TB, changes ...map[string]any) map[string]any {
	t.Helper()
	return changed(map[string]any{
		"auth_type":        AuthRolesAnywhere,
		"profile_arn":      fmt.Sprintf("arn:aws:rolesanywhere:us-east-1:%s:profile/%s", testAccount, testUUID),
		"role_arn":         fmt.Sprintf("arn:aws:iam::%s:role/app", testAccount),
		"trust_anchor_arn": fmt.Sprintf("arn:aws:rolesanywhere:us-east-1:%s:trust-anchor/%s", testAccount, testUUID),
		"session_name":     "orders-api",
		"certificate":      vector(t, "p256.pem"),
		"private_key":      vector(t, "p256.key"),
	}, changes)
}

// changed lays changes over fields; absent removes one.
func changed(fields map[string]any, changes []map[string]any) map[string]any {
	for _, change := range changes {
		for name, value := range change {
			if value == absent {
				delete(fields, name)
				continue
			}
			fields[name] = value
		}
	}
	return fields
}

func with(name string, value any) map[string]any { return map[string]any{name: value} }

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func atTestTime() time.Time { return testTime }

// newAuthority makes a CA whose clock is the tests'.
func newAuthority(t testing.TB) *rolesanywheretest.Authority {
	t.Helper()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{Now: atTestTime})
	if err != nil {
		t.Fatalf("making an authority: %v", err)
	}
	return authority
}

// issue makes a certificate that is valid for a year unless the options say otherwise.
func issue(t testing.TB, authority *rolesanywheretest.Authority,
	o rolesanywheretest.IssueOptions) *rolesanywheretest.Issued {
	t.Helper()
	if o.NotAfter.IsZero() {
		o.NotAfter = testTime.Add(365 * 24 * time.Hour)
	}
	issued, err := authority.Issue(o)
	if err != nil {
		t.Fatalf("issuing a certificate: %v", err)
	}
	return issued
}

func assertRefused(t *testing.T, text, field, says string) {
	t.Helper()
	if !strings.Contains(text, field) || !strings.Contains(text, says) {
		t.Errorf("the error %q names not field %q or says not %q", text, field, says)
	}
	if strings.Contains(text, "CANARY") {
		t.Errorf("the error quotes a secret: %s", text)
	}
	if len(text) > 1000 {
		t.Errorf("the error is %d bytes long", len(text))
	}
}

// assertProblems holds how many things an error names against the number that are wrong.
func assertProblems(t *testing.T, text string, want int) {
	t.Helper()
	named := max(strings.Count(text, "\n  - "), 1)
	if counted := strings.Contains(text, fmt.Sprintf(": %d things are wrong:", want)); named != want ||
		counted != (want > 1) {
		t.Errorf("the error names %d things, want %d: %s", named, want, text)
	}
}
