package s3conn

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

func TestScoped_PathsOfConnectionsAndScopesDoNotMix(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		for range 2 { // cold, and while everything is in use
			if key := s.keyFor("", "creds/orders"); key != "ASIA1" {
				t.Errorf("creds/orders gives %s", key)
			}
			if key := s.keyFor("", "creds/orders/reports"); key != "ASIASCOPED1" {
				t.Errorf("creds/orders/reports gives %s", key)
			}
			for _, path := range []string{"creds/orders/none", "creds/orders/or..ders"} {
				if resp, err := s.readAs("", path); err != nil || !resp.IsError() {
					t.Errorf("%s: %+v, %v; want a refusal", path, resp, err)
				}
			}
			for _, path := range []string{"creds/orders/", "creds/orders/reports/", "creds/orders/reports/x",
				"creds//reports"} {
				req := &logical.Request{Operation: logical.ReadOperation, Path: path, Storage: s.storage}
				if resp, err := s.HandleRequest(t.Context(), req); !errors.Is(err, logical.ErrUnsupportedPath) {
					t.Errorf("%s: %+v, %v; want no such path", path, resp, err)
				}
			}
		}
	})
}

func TestScoped_UnscopedReadsCanBeRefused(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.write("orders", map[string]any{"allow_unscoped": false})
		const says = `connection "orders" hands out credentials only through its scopes`
		refused := func() {
			t.Helper()
			if text := s.refused(logical.ReadOperation, "creds/orders", nil); !strings.Contains(text, says) {
				t.Errorf("creds/orders: %q", text)
			}
			raw := s.read("sdk/orders")
			if body, _ := raw.Data[logical.HTTPRawBody].([]byte); raw.Data[logical.HTTPStatusCode] != 400 ||
				!strings.Contains(string(body), "only through its scopes") {
				t.Errorf("sdk/orders: %+v", raw.Data)
			}
			text := s.refused(logical.UpdateOperation, "presign/orders",
				map[string]any{"bucket": "analytics", "key": "k"})
			if !strings.Contains(text, says) {
				t.Errorf("presign/orders: %q", text)
			}
		}
		refused()
		if s.aws.count() != 0 {
			t.Errorf("refused reads caused %d CreateSession", s.aws.count())
		}
		s.keyFor("", "creds/orders/reports")
		refused() // its session is in use now, for the scope
		s.write("orders", map[string]any{"allow_unscoped": nil})
		s.keyFor("", "creds/orders")
	})
}

func TestScoped_LeasesAreTheScopes(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.write("orders", map[string]any{"generate_lease": false})
		resp := s.read("creds/orders/reports")
		if resp.Secret == nil || resp.Secret.TTL != 59*time.Minute || resp.Secret.InternalData["scope"] != "reports" {
			t.Fatalf("the lease is %+v", resp.Secret)
		}
		elapse(41 * time.Minute)
		renew := &logical.Request{Operation: logical.RenewOperation, Storage: s.storage, Secret: resp.Secret}
		renew.Secret.IssueTime = bubbleNow().Add(-41 * time.Minute)
		if renewed, err := s.HandleRequest(t.Context(), renew); err != nil || renewed.Secret.TTL != 18*time.Minute {
			t.Errorf("renewed: %+v, %v", renewed, err)
		}
		elapse(time.Second)
		if s.sts.count() != 2 {
			t.Errorf("%d AssumeRole after a renewal in the last third, want 2", s.sts.count())
		}
		revoke := &logical.Request{Operation: logical.RevokeOperation, Storage: s.storage, Secret: resp.Secret}
		if _, err := s.HandleRequest(t.Context(), revoke); err != nil {
			t.Errorf("revoking: %v", err)
		}
		s.writeScopeOf("orders", "reports", map[string]any{"generate_lease": false})
		if resp := s.read("creds/orders/reports"); resp.Secret != nil {
			t.Errorf("a scope without leases gives %+v", resp.Secret)
		}
	})
}

func TestScopedSDK_NamesTheScopesRole(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeScopeOf("orders", "far", scopeFields(with("role_arn", "arn:aws:iam::999999999999:role/far")))
		raw := s.read("sdk/orders/far")
		var body struct{ AccessKeyId, Token, RoleArn, AccountId, Expiration string } //nolint:revive // AWS's spelling
		if err := json.Unmarshal(raw.Data[logical.HTTPRawBody].([]byte), &body); err != nil ||
			body.AccessKeyId != "ASIASCOPED1" ||
			body.RoleArn != "arn:aws:iam::999999999999:role/far" || body.AccountId != "999999999999" ||
			body.Expiration != bubbleNow().Add(time.Hour).UTC().Format(time.RFC3339) {
			t.Errorf("the body is %+v, %v", body, err)
		}
		missing := s.read("sdk/orders/none")
		if body := string(missing.Data[logical.HTTPRawBody].([]byte)); missing.Data[logical.HTTPStatusCode] != 404 ||
			!strings.Contains(body, "NoSuchScope") {
			t.Errorf("a scope that is not there: %v, %s", missing.Data[logical.HTTPStatusCode], body)
		}
	})
}

