package s3conn

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/youmark/pkcs8"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// identityFields is a roles_anywhere connection with this certificate and key.
func identityFields(t *testing.T, issued *rolesanywheretest.Issued) map[string]any {
	t.Helper()
	return rolesAnywhereFields(t, with("certificate", string(issued.CertificatePEM)), with("private_key", string(issued.PrivateKeyPEM)))
}

func TestConfigWrite_AcceptsEveryKeyThatTheServiceTakes(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	for kind, shown := range map[rolesanywheretest.KeyType]string{
		rolesanywheretest.RSA2048: "RSA 2048", rolesanywheretest.RSA3072: "RSA 3072", rolesanywheretest.P256: "ECDSA P-256",
		rolesanywheretest.P384: "ECDSA P-384", rolesanywheretest.P521: "ECDSA P-521",
	} {
		m := newMount(t)
		issued := issue(t, authority, rolesanywheretest.IssueOptions{KeyType: kind})
		m.write("orders", identityFields(t, issued))
		if got := m.read("config/orders").Data["certificate_key_type"]; got != shown {
			t.Errorf("a key of type %s is shown as %v, want %s", kind, got, shown)
		}
		older := issued.SEC1PEM
		if strings.HasPrefix(shown, "RSA") {
			older = issued.PKCS1PEM
		}
		key, err := older()
		if err != nil {
			t.Fatal(err)
		}
		before := privateKeyOf(m)
		m.write("orders", with("private_key", string(key)))
		if after := privateKeyOf(m); after != before || !strings.HasPrefix(after, "-----BEGIN PRIVATE KEY-----") {
			t.Errorf("a key of type %s in its older form is not stored as PKCS#8", kind)
		}
	}
}

func privateKeyOf(m *mount) string {
	m.t.Helper()
	conn, err := loadConnection(m.t.Context(), m.storage, "orders")
	if err != nil || conn == nil {
		m.t.Fatalf("loading the connection: %v", err)
	}
	if !conn.Passphrase.Empty() {
		m.t.Error("a passphrase came out of storage")
	}
	return conn.PrivateKey.Reveal()
}

func TestConfigWrite_RefusesIdentitiesThatTheServiceRefuses(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	for name, bad := range map[string]struct {
		options rolesanywheretest.IssueOptions
		field   string
		says    string
	}{
		"RSA of 1024 bits":       {rolesanywheretest.IssueOptions{KeyType: rolesanywheretest.RSA1024}, "private_key", "2048"},
		"P-224":                  {rolesanywheretest.IssueOptions{KeyType: rolesanywheretest.P224}, "private_key", "ECDSA on P-256, P-384 or P-521"},
		"Ed25519":                {rolesanywheretest.IssueOptions{KeyType: rolesanywheretest.Ed25519}, "private_key", "ECDSA on P-256, P-384 or P-521"},
		"no digitalSignature":    {rolesanywheretest.IssueOptions{NoDigitalSignature: true}, "certificate", "digitalSignature"},
		"a CA's":                 {rolesanywheretest.IssueOptions{IsCA: true}, "certificate", "CA"},
		"no subject":             {rolesanywheretest.IssueOptions{NoSubject: true}, "certificate", "subject"},
		"signed with SHA-1":      {rolesanywheretest.IssueOptions{SHA1: true}, "certificate", "SHA-256 or better"},
		"X.509 version 1":        {rolesanywheretest.IssueOptions{Version1: true}, "certificate", "version 3 is needed"},
		"expired":                {rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour), NotAfter: testTime.Add(-time.Second)}, "certificate", "expired"},
		"not valid yet":          {rolesanywheretest.IssueOptions{NotBefore: testTime.Add(time.Second)}, "certificate", "not valid yet"},
		"issued in the far past": {rolesanywheretest.IssueOptions{NotBefore: testTime.AddDate(-9, 0, 0), NotAfter: testTime.AddDate(-8, 0, 0)}, "certificate", "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			fields := identityFields(t, issue(t, authority, bad.options))
			text := m.refused(logical.UpdateOperation, "config/orders", fields)
			assertRefused(t, text, bad.field+": ", bad.says)
			if m.stored("orders") != "" {
				t.Error("it was stored")
			}
			assertRefused(t, m.refused(logical.UpdateOperation, "test", fields), bad.field+": ", bad.says)
		})
	}
}

func TestConfigWrite_TakesFiveIntermediatesAndNoMore(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	authority := newAuthority(t)
	for intermediates := 1; intermediates <= 6; intermediates++ {
		next, err := authority.Intermediate(rolesanywheretest.AuthorityOptions{Now: func() time.Time { return testTime }})
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
		assertRefused(t, m.refused(logical.UpdateOperation, "config/orders", identityFields(t, issued)), "certificate: ", "5")
	}
}

func TestConfigWrite_IntermediatesEndCounts(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	soon := testTime.Add(10 * 24 * time.Hour)
	intermediate, err := newAuthority(t).Intermediate(rolesanywheretest.AuthorityOptions{CommonName: "Middle CA", NotBefore: testTime.Add(-time.Hour), NotAfter: soon})
	if err != nil {
		t.Fatal(err)
	}
	fields := identityFields(t, issue(t, intermediate, rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour)}))
	want := `certificate: the intermediate "CN=Middle CA" expires on ` + soon.Format(time.RFC3339) +
		", in 240h0m0s; write the certificate with a renewed chain before then"
	if resp := m.write("orders", fields); resp == nil || !strings.Contains(strings.Join(resp.Warnings, "\n"), want) {
		t.Errorf("an intermediate that ends in 10 days: %+v, want a warning that says %q", resp, want)
	}
	m.clock.Advance(11 * 24 * time.Hour)
	want = `certificate: the intermediate "CN=Middle CA" expired on ` + soon.Format(time.RFC3339) + "; write the certificate with a renewed chain"
	if got := m.read("config/orders"); !slices.Equal(got.Warnings, []string{want}) || got.Data["certificate_not_after"] == soon.Format(time.RFC3339) {
		t.Errorf("a day after its end a read says %+v, want %q and the leaf's own end", got, want)
	}
	assertRefused(t, m.refused(logical.UpdateOperation, "config/orders", fields), "certificate: ", "expired")
}

