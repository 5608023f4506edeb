package s3conn

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const farRole = "arn:aws:iam::999999999999:role/far"

// chainedLab has a stand-in for Roles Anywhere whose sessions a stand-in for STS knows: with them AssumeRole is
// chaining.
func chainedLab(t *testing.T, role awstest.Role) (*lab, *awstest.Server) {
	t.Helper()
	var sts *awstest.Server
	var sessions atomic.Int64
	l := newLab(t, rolesanywheretest.Options{Vend: func(_ context.Context, r rolesanywheretest.SessionRequest) (
		rolesanywheretest.Credentials, error,
	) {
		n := sessions.Add(1)
		made := rolesanywheretest.Credentials{AccessKeyID: fmt.Sprint("ASIABASE", n), SecretAccessKey: canaryText,
			SessionToken: canaryText + "-token"}
		sts.AddSession(awstest.Session{AccessKey: made.AccessKeyID, SecretKey: made.SecretAccessKey,
			SessionToken: made.SessionToken, ARN: "arn:aws:sts::123456789012:assumed-role/app/orders-api",
			SourceIdentity: "orders.example", Expiration: testTime.Add(r.Duration)})
		return made, nil
	}})
	sts = awstest.NewServer(awstest.Options{Now: l.clock.Now, Roles: []awstest.Role{role}})
	t.Cleanup(sts.Close)
	l.assumer = (&source.STS{Now: l.clock.Now, Turns: newTurns(t), Mount: &budget.Mount{}}).Obtain
	l.start()
	l.write("orders", l.sessionFields(with("sts_endpoint", sts.URL)))
	return l, sts
}

func TestChain_ASessionAssumesARoleOfAnotherAccount(t *testing.T) {
	t.Parallel()
	l, sts := chainedLab(t, awstest.Role{ARN: farRole, ExternalID: "ext-1"})
	l.writeScopeOf("orders", "far", scopeFields(map[string]any{"role_arn": farRole, "external_id": "ext-1",
		"duration":     1800,
		"session_tags": "team=blue", "transitive_tag_keys": "team"}))
	for range 3 {
		resp := l.read("creds/orders/far")
		if resp.Data["arn"] != "arn:aws:sts::999999999999:assumed-role/far/orders-far" ||
			resp.Data["expiration"] != testTime.Add(30*time.Minute).UTC().Format(time.RFC3339) || resp.Secret == nil {
			t.Fatalf("the credentials are %v", resp.Data)
		}
	}
	if calls := sts.Calls("AssumeRole"); calls != 1 {
		t.Errorf("%d AssumeRole for three reads, want 1", calls)
	}
	sent := sts.Requests()[0]
	if !strings.HasPrefix(sent.AccessKey, "ASIABASE") || sent.Parameters.Get("Tags.member.1.Value") != "blue" ||
		sent.Parameters.Get("SourceIdentity") != "" {
		t.Errorf("sent %+v", sent)
	}
}

func TestChain_STSsWordsReachTheReader(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		role awstest.Role
		says []string
	}{
		{"another role", awstest.Role{ARN: farRole + "-other"}, []string{"AssumeRole: AccessDenied", "trust policy"}},
		{"no source identity", awstest.Role{ARN: farRole, DenySetSourceIdentity: true},
			[]string{"sts:SetSourceIdentity", "source identity"}},
		{"a shorter role", awstest.Role{ARN: farRole, MaxDuration: 20 * time.Minute},
			[]string{"MaxSessionDuration", "lower duration"}},
	} {
		l, _ := chainedLab(t, row.role)
		l.writeScopeOf("orders", "far", scopeFields(with("role_arn", farRole)))
		text := l.refused(logical.ReadOperation, "creds/orders/far", nil)
		raw := l.read("sdk/orders/far")
		for _, word := range row.says {
			if !strings.Contains(text, word) || strings.Contains(text, canaryText) {
				t.Errorf("%s: %q does not say %q", row.name, text, word)
			}
		}
		if raw.Data[logical.HTTPStatusCode] != http.StatusBadRequest {
			t.Errorf("%s over sdk/: %v", row.name, raw.Data)
		}
		if strings.Contains(l.log.String(), canaryText) {
			t.Errorf("%s: the log holds a secret", row.name)
		}
	}
}
