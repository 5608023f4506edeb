package renewal

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
)

const day = 24 * time.Hour

// inBubble runs a test with a connection whose certificate lasts a day, on a clock of its own.
func inBubble(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, day)
		w.connect("orders", nil)
		run(t, w)
	})
}

func TestRun_DoesNothingBeforeItIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		before := w.state("orders")
		next := w.renewer().Run(t.Context(), "orders")
		if want := before.RenewAt(); !next.Equal(want) || w.issued+w.writes > 0 {
			t.Errorf("next %s, want %s; %d issued, %d writes", next, want, w.issued, w.writes)
		}
	})
}

func TestRun_RenewsWithANewKeyAndThreeWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		before := w.state("orders")
		time.Sleep(17 * time.Hour)
		next := w.renewer().Run(t.Context(), "orders")
		after := w.state("orders")
		if w.issued != 1 || w.proofs != 1 || w.writes != 3 {
			t.Errorf("%d issued, %d proofs, %d writes", w.issued, w.proofs, w.writes)
		}
		if after.Current.PrivateKey.Reveal() == before.Current.PrivateKey.Reveal() ||
			after.Current.Origin != identity.OriginVault {
			t.Error("the key is the old one, or not one of Vault's")
		}
		if left := time.Until(next); left < 15*time.Hour || left > 17*time.Hour ||
			!after.Record.LastRenewal.Equal(time.Now()) {
			t.Errorf("due again in %s, last renewal %s", left, after.Record.LastRenewal)
		}
	})
}

func TestRun_OfAConnectionThatIsGoneOrThatNobodyRenewsEndsTheJob(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.connect("alone", func(s *identity.State) { s.Issuer = nil })
		for _, name := range []string{"alone", "nothing"} {
			if next := w.renewer().Run(t.Context(), name); !next.IsZero() {
				t.Errorf("%s: due at %s", name, next)
			}
		}
	})
}

func TestRun_FailuresBackOffAndKeepRequestAndIdentity(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		before := w.state("orders")
		w.caDown = func() error { return errDown }
		time.Sleep(16 * time.Hour)
		var pauses []string
		for range 8 {
			next := w.renewer().Run(t.Context(), "orders") // a new one: as after a restart
			pauses = append(pauses, time.Until(next).String())
			time.Sleep(time.Until(next))
		}
		want := []string{"52.5s", "1m45s", "3m30s", "7m0s", "14m0s", "28m0s", "52m30s", "52m30s"}
		after := w.state("orders")
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %q, want %q", pauses, want)
		}
		if after.Current.Certificate != before.Current.Certificate || after.Record.Failures != 8 ||
			after.Record.LastError != errDown.Error() {
			t.Errorf("record %+v", after.Record)
		}
		w.caDown = nil
		w.renewer().Run(t.Context(), "orders")
		if len(w.requests) != 1 || w.swaps != 1 || w.state("orders").Record.Failures != 0 ||
			w.state("orders").Record.LastError != "" {
			t.Errorf("%d requests, %d swaps, record %+v", len(w.requests), w.swaps, w.state("orders").Record)
		}
	})
}

func TestRun_IssuedCertificateIsProvedAgainAndNotIssuedAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		time.Sleep(17 * time.Hour)
		w.serviceDown = func() error { return errDown }
		for range 3 {
			time.Sleep(time.Until(w.renewer().Run(t.Context(), "orders")))
		}
		if pending := w.state("orders").PendingProof(); w.issued != 1 || pending == "" {
			t.Errorf("%d issued", w.issued)
		}
		w.serviceDown = nil
		w.renewer().Run(t.Context(), "orders")
		if w.issued != 1 || w.swaps != 1 {
			t.Errorf("%d issued, %d swaps", w.issued, w.swaps)
		}
	})
}

func TestRun_RefusedCertificateIsDroppedAndAskedForAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		before := w.state("orders")
		time.Sleep(17 * time.Hour)
		w.serviceDown = func() error { return errRefused }
		next := w.renewer().Run(t.Context(), "orders")
		state := w.state("orders")
		if state.PendingProof() != "" || state.Current.Certificate != before.Current.Certificate ||
			!strings.Contains(state.Record.LastError, "Untrusted") {
			t.Errorf("record %+v", state.Record)
		}
		w.serviceDown = nil
		time.Sleep(time.Until(next))
		w.renewer().Run(t.Context(), "orders")
		if w.issued != 2 || len(w.requests) != 1 || w.swaps != 1 {
			t.Errorf("%d issued for %d requests, %d swaps", w.issued, len(w.requests), w.swaps)
		}
	})
}

