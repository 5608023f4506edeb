package acceptance

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// fipsModule is the version of Go's cryptographic module that has its certificate.
const fipsModule = "v1.0.0"

// TestFIPS_EnforcedUnderARealServer runs the plugin where Go refuses what FIPS 140-3 does not allow. The server itself
// enforces nothing.
func TestFIPS_EnforcedUnderARealServer(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{InMemory: true}, fipsEnforced)
}

func fipsEnforced(t *testing.T, opts harness.VaultOptions) {
	program := harness.BuildFIPS(t, fipsModule)
	if out, err := exec.CommandContext(t.Context(), program, "-version").Output(); err != nil ||
		!strings.Contains(string(out), "FIPS 140-3 module "+fipsModule) {
		t.Fatalf("the program says that it is %q, %v", out, err)
	}
	s := &stack{t: t, minio: harness.StartMinIO(t), vault: harness.StartVault(t, opts)}
	s.minio.MakeBucket(bucketName)
	s.api = s.vault.Client()
	s.vault.RegisterVersion(pluginName, program, reportedVersion(t, program), "GODEBUG=fips140=only")
	s.vault.Mount("s3conn", pluginName)
	u := &sessionStack{stack: s, aws: newAWS(t, s.minio, rolesanywheretest.Options{})}
	u.fipsAllows()
	u.fipsRefuses()
	if strings.Contains(s.vault.ServerLog(), "ended in a defect") {
		t.Error("the plugin panicked, as its log says")
	}
}

// fipsAllows goes through what works: access keys, scopes, presigned URLs, sessions of every key, TLS, keys made
// in Vault.
func (u *sessionStack) fipsAllows() {
	u.t.Helper()
	u.write("config/keys", u.rootFields())
	u.write("test/keys", nil)
	u.mustListBuckets(credentialsOf(u.read("creds/keys")))
	u.write("presign/keys", map[string]any{"bucket": bucketName, "key": "reports/today"})
	u.write("scopes/keys/reports", map[string]any{"buckets": bucketName, "prefixes": "reports/", "role_arn": roleARN})
	if fence := u.write("test/keys/reports", nil).Data["fence"]; fence != "proven" {
		u.t.Errorf("the fence of a scope is %v", fence)
	}
	for _, key := range []rolesanywheretest.KeyType{rolesanywheretest.RSA2048, rolesanywheretest.P256,
		rolesanywheretest.P384, rolesanywheretest.P521, rolesanywheretest.MLDSA65} {
		issued := u.aws.issue(u.t, rolesanywheretest.IssueOptions{KeyType: key,
			NotAfter: time.Now().Add(90 * 24 * time.Hour)})
		name := "orders-" + string(key)
		u.write("config/"+name, u.fields(map[string]any{"certificate": string(issued.CertificatePEM),
			"private_key": string(issued.PrivateKeyPEM)}))
		u.mustListBuckets(credentialsOf(u.read("creds/" + name)))
	}
	front := newFront(u.t, u.aws.authority, rolesanywheretest.Options{}) // over TLS
	u.write("config/tls", front.connection(u.t, 1, "orders-api", nil))
	u.read("creds/tls")
	u.write("config/made", u.fields(map[string]any{"certificate": "", "private_key": ""}))
	for _, key := range []string{"ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ml-dsa-65"} {
		u.write("identity/made/csr", map[string]any{"key_type": key, "new_key": true})
	}
}

// fipsRefuses are the words for what does not.
func (u *sessionStack) fipsRefuses() {
	u.t.Helper()
	testdata := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join("..", "rolesanywhere", name))
		if err != nil {
			u.t.Fatal(err)
		}
		return content
	}
	file := base64.StdEncoding.EncodeToString(testdata("pkcs12/testdata/openssl3.p12"))
	encrypted := func(name string) map[string]any {
		return u.fields(map[string]any{"certificate": string(testdata("testdata/p256.pem")),
			"private_key": string(testdata("testdata/keys/" + name)), "private_key_passphrase": "correct horse"})
	}
	for name, refused := range map[string]struct {
		fields map[string]any
		says   string
	}{
		"a short secret key": {map[string]any{"access_key": "AKIAEXAMPLE", "secret_key": "123456789"},
			"secret_key: is shorter than 10 characters, and this program enforces FIPS 140-3"},
		"PKCS#12": {u.fields(map[string]any{"certificate": "", "private_key": "", "pkcs12": file,
			"private_key_passphrase": "correct horse"}),
			"this program enforces FIPS 140-3, which its older schemes are not of"},
		"scrypt":       {encrypted("scrypt.pem"), "which allows no encryption but AES with PBKDF2"},
		"SHA-1":        {encrypted("pbkdf2-sha1-aes128.pem"), "a SHA-2 hash and a salt of at least 16 bytes"},
		"3DES":         {encrypted("pbkdf2-des3.pem"), "give the key without encryption"},
		"a short salt": {encrypted("pbkdf2-sha256-aes256.pem"), "a salt of at least 16 bytes"},
	} {
		if text := u.refused("config/refused", refused.fields); !strings.Contains(text, refused.says) {
			u.t.Errorf("%s is refused with %q, want %q", name, text, refused.says)
		}
	}
}
