package s3conn

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

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