func TestConfigWrite_PassphraseOpensTheKeyAndIsForgotten(t *testing.T) {
	t.Parallel()
	issued := issue(t, newAuthority(t), rolesanywheretest.IssueOptions{})
	const passphrase = " CANARY passphrase " // spaces belong to it
	key := encryptedKey(t, issued, passphrase)
	m := newMount(t)
	fields := identityFields(t, issued)
	fields["private_key"] = key

	text := m.refused(logical.UpdateOperation, "config/orders", fields)
	assertRefused(t, text, "private_key_passphrase: ", "encrypted")
	for _, wrong := range []string{"CANARY passphrase", "CANARY"} {
		text := m.refused(logical.UpdateOperation, "config/orders", changed(map[string]any{"private_key_passphrase": wrong}, []map[string]any{fields}))
		assertRefused(t, text, "private_key_passphrase: ", "does not open")
	}
	if m.stored("orders") != "" {
		t.Error("a key that was not opened was stored")
	}

	fields["private_key_passphrase"] = passphrase
	m.write("orders", fields)
	if stored := m.stored("orders"); strings.Contains(stored, "CANARY") || strings.Contains(stored, "ENCRYPTED") || strings.Contains(stored, "passphrase") {
		t.Errorf("what is stored has the passphrase or needs it: %s", stored)
	}
	if privateKeyOf(m) != string(issued.PrivateKeyPEM) {
		t.Error("the opened key is not stored")
	}
	conn := connection.New()
	p := &problem.List{}
	conn = connection.Merge(conn, map[string]any{"auth_type": connection.AuthRolesAnywhere, "private_key": key, "private_key_passphrase": passphrase}, p)
	conn.Validate(testTime, p)
	if !conn.Passphrase.Empty() {
		t.Error("the passphrase is kept after validation")
	}
	assertRefused(t, m.refused(logical.PatchOperation, "config/orders", with("private_key_passphrase", "CANARY")), "private_key_passphrase: ", "same write")
}

func encryptedKey(t *testing.T, issued *rolesanywheretest.Issued, passphrase string) string {
	t.Helper()
	der, err := pkcs8.MarshalPrivateKey(issued.Key, []byte(passphrase), nil)
	if err != nil {
		t.Fatalf("encrypting a key: %v", err)
	}
	return pemText("ENCRYPTED PRIVATE KEY", der)
}

func TestConfigWrite_TextAroundCACertIsNotStored(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	ca := string(newAuthority(t).CertificatePEM())
	other := string(newAuthority(t).CertificatePEM())
	m.write("reports", accessKeyFields(with("ca_cert", "CANARY before\n"+ca+"CANARY between\n"+other)))
	if got := m.read("config/reports").Data["ca_cert"]; got != ca+other {
		t.Errorf("ca_cert is stored as %q", got)
	}
	if strings.Contains(m.stored("reports"), "CANARY") {
		t.Error("text around the certificates was stored")
	}
	assertRefused(t, m.refused(logical.PatchOperation, "config/reports", with("ca_cert", ca+"CANARY after")), "ca_cert: ", "is not PEM")
	broken := pemText("CERTIFICATE", []byte("CANARY"))
	assertRefused(t, m.refused(logical.PatchOperation, "config/reports", with("ca_cert", ca+broken)), "ca_cert: ", "certificate 2")
}

// pem.Decode steps over a damaged block, and a CA that the operator gave would not be trusted.
func TestConfigWrite_DamagedCACertIsRefused(t *testing.T) {
	t.Parallel()
	m := newMount(t)
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
			assertRefused(t, m.refused(logical.UpdateOperation, "config/reports", accessKeyFields(with("ca_cert", text))), "ca_cert: ", "is damaged")
		}
	}
	m.write("reports", accessKeyFields(with("ca_cert", strings.Repeat(good, 7)))) // a bundle is longer than a chain may be
	if got := m.read("config/reports").Data["ca_cert"]; got != strings.Repeat(good, 7) {
		t.Errorf("7 CA certificates are stored as %q", got)
	}
}

func TestProbeResponse_CertificateEndsWithItsChain(t *testing.T) {
	t.Parallel()
	soon := testTime.Add(10 * 24 * time.Hour)
	intermediate, err := newAuthority(t).Intermediate(rolesanywheretest.AuthorityOptions{NotBefore: testTime.Add(-time.Hour), NotAfter: soon})
	if err != nil {
		t.Fatal(err)
	}
	issued := issue(t, intermediate, rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour)})
	conn := connection.New()
	conn.AuthType, conn.Certificate = connection.AuthRolesAnywhere, string(issued.CertificatePEM)
	result := &probeResult{credentials: credentials{expiration: testTime.Add(time.Hour)}}
	got := result.response(&conn, testTime)
	if got["certificate_not_after"] != soon.Format(time.RFC3339) || got["certificate_ttl"] != int64(10*24*3600) {
		t.Errorf("a chain that ends in 10 days: certificate_not_after %v, certificate_ttl %v", got["certificate_not_after"], got["certificate_ttl"])
	}
}
