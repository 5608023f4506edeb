package s3conn

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// Editors on Windows begin a text with a byte order mark, which is no part of the PEM.
func TestPEM_ByteOrderMarkIsAcceptedEverywhere(t *testing.T) {
	t.Parallel()
	const mark = "\ufeff"
	l := newIdentityLab(t)
	l.write("imported", rolesAnywhereFields(t, with("certificate", mark+vector(t, "p256.pem")),
		with("private_key", mark+vector(t, "p256.key")), with("ca_cert", mark+vector(t, "intermediate.pem"))))
	l.write("made", l.bare())
	certificate := mark + signed(t, l.ca, l.request("made", nil), rolesanywheretest.IssueOptions{})
	l.must(logical.UpdateOperation, "identity/made/certificate", with("certificate", certificate))
	l.must(logical.UpdateOperation, "identity/made/issuer", map[string]any{
		"type": "est", "address": "https://ca.example", "ca_cert": mark + vector(t, "intermediate.pem")})
	if got := l.read("identity/made").Data["certificate"].(string); got[0] != '-' {
		t.Errorf("the mark is kept: %.20q", got)
	}
}
