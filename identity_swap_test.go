package s3conn

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// bubbleAuthority is an authority on a bubble's clock.
func bubbleAuthority(t testing.TB) *rolesanywheretest.Authority {
	t.Helper()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{Now: bubbleNow})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// bubbleIssuer signs what it is asked for, for a day.
type bubbleIssuer struct {
	t         testing.TB
	authority *rolesanywheretest.Authority
	mutex     sync.Mutex
	requests  []enroll.Request
	err       error
}

func (i *bubbleIssuer) Issue(_ context.Context, request enroll.Request) (*enroll.Issued, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.requests = append(i.requests, request)
	if i.err != nil {
		return nil, i.err
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request.CSR}))
	text := signed(
		i.t,
		i.authority,
		csr,
		rolesanywheretest.IssueOptions{NotBefore: bubbleNow(), NotAfter: bubbleNow().Add(24 * time.Hour)},
	)
	leaf, err := x509.ParseCertificate(parsePEM(i.t, text))
	if err != nil {
		return nil, err
	}
	return &enroll.Issued{Chain: []*x509.Certificate{leaf}}, nil
}

func (i *bubbleIssuer) count() int {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return len(i.requests)
}

func (i *bubbleIssuer) fail(err error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.err = err
}

// renewed is a mount with a connection that an issuer renews.
func renewed(t *testing.T, m *mount) *bubbleIssuer {
	t.Helper()
	issuer := &bubbleIssuer{t: t, authority: bubbleAuthority(t)}
	m.newIssuer = func(enroll.Settings) (enroll.Issuer, error) { return issuer, nil }
	if err := m.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.storage}); err != nil {
		t.Fatal(err)
	}
	m.write("orders", rolesAnywhereFields(t, with("certificate", absent), with("private_key", absent)))
	m.must(
		logical.UpdateOperation,
		"identity/orders/issuer",
		map[string]any{"type": "step_ca", "address": "https://ca"},
	)
	m.must(logical.UpdateOperation, "identity/orders/renew", with("token", "CANARY-one-time"))
	return issuer
}

// 50 readers and 100 swaps: no read fails, and each swap is one CreateSession.
func TestIdentity_SwapsUnderReaders(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		const readers, swaps = 50, 100
		ca := bubbleAuthority(t)
		m.write("orders", rolesAnywhereFields(t))
		m.read("creds/orders")
		begun := aws.count()
		var failed, reads atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				for ctx.Err() == nil {
					if g := m.readCreds(context.Background(), "orders"); g.err != nil || g.took > 0 {
						failed.Add(1)
						t.Log(g.err, g.took)
					}
					reads.Add(1)
					time.Sleep(time.Second)
				}
			})
		}
		for i := range swaps {
			csr := m.must(logical.UpdateOperation, "identity/orders/csr", with("common_name", fmt.Sprint("orders-",
				i))).Data["csr"]
			certificate := signed(t, ca, csr, rolesanywheretest.IssueOptions{})
			m.must(logical.UpdateOperation, "identity/orders/certificate", with("certificate", certificate))
			time.Sleep(3 * time.Second)
		}
		stop()
		wg.Wait()
		t.Logf(
			"%d reads, %d failed or waited; %d calls for %d swaps",
			reads.Load(),
			failed.Load(),
			aws.count()-begun,
			swaps,
		)
		if failed.Load() > 0 || aws.count()-begun != swaps {
			t.Errorf(
				"%d of %d reads failed or waited, %d calls for %d swaps",
				failed.Load(),
				reads.Load(),
				aws.count()-begun,
				swaps,
			)
		}
	})
}

func TestRenewal_FirstCertificateThenEveryDayWithoutAFailedRead(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		issuer := renewed(t, m)
		if given := issuer.requests[0]; given.Secret.Token.Reveal() != "CANARY-one-time" || given.Current != nil {
			t.Errorf("the first request was %+v", given)
		}
		for range 20 * 24 {
			if g := m.readCreds(t.Context(), "orders"); g.err != nil {
				t.Fatal(g.err)
			}
			pass(time.Hour)
		}
		// 16 hours each.
		if n := issuer.count(); n < 29 || n > 31 {
			t.Errorf("%d certificates in 20 days", n)
		}
		if last := issuer.requests[len(issuer.requests)-1]; !last.Secret.Empty() || last.Current == nil {
			t.Errorf("the last request was %+v", last)
		}
		shown := m.read("identity/orders").Data
		if shown["issuer_type"] != "step_ca" || shown["last_error"] != nil || shown["failures"] != 0 ||
			shown["last_renewal"] == nil ||
			shown["renew_at"] == nil {
			t.Errorf("shown as %v", shown)
		}
		if warnings := m.read("config/orders").Warnings; len(warnings) > 0 {
			t.Errorf("a certificate that renews itself is warned of: %q", warnings)
		}
		if stored := m.storedIdentity("orders"); strings.Contains(stored, "CANARY") {
			t.Error("the one-time token is stored")
		}
	})
}

