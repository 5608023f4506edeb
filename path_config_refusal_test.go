package s3conn

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// The rules of each field are tested with package connection. Here is what a refused request leaves behind.
func TestConfigWrite_RefusesBadInputAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]struct {
		fields      map[string]any
		field, says string
	}{
		"a missing field": {accessKeyFields(with("secret_key", "")), "secret_key: ", "is required"},
		"a field of another type": {accessKeyFields(with("role_arn", "arn:aws:iam::123456789012:role/app")),
			"role_arn: ", "belongs to auth_type"},
		"an unknown auth_type": {accessKeyFields(with("auth_type", "iam")), "auth_type: ",
			`"access_key" or "roles_anywhere"`},
		"a secret as an object": {accessKeyFields(with("secret_key", map[string]any{"a": "CANARY"})), "secret_key: ",
			"is an object"},
		"a text for a boolean": {accessKeyFields(with("s3_path_style", "CANARY")), "s3_path_style: ",
			"true or false"},
		"an unknown field":   {accessKeyFields(with("regoin", "CANARY")), `"regoin": `, "did you mean region?"},
		"an identity's half": {rolesAnywhereFields(t, with("private_key", "garbage")), "private_key: ", "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			text := m.refused(logical.UpdateOperation, "config/x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			if m.stored("x") != "" || !strings.HasSuffix(text, "nothing was stored") {
				t.Errorf("the refusal %q left %q in storage", text, m.stored("x"))
			}
			m.write("x", accessKeyFields())
			before := m.stored("x")
			text = m.refused(logical.PatchOperation, "config/x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			if m.stored("x") != before || !strings.HasSuffix(text, "the stored connection is unchanged") {
				t.Errorf("the refusal %q changed what is stored", text)
			}
			assertRefused(t, m.refused(logical.UpdateOperation, "test", bad.fields), bad.field, bad.says)
		})
	}
}

func TestConfigWrite_BoundsTheName(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write(strings.Repeat("n", 128), accessKeyFields())
	long := strings.Repeat("n", 129)
	assertRefused(t, m.refused(logical.UpdateOperation, "config/"+long, accessKeyFields()), "name: ", "at most 128")
	if m.stored(long) != "" {
		t.Error("it was stored")
	}
}

// A request of Vault's own maximum of 32 MiB must not become an error of that size, in the audit log too.
func TestConfigWrite_ManyUnknownFieldsGiveAShortError(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	fields := accessKeyFields()
	for i := range 100_000 {
		fields[fmt.Sprintf("field-%06d-%s", i, strings.Repeat("x", 100))] = "CANARY"
	}
	text := m.refused(logical.UpdateOperation, "config/reports", fields)
	if len(text) > 4000 || !strings.Contains(text, "and 99990 more that do not exist") ||
		strings.Contains(text, "CANARY") {
		t.Errorf("the error has %d bytes: %.500s", len(text), text)
	}
	if text := m.refused(logical.UpdateOperation, "test", fields); len(text) > 4000 {
		t.Errorf("the error of test has %d bytes", len(text))
	}
	if text := m.refused(logical.UpdateOperation, "config/reports",
		accessKeyFields(with(strings.Repeat("y", 1<<20), 1))); len(text) > 4000 {
		t.Errorf("a field's name of 1 MiB causes an error of %d bytes", len(text))
	}
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

// overtake lets another node write the connection after each of the next reads of it.
func overtake(m *mount, name string, times int) {
	m.t.Helper()
	m.storage.afterGet = func(key string) {
		if key != configPrefix+name || times == 0 {
			return
		}
		times--
		other := connection.New()
		other.Revision, other.AccessKey, other.SecretKey, other.S3Region = connection.NewRevision(), "AKIAOTHER",
			secret.New("other"), "theirs"
		if err := saveConnection(m.t.Context(), m.storage, name, &other); err != nil {
			m.t.Error(err)
		}
	}
}

func TestConfigWrite_OvertakenOnceIsMergedIntoWhatIsThereThen(t *testing.T) {
	t.Parallel()
	for _, op := range []logical.Operation{logical.UpdateOperation, logical.PatchOperation} {
		m := newMount(t)
		m.write("reports", accessKeyFields())
		m.InvalidateKey(t.Context(), "config/reports")
		overtake(m, "reports", 2) // the existence check or the first read, and the comparison
		m.must(op, "config/reports", with("region", "eu-west-1"))
		m.storage.afterGet = nil
		got := m.read("config/reports").Data
		if got["region"] != "eu-west-1" || got["s3_region"] != "theirs" || got["access_key"] != "AKIAOTHER" {
			t.Errorf("%s: %v, want this write on top of the other", op, got)
		}
	}
}

func TestConfigWrite_OvertakenAgainAndAgainIsAConflict(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	overtake(m, "reports", -1)
	resp, err := m.do(t.Context(), logical.PatchOperation, "config/reports", with("region", "eu-west-1"))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusConflict ||
		!strings.Contains(text, `"reports"`) || !strings.Contains(text, "write it again") {
		t.Errorf("answered with %d, %q", status, text)
	}
	m.storage.afterGet = nil
	if got := m.read("config/reports").Data; got["region"] == "eu-west-1" || got["s3_region"] != "theirs" {
		t.Errorf("the others' write was lost: %v", got)
	}
}

func TestConfigWrite_CustomRegionOfUnknownPartitionIsNotJudged(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	in := func(partition, region string) map[string]any {
		fields := rolesAnywhereFields(t, with("custom_region", region))
		for _, field := range []string{"profile_arn", "role_arn", "trust_anchor_arn"} {
			changedARN := strings.Replace(fields[field].(string), "arn:aws:", "arn:"+partition+":", 1)
			fields[field] = strings.Replace(changedARN, "us-east-1", region, 1)
		}
		return fields
	}
	m.write("orders", in("aws-new", "xx-new-9"))
	for _, known := range []map[string]any{
		in("aws-new", "us-east-1"), in("aws", "cn-new-9"),
		changed(in("aws-new", "us-east-1"), []map[string]any{with("custom_region", "")}),
	} {
		assertRefused(t, m.refused(logical.UpdateOperation, "config/orders", known), "profile_arn: ", "is in partition")
	}
}

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
