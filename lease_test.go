package s3conn

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// heldLease is a lease as Vault keeps it: it has crossed JSON, and Vault alone knows when it was issued.
type heldLease struct {
	m      *mount
	secret logical.Secret
	issued time.Time
}

// hold reads credentials in a bubble and keeps their lease.
func (m *mount) hold(name string) *heldLease {
	m.t.Helper()
	resp := m.read("creds/" + name)
	if resp.Secret == nil {
		m.t.Fatalf("creds/%s came without a lease", name)
	}
	encoded, err := json.Marshal(resp.Secret)
	if err != nil {
		m.t.Fatal(err)
	}
	l := &heldLease{m: m, issued: bubbleNow()}
	if err := json.Unmarshal(encoded, &l.secret); err != nil {
		m.t.Fatal(err)
	}
	return l
}

func (l *heldLease) request(op logical.Operation, increment time.Duration) (*logical.Response, error) {
	l.m.t.Helper()
	secret := l.secret
	secret.IssueTime, secret.Increment = l.issued, increment
	req := &logical.Request{Operation: op, Path: "creds/orders-0", Secret: &secret, Storage: l.m.storage}
	return l.m.HandleRequest(l.m.t.Context(), req)
}

// renew returns what is left of the lease by Vault's own reckoning.
func (l *heldLease) renew(increment time.Duration) time.Duration {
	l.m.t.Helper()
	resp, err := l.request(logical.RenewOperation, increment)
	if err != nil {
		l.m.t.Fatalf("renewing after %s: %v", bubbleNow().Sub(l.issued), err)
	}
	// Vault's clock is the bubble's own.
	ttl, _, err := framework.CalculateTTL(logical.TestSystemView(), increment, resp.Secret.TTL, 0, resp.Secret.MaxTTL,
		0, l.issued.Add(-bubbleOffset))
	if err != nil {
		l.m.t.Fatalf("Vault refuses TTL %s and MaxTTL %s: %v", resp.Secret.TTL, resp.Secret.MaxTTL, err)
	}
	return ttl
}

// refusal returns the error of a renewal, as Vault sees it.
func (l *heldLease) refusal() (status int, text string) {
	l.m.t.Helper()
	resp, err := l.request(logical.RenewOperation, 0)
	if resp != nil {
		l.m.t.Errorf("a renewal with nothing left has a response, which Vault prints as a structure: %+v", resp)
	}
	return asVaultSeesIt(l.m.t, nil, err)
}

func TestLease_EndsAMinuteBeforeItsSession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		for _, passed := range []time.Duration{0, 1000 * time.Second} {
			pass(passed)
			resp := m.read("creds/orders-0")
			want := time.Hour - passed - time.Minute
			if resp.Secret == nil || resp.Secret.TTL != want || resp.Secret.MaxTTL != want || !resp.Secret.Renewable {
				t.Fatalf("after %s the lease is %+v, want a renewable one of %s", passed, resp.Secret, want)
			}
			if len(resp.Warnings) != 0 {
				t.Errorf("a read warns: %q", resp.Warnings)
			}
		}
	})
}

func TestLease_NoneWithoutGenerateLease(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.write("orders-0", with("generate_lease", false))
		resp := m.read("creds/orders-0")
		if resp.Secret != nil || len(resp.Warnings) != 0 {
			t.Errorf("with generate_lease=false: lease %+v, warnings %q; want neither", resp.Secret, resp.Warnings)
		}
		if resp.Data["access_key"] != "ASIA1" || resp.Data["ttl"] != int64(3600) {
			t.Errorf("with generate_lease=false the credentials are %v", resp.Data)
		}
	})
}

func TestLeaseRenew_GivesWhatIsLeftAndNeverMore(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		lease := m.hold("orders-0")
		for _, passed := range []time.Duration{0, time.Second, 1000 * time.Second, 2000 * time.Second,
			537 * time.Second} {
			pass(passed)
			left := lease.issued.Add(time.Hour - time.Minute).Sub(bubbleNow())
			for _, increment := range []time.Duration{0, time.Hour, 47 * time.Hour} {
				if got := lease.renew(increment); got != left {
					t.Errorf("with %s left, renewing by %s gives %s", left, increment, got)
				}
			}
		}
		m.must(logical.DeleteOperation, "config/orders-0", nil)
		if got := lease.renew(0); got != shortestRenewal {
			t.Errorf("after the connection was deleted a renewal gives %s, want the 2s that are left", got)
		}
	})
}

func TestLeaseRenew_ShorterIncrementIsObeyed(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		if got := m.hold("orders-0").renew(10 * time.Minute); got != 10*time.Minute {
			t.Errorf("renewing by 10m gives %s", got)
		}
	})
}

