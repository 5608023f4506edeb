package connection

import (
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// identityFields is a roles_anywhere connection with this certificate and key.
func identityFields(t *testing.T, issued *rolesanywheretest.Issued) map[string]any {
	t.Helper()
	return rolesAnywhereFields(t, with("certificate", string(issued.CertificatePEM)),
		with("private_key", string(issued.PrivateKeyPEM)))
}

func TestWrite_AcceptsEveryKeyThatTheServiceTakes(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	for kind, shown := range map[rolesanywheretest.KeyType]string{
		rolesanywheretest.RSA2048: "RSA 2048", rolesanywheretest.RSA3072: "RSA 3072",
		rolesanywheretest.P256: "ECDSA P-256",
		rolesanywheretest.P384: "ECDSA P-384", rolesanywheretest.P521: "ECDSA P-521",
		rolesanywheretest.MLDSA44: "ML-DSA-44", rolesanywheretest.MLDSA65: "ML-DSA-65",
		rolesanywheretest.MLDSA87: "ML-DSA-87",
	} {
		m := newDesk(t)
		issued := issue(t, authority, rolesanywheretest.IssueOptions{KeyType: kind})
		m.write("orders", identityFields(t, issued))
		if got := m.show("orders")["certificate_key_type"]; got != shown {
			t.Errorf("a key of type %s is shown as %v, want %s", kind, got, shown)
		}
		if strings.HasPrefix(shown, "ML-DSA") {
			continue // it has no older form
		}
		older := issued.SEC1PEM
		if strings.HasPrefix(shown, "RSA") {
			older = issued.PKCS1PEM
		}
		key, err := older()
		if err != nil {
			t.Fatal(err)
		}
		before := m.kept["orders"].PrivateKey.Reveal()
		m.write("orders", with("private_key", string(key)))
		if after := m.kept["orders"].PrivateKey.Reveal(); after != before ||
			!strings.HasPrefix(after, "-----BEGIN PRIVATE KEY-----") {
			t.Errorf("a key of type %s in its older form is not stored as PKCS#8", kind)
		}
	}
}

func TestWrite_RefusesIdentitiesThatTheServiceRefuses(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	for name, bad := range map[string]struct {
		options rolesanywheretest.IssueOptions
		field   string
		says    string
	}{
		"RSA of 1024 bits": {rolesanywheretest.IssueOptions{KeyType: rolesanywheretest.RSA1024}, "private_key",
			"2048"},
		"P-224": {rolesanywheretest.IssueOptions{KeyType: rolesanywheretest.P224}, "private_key",
			"ECDSA on P-256, P-384 or P-521"},
		"Ed25519": {rolesanywheretest.IssueOptions{KeyType: rolesanywheretest.Ed25519}, "private_key",
			"ECDSA on P-256, P-384 or P-521"},
		"no digitalSignature": {rolesanywheretest.IssueOptions{NoDigitalSignature: true}, "certificate",
			"digitalSignature"},
		"a CA's":            {rolesanywheretest.IssueOptions{IsCA: true}, "certificate", "CA"},
		"no subject":        {rolesanywheretest.IssueOptions{NoSubject: true}, "certificate", "subject"},
		"signed with SHA-1": {rolesanywheretest.IssueOptions{SHA1: true}, "certificate", "SHA-256 or better"},
		"X.509 version 1": {rolesanywheretest.IssueOptions{Version1: true}, "certificate",
			"version 3 is needed"},
		"expired": {rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour),
			NotAfter: testTime.Add(-time.Second)}, "certificate", "expired"},
		"not valid yet": {rolesanywheretest.IssueOptions{NotBefore: testTime.Add(time.Second)}, "certificate",
			"not valid yet"},
		"issued in the far past": {rolesanywheretest.IssueOptions{NotBefore: testTime.AddDate(-9, 0, 0),
			NotAfter: testTime.AddDate(-8, 0, 0)}, "certificate", "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newDesk(t)
			fields := identityFields(t, issue(t, authority, bad.options))
			text := m.refused("orders", fields)
			assertRefused(t, text, bad.field+": ", bad.says)
			if m.stored("orders") != "" {
				t.Error("it was stored")
			}
		})
	}
}

func TestWrite_TakesFiveIntermediatesAndNoMore(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	authority := newAuthority(t)
	for intermediates := 1; intermediates <= 6; intermediates++ {
		next, err := authority.Intermediate(rolesanywheretest.AuthorityOptions{Now: atTestTime})
		if err != nil {
			t.Fatal(err)
		}
		authority = next
		issued := issue(t, authority, rolesanywheretest.IssueOptions{})
		if len(issued.Chain) != intermediates {
			t.Fatalf("the chain has %d intermediates, want %d", len(issued.Chain), intermediates)
		}
		if intermediates <= 5 {
			m.write("orders", identityFields(t, issued))
			continue
		}
		assertRefused(t, m.refused("orders", identityFields(t, issued)), "certificate: ", "5")
	}
}

