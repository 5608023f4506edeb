package acceptance

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// TestUpgrade_WhatTheFirstReleaseDoesNotKnowOutlivesIt goes back to the first release for a while with scopes, leases
// of theirs, keys made in Vault and a rotation in its grace. None of them is lost, and none is misread.
func TestUpgrade_WhatTheFirstReleaseDoesNotKnowOutlivesIt(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{}, newerThingsOutliveTheFirstRelease)
}

func newerThingsOutliveTheFirstRelease(t *testing.T, opts harness.VaultOptions) {
	u := newUpgradeStack(t, opts)
	u.write("config/older", u.fields(nil))
	u.write("config/rewritten", u.fields(nil))
	u.write("config/keys", u.rootFields())
	u.read("creds/older")
	warm := []string{"creds/older", "creds/keys"}
	u.change(u.current, warm)

	scoped := u.newScopedLeases()
	made := u.newIdentities()
	rotated := u.newRotations()

	u.change(firstVersion, warm)
	scoped.underTheFirstRelease()
	made.underTheFirstRelease()
	rotated.underTheFirstRelease()

	u.change(u.current, warm)
	scoped.afterTheNextUpgrade()
	made.afterTheNextUpgrade()
	rotated.afterTheNextUpgrade()
}

// scopedLeases are leases of a scope that the first release does not know.
type scopedLeases struct {
	*upgradeStack
	renewed, kept *api.Secret
}

func (u *upgradeStack) newScopedLeases() *scopedLeases {
	u.t.Helper()
	u.write("scopes/keys/reports", map[string]any{"buckets": bucketName, "prefixes": "reports/"})
	s := &scopedLeases{upgradeStack: u, renewed: u.read("creds/keys/reports"), kept: u.read("creds/keys/reports")}
	if s.renewed.LeaseID == "" || s.kept.LeaseID == "" {
		u.t.Fatal("a read of a scope comes without a lease")
	}
	return s
}

// underTheFirstRelease leaves what was handed out alone: a lease has in it what renewing and revoking need.
func (s *scopedLeases) underTheFirstRelease() {
	s.t.Helper()
	for _, path := range []string{"scopes/keys/reports", "creds/keys/reports"} {
		if found := s.readOrNil(path); found != nil {
			s.t.Errorf("%s answers for %s with %v", firstVersion, path, found.Data)
		}
	}
	s.renewAndRevoke("a scope's lease under the first release", s.renewed)
	s.opensAsBefore(s.kept)
}

func (s *scopedLeases) afterTheNextUpgrade() {
	s.t.Helper()
	again := s.read("creds/keys/reports")
	if credentialsOf(again) != credentialsOf(s.kept) {
		s.t.Error("the scope's session is another one than before the way back")
	}
	s.renewAndRevoke("a scope's lease that is older than the way back", s.kept)
	s.opensAsBefore(again)
}

// opensAsBefore sees that the credentials may list what the scope opens, and write nothing.
func (s *scopedLeases) opensAsBefore(read *api.Secret) {
	s.t.Helper()
	creds := credentialsOf(read)
	if s.open("write", creds, bucketName, "reports/new") || !s.open("list", creds, bucketName, "reports/") {
		s.t.Error("the scope opens something else than it says")
	}
}

// identityConnections have keys that were made in Vault: "made" and "replaced" from their first write on, "older" and
// "rewritten" beside the certificate that the first release has stored in them.
type identityConnections struct {
	*upgradeStack
	csr, certificate any
	session          string // the access key ID of that of "older"
}

func (u *upgradeStack) newIdentities() *identityConnections {
	u.t.Helper()
	u.write("config/made", u.fields(map[string]any{"certificate": "", "private_key": ""}))
	i := &identityConnections{upgradeStack: u}
	u.write("config/replaced", u.fields(map[string]any{"certificate": "", "private_key": ""}))
	for _, name := range []string{"made", "replaced", "older", "rewritten"} {
		i.certify(name)
	}
	i.certificate = u.read("identity/older").Data["certificate"]
	i.session = credentialsOf(u.read("creds/older")).AccessKeyID
	i.csr = u.write("identity/made/csr", map[string]any{"common_name": "made-next"}).Data["csr"]
	u.write("identity/older/csr", map[string]any{"common_name": "older-next"})
	u.mustListBuckets(credentialsOf(u.read("creds/made")))
	return i
}