func TestRun_WrongCertificatesAreRefusedWithoutAProof(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		twist func(*x509.Certificate)
		say   string
	}{
		"a CA": {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, "is a CA"},
		"another usage": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
			"digitalSignature"},
		"no client " +
			"usage": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
			"clientAuth"},
		"ended": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-day),
				time.Now().Add(-time.Hour)
		}, "ended"},
		"begins in a year": {func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(365*day),
				time.Now().Add(366*day)
		}, "begins"},
		"without a subject": {func(c *x509.Certificate) { c.Subject.CommonName = "" }, "subject is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				before := w.state("orders")
				time.Sleep(17 * time.Hour)
				w.twist = test.twist
				next := w.renewer().Run(t.Context(), "orders")
				after := w.state("orders")
				if !strings.Contains(after.Record.LastError, test.say) || w.proofs > 0 ||
					after.Current.Certificate != before.Current.Certificate {
					t.Errorf("last error %q, %d proofs", after.Record.LastError, w.proofs)
				}
				if pause := time.Until(next); pause < 45*time.Second || pause > time.Minute {
					t.Errorf("next try in %s", pause)
				}
			})
		})
	}
}

func TestRun_IssuersClockThatIsAheadDelaysTheProofAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		time.Sleep(17 * time.Hour)
		w.twist = func(c *x509.Certificate) { c.NotBefore = time.Now().Add(2 * time.Minute) }
		for range 3 {
			time.Sleep(time.Until(w.renewer().Run(t.Context(), "orders")))
		}
		if w.issued != 1 || w.swaps != 1 {
			t.Errorf("%d issued, %d swaps", w.issued, w.swaps)
		}
	})
}

func TestRun_UndecidedIssuerIsAskedAgainWithTheSameRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		time.Sleep(17 * time.Hour)
		w.caDown = func() error { return &enroll.PendingError{RetryAfter: 25 * time.Minute} }
		next := w.renewer().Run(t.Context(), "orders")
		if record := w.state("orders").Record; time.Until(next) != 25*time.Minute || record.Failures != 0 ||
			record.LastError == "" {
			t.Errorf("next in %s, record %+v", time.Until(next), record)
		}
		request := w.state("orders").Renewal.CSR
		time.Sleep(25 * time.Minute)
		if w.renewer().Run(t.Context(), "orders"); w.state("orders").Renewal.CSR != request {
			t.Error("another request was made")
		}
	})
}

// Storage fails at each write in turn, which is a crash right before it: afterwards the identity works, and the renewal
// comes to its end with one more certificate at most.
func TestRun_CrashAtEveryWriteLeavesAWorkingIdentity(t *testing.T) {
	t.Parallel()
	for failAt := 1; failAt <= 4; failAt++ {
		inBubbleNamed(t, string(rune('0'+failAt)), func(t *testing.T, w *world) {
			time.Sleep(17 * time.Hour)
			w.failAt = failAt
			next := w.renewer().Run(t.Context(), "orders")
			if left := w.state("orders").Left(time.Now()); left <= 0 {
				t.Errorf("after the crash the certificate has %s left", left)
			}
			for try := 0; try < 3 && w.swaps == 0; try++ {
				time.Sleep(time.Until(next))
				next = w.renewer().Run(t.Context(), "orders")
			}
			state := w.state("orders")
			if w.swaps != 1 || state.Left(time.Now()) < 23*time.Hour || w.issued > 2 || state.Renewal != nil {
				t.Errorf("%d swaps, %d issued, %s left", w.swaps, w.issued, state.Left(time.Now()))
			}
			if pair := state.Current; w.proofs == 0 || mustIdentity(t, pair) == nil {
				t.Error("the identity does not work")
			}
		})
	}
}

func inBubbleNamed(t *testing.T, name string, run func(t *testing.T, w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inBubble(t, run) })
}

func mustIdentity(t *testing.T, pair *identity.Pair) any {
	t.Helper()
	id, err := pair.Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRun_StorageThatIsDownIsNotHammered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		time.Sleep(17 * time.Hour)
		w.failAt = 1
		r := w.renewer()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // Update refuses it, as storage that is down would
		if pause := time.Until(r.Run(ctx, "orders")); pause < 45*time.Second {
			t.Errorf("next try in %s", pause)
		}
	})
}