// Zero would be no limit at all, and the mount's own maximum, of weeks, would stand in.
func TestLeaseRenew_MaxTTLIsNeverZero(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		lease := m.hold("orders-0")
		lease.issued = lease.issued.Add(2 * time.Hour) // another node's clock was ahead
		resp, err := lease.request(logical.RenewOperation, 0)
		if err != nil || resp.Secret.MaxTTL != 3540*time.Second || resp.Secret.TTL != 3540*time.Second {
			t.Errorf("a lease issued in the future renews to %+v, %v; want what is left, 59m", resp, err)
		}
	})
}

func TestLeaseRenew_NothingLeftIsRefusedWithTheReason(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		lease := m.hold("orders-0")
		for _, passed := range []time.Duration{3539 * time.Second, time.Second, 24 * time.Hour} {
			pass(passed)
			status, text := lease.refusal()
			end := testTime.Add(time.Hour).Format(time.RFC3339)
			if status != http.StatusBadRequest || !strings.Contains(text, end) ||
				!strings.Contains(text, "read the credentials again") {
				t.Errorf("a renewal with nothing left is answered with %d, %q; want a 400 with the session's end %s",
					status, text, end)
			}
		}
	})
}

func TestLeaseRenew_DamagedLeaseIsRefusedWithTheReason(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		for _, damaged := range []any{nil, "", "soon", 1.7e9} {
			lease := m.hold("orders-0")
			lease.secret.InternalData[leaseExpiration] = damaged
			if status, text := lease.refusal(); status != http.StatusBadRequest ||
				!strings.Contains(text, "does not say when its session ends") {
				t.Errorf("a lease whose expiration is %v is answered with %d, %q", damaged, status, text)
			}
		}
	})
}

func TestLeaseRevoke_NeedsNothingAndCanBeRepeated(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		lease := m.hold("orders-0")
		revoke := func(when string) {
			t.Helper()
			if resp, err := lease.request(logical.RevokeOperation, 0); err != nil || resp != nil {
				t.Errorf("revoking %s: %+v, %v", when, resp, err)
			}
		}
		revoke("once")
		revoke("twice")
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" {
			t.Errorf("revoking one reader's lease ended the session of the others: %+v", g)
		}
		m.must(logical.DeleteOperation, "config/orders-0", nil)
		revoke("without a connection")
		m.storage.breakOn(errStorage, "get", "put", "list", "delete")
		revoke("with broken storage")
		m.storage.breakOn(nil)
		lease.secret.InternalData = map[string]any{"secret_type": secretTypeSession}
		revoke("a lease that lost its data")
		if aws.count() != 1 {
			t.Errorf("revoking called the service: %d calls", aws.count())
		}
	})
}

// The names are in every lease that Vault keeps: with others, leases of earlier versions could not be revoked.
func TestLease_StoredNamesNeverChange(t *testing.T) {
	t.Parallel()
	if secretTypeSession != "s3conn_session" || leaseExpiration != "expiration" {
		t.Errorf("leases are stored as %q with %q", secretTypeSession, leaseExpiration)
	}
}

// A client that only renews finds the next session there when its lease ends.
func TestLease_RenewingInTheLastThirdHasTheNextSessionFetched(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		lease := m.hold("orders-0")
		pass(30 * time.Minute)
		lease.renew(0)
		synctest.Wait()
		if n := aws.count(); n != 1 {
			t.Errorf("%d calls after renewing half way, want 1", n)
		}
		pass(15 * time.Minute)
		aws.set(func(s *service) { s.err = errors.New("the service is down") })
		lease.renew(0) // which no failure of the refresh hurts
		synctest.Wait()
		if n := aws.count(); n != 2 {
			t.Errorf("%d calls after renewing in the last third, want 2", n)
		}
		aws.set(func(s *service) { s.err = nil })
		pass(time.Minute)
		lease.renew(0)
		synctest.Wait()
		aws.set(func(s *service) { s.err = errors.New("the service is down") })
		pass(14 * time.Minute)
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil || g.accessKey != "ASIA3" {
			t.Errorf("after the lease's end the client got %+v, want the session that its renewal had fetched", g)
		}
	})
}

// Whoever turns leases on is warned once, and readers are not.
func TestLease_WriteThatTurnsLeasesOnWarnsOfRevocation(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		warns := func(data map[string]any) bool {
			t.Helper()
			resp := m.write("orders-0", data)
			const warning = "Revoking it does not end the session"
			return resp != nil && strings.Contains(strings.Join(resp.Warnings, ""), warning)
		}
		for _, row := range []struct {
			what string
			data map[string]any
			want bool
		}{
			{"the default", rolesAnywhereFields(t), true},
			{"another field", with("duration", 1200), false},
			{"off", with("generate_lease", false), false},
			{"another field without leases", with("duration", 1300), false},
			{"on", with("generate_lease", true), true},
		} {
			if got := warns(row.data); got != row.want {
				t.Errorf("%s: warned %v, want %v", row.what, got, row.want)
			}
		}
		if resp := m.write("reports", accessKeyFields()); resp != nil && len(resp.Warnings) > 0 {
			t.Errorf("access keys, which have no leases, warn: %q", resp.Warnings)
		}
	})
}