func TestScoped_AccessKeysAssumeTheRoleThemselves(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.write("keys", accessKeyFields())
		s.writeScopeOf("keys", "long", scopeFields(map[string]any{"role_arn": "arn:aws:iam::123456789012:role/x",
			"duration":        "12h",
			"source_identity": "{{identity.entity.name}}"}))
		s.keyFor("e-1", "creds/keys/long")
		caller, granted := s.sts.last()
		if caller.AccessKey != "AKIAEXAMPLE" || caller.SecretKey.Reveal() != "sEcReT/key+1" ||
			!caller.SessionToken.Empty() ||
			granted.SourceIdentity != "name-e-1" || granted.Duration != 12*time.Hour || s.aws.count() != 0 {
			t.Errorf("%s assumed %+v, %d CreateSession", caller.AccessKey, granted, s.aws.count())
		}
	})
}

func TestScoped_FailuresKeepTheirStatus(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		for _, row := range []struct {
			kind   upstream.Kind
			status int // 400: an error response
		}{{upstream.Throttled, 429}, {upstream.Unavailable, 502}, {upstream.Permanent, 400}} {
			s.sts.err = upstream.New(source.AssumeRole, row.kind, "no", nil)
			resp, err := s.readAs("", "creds/orders/reports")
			var coded logical.HTTPCodedError
			switch {
			case row.status == 400 && (err != nil || !resp.IsError() ||
				!strings.Contains(resp.Error().Error(), "AssumeRole: no")):
				t.Errorf("%s: %+v, %v", row.kind, resp, err)
			case row.status != 400 && (!errors.As(err, &coded) || coded.Code() != row.status):
				t.Errorf("%s: %v, want a %d", row.kind, err, row.status)
			}
			elapse(time.Minute)
		}
		s.sts.err = nil
		s.keyFor("", "creds/orders/reports")
	})
}

func TestScoped_TheConnectionsFailureIsTheScopes(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.aws.set(func(aws *service) {
			aws.err = upstream.New(source.CreateSession, upstream.Permanent, "untrusted",
				nil)
		})
		if text := s.refused(logical.ReadOperation, "creds/orders/reports", nil); !strings.Contains(text,
			"CreateSession: untrusted") {
			t.Errorf("the error is %q", text)
		}
		if s.sts.count() != 0 {
			t.Error("AssumeRole was called without a session")
		}
	})
}

func TestScoped_StorageFailuresAndCancelledReads(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.storage.breakOn(errStorage, "get")
		if _, err := s.readAs("", "creds/orders/reports"); !errors.Is(err, errStorage) {
			t.Errorf("broken storage: %v", err)
		}
		s.storage.breakOn(nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if one := s.readCreds(ctx, "orders/reports"); one.err == nil && one.accessKey == "" {
			t.Errorf("a cancelled read: %+v", one)
		}
		s.keyFor("", "creds/orders/reports")
	})
}

func TestScopedPresign_RefusesWhatLiesOutside(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		for _, row := range []struct{ method, bucket, key, says string }{
			{"GET", "other", "reports/x", `bucket: "other" is outside the scope, which opens "analytics"`},
			{"GET", "analytics", "report",
				`key: "report" is outside the scope, which opens keys that begin with "reports/"`},
			{"PUT", "analytics", "reports/x", `method: "PUT" needs the access level "write"`},
			{"DELETE", "analytics", "reports/x", `"delete"`},
		} {
			text := s.refused(logical.UpdateOperation, "presign/orders/reports",
				map[string]any{"method": row.method, "bucket": row.bucket, "key": row.key})
			if !strings.Contains(text, row.says) || !strings.Contains(text, "nothing was signed") {
				t.Errorf("%s %s/%s: %q, want words with %q", row.method, row.bucket, row.key, text, row.says)
			}
		}
		if s.sts.count()+s.aws.count() != 0 {
			t.Error("a refused request obtained a session")
		}
		resp := s.must(logical.UpdateOperation, "presign/orders/reports",
			map[string]any{"bucket": "analytics", "key": "reports/x"})
		if url, _ := resp.Data["url"].(string); !strings.Contains(url, "ASIASCOPED1") ||
			!strings.Contains(url, "X-Amz-Security-Token=token-scoped-1") {
			t.Errorf("the URL is not signed by the scope's session")
		}
	})
}

func TestScoped_StandbysLeaveTemplatesToTheActiveNode(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.role = consts.ReplicationPerformanceStandby
		s.restart()
		_, err := s.readAs("e-1", "creds/orders/home")
		if err == nil || !strings.Contains(err.Error(), logical.ErrReadOnly.Error()) {
			t.Errorf("a standby answers %v, want ErrReadOnly", err)
		}
		if s.entities.count() != 0 || s.sts.count() != 0 || s.aws.count() != 0 {
			t.Error("a standby asked somebody")
		}
	})
}