// certify has a key made and its certificate issued.
func (i *identityConnections) certify(name string) {
	i.t.Helper()
	block, _ := pem.Decode([]byte(i.write("identity/"+name+"/csr", nil).Data["csr"].(string)))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		i.t.Fatal(err)
	}
	issued := i.aws.issue(i.t, rolesanywheretest.IssueOptions{CommonName: name, PublicKey: request.PublicKey,
		NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	i.write("identity/"+name+"/certificate", map[string]any{"certificate": string(issued.CertificatePEM)})
}

// underTheFirstRelease refuses the connection whose key it would not find, and uses the others with the certificate
// that it knows.
func (i *identityConnections) underTheFirstRelease() {
	i.t.Helper()
	for _, path := range []string{"config/made", "creds/made"} {
		assertSays(i.t, i.fails(http.StatusInternalServerError, path, nil), "run the newer plugin")
	}
	if got := credentialsOf(i.read("creds/older")); got.AccessKeyID != i.session {
		i.t.Error("the session of a certificate given by identity/ does not go on")
	}
	i.write("config/rewritten", map[string]any{"session_name": "rewritten"})
	i.mustListBuckets(credentialsOf(i.read("creds/rewritten")))
	assertSays(i.t, i.fails(http.StatusInternalServerError, "config/replaced", i.fields(nil)), "run the newer plugin")
	if _, err := i.api.Logical().DeleteWithContext(i.t.Context(), "s3conn/config/replaced"); err != nil {
		i.t.Error(err)
	}
	i.write("config/replaced", i.fields(nil))
	i.mustListBuckets(credentialsOf(i.read("creds/replaced")))
}

func (i *identityConnections) afterTheNextUpgrade() {
	i.t.Helper()
	made, older := i.read("identity/made").Data, i.read("identity/older").Data
	if made["key_origin"] != "vault" || made["waiting_csr"] != i.csr {
		i.t.Errorf("identity/made has the origin %v, and another waiting key", made["key_origin"])
	}
	if older["certificate"] != i.certificate || older["waiting_csr"] == nil {
		i.t.Errorf("identity/older has lost its certificate or its waiting key")
	}
	for _, name := range []string{"made", "older", "rewritten", "replaced"} {
		i.mustListBuckets(credentialsOf(i.read("creds/" + name)))
	}
	for _, name := range []string{"rewritten", "replaced"} {
		if origin := i.read("identity/" + name).Data["key_origin"]; origin != "imported" {
			i.t.Errorf("what the first release has written to %s has a key of the origin %v", name, origin)
		}
	}
}

// rotatingKeys are connections whose keys rotate: "rotating" is in the grace of a rotation, and the first release
// writes "changed".
type rotatingKeys struct {
	*upgradeStack
	iam      *awstest.Server
	key, old any
}

func (u *upgradeStack) newRotations() *rotatingKeys {
	u.t.Helper()
	_, fields := newKeyUser(u.t, awstest.Options{})
	u.write("config/changed", fields)
	iam, fields := newKeyUser(u.t, awstest.Options{})
	u.write("config/rotating", fields)
	done := u.write("rotate/rotating", nil).Data
	return &rotatingKeys{u, iam, done["access_key"], done["previous_access_key"]}
}

// underTheFirstRelease hands out the new key, and leaves IAM alone. A write forgets the fields that are not known.
func (r *rotatingKeys) underTheFirstRelease() {
	r.t.Helper()
	if got := r.read("creds/rotating").Data["access_key"]; got != r.key {
		r.t.Errorf("%s hands out the key %v, want %v", firstVersion, got, r.key)
	}
	r.write("config/changed", map[string]any{"s3_region": "us-west-2"})
}

func (r *rotatingKeys) afterTheNextUpgrade() {
	r.t.Helper()
	shown, _ := r.read("status/rotating").Data["rotation"].(map[string]any)
	if shown["previous_access_key"] != r.old || shown["next_rotation"] == nil {
		r.t.Errorf("the rotation is shown as %v; the key before is %v", shown, r.old)
	}
	if keys := len(r.iam.Keys("app")); keys != 2 || r.read("creds/rotating").Data["access_key"] != r.key {
		r.t.Errorf("IAM has %d keys, or another one is handed out", keys)
	}
	changed := r.read("config/changed").Data
	if changed["iam_endpoint"] != "" || number(r.t, changed, "rotation_period") != 0 ||
		changed["s3_region"] != "us-west-2" {
		r.t.Errorf("what the first release has written is read as %v", changed)
	}
}