func TestRenewal_FailuresAreShownAndWarnedOf(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		issuer := renewed(t, m)
		issuer.fail(&enroll.RefusalError{Operation: "rekey", Status: 403, Message: "not today"})
		pass(17 * time.Hour)
		shown := m.read("identity/orders").Data
		if text, _ := shown["last_error"].(string); !strings.Contains(text, "rekey: not today (HTTP 403") ||
			shown["failures"].(int) < 5 ||
			shown["next_try"] == nil {
			t.Errorf("shown as %v", shown)
		}
		if warnings := strings.Join(m.read("config/orders").Warnings, " "); !strings.Contains(warnings, "expires") {
			t.Errorf("warnings %q", warnings)
		}
		n := issuer.count()
		m.Cleanup(t.Context())
		synctest.Wait()
		m.start() // a restart goes on where the last try ended
		m.newIssuer = func(enroll.Settings) (enroll.Issuer, error) { return issuer, nil }
		if err := m.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.storage}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if issuer.count() != n {
			t.Error("the restart asked at once")
		}
		issuer.fail(nil)
		pass(time.Hour)
		if shown := m.read("identity/orders").Data; shown["last_error"] != nil || shown["failures"] != 0 {
			t.Errorf("after a success: %v", shown)
		}
	})
}

func TestRenewal_RefusedProofKeepsIdentityAndSession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		renewed(t, m)
		before := m.read("identity/orders").Data["certificate"]
		aws.set(func(s *service) {
			s.err = upstream.New(
				"CreateSession",
				upstream.Permanent,
				"AccessDeniedException: Untrusted signing certificate",
				nil,
			)
		})
		text := m.refused(logical.UpdateOperation, "identity/orders/renew", nil)
		if !strings.Contains(text, "Untrusted signing certificate") ||
			!strings.Contains(text, "the identity is unchanged") {
			t.Errorf("refused with %q", text)
		}
		aws.set(func(s *service) { s.err = nil })
		if m.read("identity/orders").Data["certificate"] != before {
			t.Error("the identity has changed")
		}
		m.read("creds/orders")
	})
}

func TestRenewal_NotOnStandbys(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		issuer := renewed(t, m)
		m.Cleanup(t.Context())
		synctest.Wait()
		m.role = consts.ReplicationPerformanceStandby
		m.start()
		m.newIssuer = func(enroll.Settings) (enroll.Issuer, error) { return issuer, nil }
		if err := m.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.storage}); err != nil {
			t.Fatal(err)
		}
		n := issuer.count()
		for range 24 {
			if err := m.PeriodicFunc(t.Context(), &logical.Request{Storage: m.storage}); err != nil {
				t.Fatal(err)
			}
			pass(time.Hour)
		}
		if issuer.count() != n {
			t.Error("a standby has renewed")
		}
	})
}

func TestRenewal_SearchThatFailsIsRepeatedAndLeftoversGo(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		issuer := renewed(t, m)
		if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: identityPrefix + "gone",
			Value: []byte(m.storedIdentity("orders"))}); err != nil {
			t.Fatal(err)
		}
		m.Cleanup(t.Context())
		synctest.Wait()
		m.start()
		m.newIssuer = func(enroll.Settings) (enroll.Issuer, error) { return issuer, nil }
		m.storage.breakOn(errStorage, "list")
		if err := m.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.storage}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m.jobs.Len() != 0 {
			t.Error("jobs were found in a storage that fails")
		}
		m.storage.breakOn(nil)
		if err := m.PeriodicFunc(t.Context(), &logical.Request{Storage: m.storage}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m.jobs.Len() != 1 || m.storedIdentity("gone") != "" {
			t.Errorf("%d jobs, left over: %q", m.jobs.Len(), m.storedIdentity("gone"))
		}
	})
}
