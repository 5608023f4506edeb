package connection

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

const filePassphrase = "correct horse" // of the library's PKCS#12 files

// pkcs12File is one of the library's PKCS#12 files in base64.
func pkcs12File(t *testing.T, name string) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString([]byte(vector(t, "../pkcs12/testdata/"+name)))
}

// pkcs12Fields is a roles_anywhere connection whose certificate and key come in a PKCS#12 file.
func pkcs12Fields(t *testing.T, name string, changes ...map[string]any) map[string]any {
	t.Helper()
	return rolesAnywhereFields(t, append([]map[string]any{with("certificate", absent), with("private_key", absent),
		with("pkcs12", pkcs12File(t, name)), with("private_key_passphrase", filePassphrase)}, changes...)...)
}

func TestWrite_PKCS12BecomesCertificateAndKey(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	fields := pkcs12Fields(t, "openssl3.p12")
	m.write("orders", fields)
	kept := m.kept["orders"]
	if !kept.PKCS12.Empty() || !kept.Passphrase.Empty() {
		t.Error("the file or its passphrase is kept")
	}
	for what, secret := range map[string]string{"the passphrase": filePassphrase, "the file": fields["pkcs12"].(string),
		"the field": "pkcs12"} {
		if strings.Contains(m.stored("orders"), secret) {
			t.Errorf("%s is stored", what)
		}
	}
	if _, err := kept.Identity(); err != nil {
		t.Errorf("the identity of what is stored: %v", err)
	}
	if n := strings.Count(kept.Certificate, "BEGIN CERTIFICATE"); n != 2 {
		t.Errorf("%d certificates are stored, want the leaf and its intermediate", n)
	}
	if shown := m.show("orders"); shown["certificate_subject"] != "CN=viainter,O=Lab" || shown["pkcs12"] != nil {
		t.Errorf("shown as %v", shown)
	}
	m.now = testTime.AddDate(1, 0, 0).Add(-24 * time.Hour)
	if warnings := m.write("orders", fields); !strings.Contains(warnings, "certificate: ") {
		t.Errorf("the warnings of a certificate that ends soon are %q", warnings)
	}
}

func TestWrite_PKCS12IsBase64WithOrWithoutLines(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	whole := pkcs12File(t, "empty.p12") // made with an empty passphrase
	m.write("lines", pkcs12Fields(t, "empty.p12", with("pkcs12", whole[:76]+"\r\n"+whole[76:]+"\n"),
		with("private_key_passphrase", absent)))
	m.write("orders", rolesAnywhereFields(t))
	m.write("orders", with("pkcs12", whole)) // replaces the identity of a connection that has one
	if lines, orders := m.kept["lines"], m.kept["orders"]; lines.Certificate == "" ||
		lines.Certificate != orders.Certificate || lines.PrivateKey.Reveal() != orders.PrivateKey.Reveal() {
		t.Error("the same file is another identity with line breaks or over another identity")
	}
}

func TestWrite_PKCS12IsRefusedInWords(t *testing.T) {
	t.Parallel()
	file := pkcs12File(t, "openssl3.p12")
	for name, test := range map[string]struct {
		fields map[string]any
		field  string
		says   string
		wrong  int
	}{
		"with a certificate": {with("certificate", vector(t, "p256.pem")), "pkcs12", "in the same write", 1},
		"with a private key": {with("private_key", vector(t, "p256.key")), "pkcs12", "in the same write", 1},
		"with a private key that is no text": {with("private_key", map[string]any{"CANARY": 1}), "private_key",
			"has to be a string", 2},
		"for access keys": {map[string]any{"auth_type": AuthAccessKey, "access_key": "a", "secret_key": "b",
			"private_key_passphrase": absent, "profile_arn": absent, "role_arn": absent, "trust_anchor_arn": absent,
			"session_name": absent}, "pkcs12", "belongs to auth_type roles_anywhere", 1},
		"no passphrase": {with("private_key_passphrase", absent), "private_key_passphrase", "needs its passphrase",
			1},
		"wrong passphrase": {with("private_key_passphrase", "CANARY"), "private_key_passphrase", "does not open", 1},
		"long passphrase": {with("private_key_passphrase", strings.Repeat("CANARY", 1000)), "private_key_passphrase",
			"at most 2048", 1},
		"not base64":     {with("pkcs12", "CANARY!"), "pkcs12", "is not base64", 1},
		"damaged base64": {with("pkcs12", file[:len(file)-1]), "pkcs12", "is not base64", 1},
		"not a string":   {with("pkcs12", []any{"CANARY"}), "pkcs12", "is a list", 1},
		"PEM": {with("pkcs12", base64.StdEncoding.EncodeToString([]byte(vector(t, "p256.pem")))), "pkcs12",
			"not PKCS#12 in DER", 1},
		"too large":   {with("pkcs12", strings.Repeat("A", limitPKCS12+1)), "pkcs12", "at most 131072", 1},
		"no key":      {with("pkcs12", pkcs12File(t, "nokey.p12")), "pkcs12", "no private key", 1},
		"too costly":  {with("pkcs12", pkcs12File(t, "hostile.p12")), "pkcs12", "more than 1000000 iterations", 1},
		"without MAC": {with("pkcs12", pkcs12File(t, "nomac.p12")), "pkcs12", "no MAC", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newDesk(t)
			text := m.refused("orders", pkcs12Fields(t, "openssl3.p12", test.fields))
			assertRefused(t, text, test.field+": ", test.says)
			assertProblems(t, text, test.wrong)
		})
	}
}

func TestWrite_PKCS12IsJudgedAsACertificateIs(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	m.now = testTime.AddDate(2, 0, 0)
	assertRefused(t, m.refused("orders", pkcs12Fields(t, "3des.p12")), "pkcs12: ", "the leaf ended")
}

func TestDecryptsKey_SaysWhatCosts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fields map[string]any
		want   bool
	}{
		"a key in the clear": {rolesAnywhereFields(t), false},
		"an encrypted key": {rolesAnywhereFields(t, with("private_key", vector(t, "keys/scrypt.pem")),
			with("private_key_passphrase", "x")), true},
		"a PKCS#12 file without a passphrase": {pkcs12Fields(t, "empty.p12", with("private_key_passphrase", absent)),
			true},
	} {
		conn := Merge(New(), test.fields, &problem.List{})
		if got := conn.DecryptsKey(); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}