func TestWrite_IntermediatesEndCounts(t *testing.T) {
	t.Parallel()
	m := newDesk(t)
	soon := testTime.Add(10 * 24 * time.Hour)
	intermediate, err := newAuthority(t).Intermediate(rolesanywheretest.AuthorityOptions{CommonName: "Middle CA",
		NotBefore: testTime.Add(-time.Hour), NotAfter: soon})
	if err != nil {
		t.Fatal(err)
	}
	fields := identityFields(t, issue(t, intermediate,
		rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour)}))
	want := `certificate: the intermediate "CN=Middle CA" expires on ` + soon.Format(time.RFC3339) +
		", in 240h0m0s; write the certificate with a renewed chain before then"
	if warnings := m.write("orders", fields); warnings != want {
		t.Errorf("an intermediate that ends in 10 days: the warnings are %q, want %q", warnings, want)
	}
	m.now = testTime.Add(11 * 24 * time.Hour)
	want = `certificate: the intermediate "CN=Middle CA" expired on ` + soon.Format(time.RFC3339) +
		"; write the certificate with a renewed chain"
	shown, warnings := m.read("orders")
	if warnings != want || shown["certificate_not_after"] == soon.Format(time.RFC3339) {
		t.Errorf("a day after its end a read returns %v with %q, want %q and the leaf's own end", shown, warnings, want)
	}
	assertRefused(t, m.refused("orders", fields), "certificate: ", "expired")
}

func TestWrite_PassphraseDecryptsTheKeyAndIsForgotten(t *testing.T) {
	t.Parallel()
	issued := issue(t, newAuthority(t), rolesanywheretest.IssueOptions{})
	const passphrase = " CANARY passphrase " // spaces belong to it
	key := encryptedKey(t, issued, passphrase)
	m := newDesk(t)
	fields := identityFields(t, issued)
	fields["private_key"] = key

	text := m.refused("orders", fields)
	assertRefused(t, text, "private_key_passphrase: ", "encrypted")
	for _, wrong := range []string{"CANARY passphrase", "CANARY"} {
		text := m.refused("orders", changed(map[string]any{"private_key_passphrase": wrong}, []map[string]any{fields}))
		assertRefused(t, text, "private_key_passphrase: ", "does not open")
	}
	if m.stored("orders") != "" {
		t.Error("a key that was not opened was stored")
	}

	fields["private_key_passphrase"] = passphrase
	m.write("orders", fields)
	if stored := m.stored("orders"); strings.Contains(stored, "CANARY") || strings.Contains(stored, "ENCRYPTED") ||
		strings.Contains(stored, "passphrase") {
		t.Errorf("what is stored has the passphrase or needs it: %s", stored)
	}
	if kept := m.kept["orders"]; kept.PrivateKey.Reveal() != string(issued.PrivateKeyPEM) || !kept.Passphrase.Empty() {
		t.Error("the decrypted key is not stored, or the passphrase is kept")
	}
	assertRefused(t, m.refused("orders", with("private_key_passphrase", "CANARY")), "private_key_passphrase: ",
		"same write")
}

func TestWrite_NamesFaultsOfCertificateAndKeyAtOnce(t *testing.T) {
	t.Parallel()
	authority, err := newAuthority(t).Intermediate(rolesanywheretest.AuthorityOptions{
		NotBefore: testTime.Add(-time.Hour), NotAfter: testTime.Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	ended := issue(t, authority, rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour),
		NotAfter: testTime.Add(-time.Second)})
	m := newDesk(t)
	for name, test := range map[string]struct {
		key         any
		field, says string
	}{
		"missing":   {absent, "private_key", "is required"},
		"garbage":   {"garbage", "private_key", "no PEM block found"},
		"encrypted": {encryptedKey(t, ended, "CANARY"), "private_key_passphrase", "encrypted"},
		"another's": {vector(t, "p256.key"), "private_key", "not the key of the certificate"},
	} {
		text := m.refused("orders", changed(identityFields(t, ended), []map[string]any{with("private_key", test.key)}))
		for _, says := range []string{"the leaf ended 2026-11-23T11:59:59Z",
			"intermediate 1 ended 2026-11-23T11:59:00Z", test.says} {
			if strings.Count(text, says) != 1 {
				t.Errorf("%s: %q is not said once", name, says)
			}
		}
		assertRefused(t, text, "\n  - "+test.field+": ", test.says)
		assertProblems(t, text, 3)
	}
}

func TestValidate_IdentityIsBothOrNeither(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		without []string
		says    string // empty: nothing is wrong
	}{
		"neither":        {[]string{"certificate", "private_key"}, ""},
		"no certificate": {[]string{"certificate"}, "certificate: is required where there is a private_key"},
		"no private key": {[]string{"private_key"}, "private_key: is required where there is a certificate"},
	} {
		data := rolesAnywhereFields(t)
		for _, field := range test.without {
			delete(data, field)
		}
		problems := &problem.List{}
		conn := Merge(New(), data, problems)
		warnings := conn.Validate(testTime, problems)
		err := problems.Err("writing", "")
		switch {
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %v, want %q", name, err, test.says)
		case test.says == "" && (err != nil || len(warnings) == 0 ||
			!strings.Contains(strings.Join(warnings, " "), "identity/NAME/csr")):
			t.Errorf("%s: %v, warnings %q", name, err, warnings)
		}
		if shown, _, err := conn.Show(testTime); test.says == "" &&
			(err != nil || shown["certificate_subject"] != nil) {
			t.Errorf("%s: shown as %v, %v", name, shown, err)
		}
	}
}

func TestCertificateEnd_OneThatRenewsItselfWarnsOnceItHasEnded(t *testing.T) {
	t.Parallel()
	end := CertificateEnd{NotAfter: testTime.Add(time.Hour), Renewed: true}
	if warnings := end.Warnings(testTime); len(warnings) > 0 {
		t.Errorf("before its end: %q", warnings)
	}
	if warnings := end.Warnings(testTime.Add(2 * time.Hour)); len(warnings) != 1 {
		t.Errorf("after its end: %q", warnings)
	}
}
