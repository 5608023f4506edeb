package renewal

import (
	"context"
	"crypto"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

func TestRun_IdentityThatCannotBeReadIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stored["orders"] = []byte("damaged")
		next := w.renewer().Run(t.Context(), "orders")
		if pause := schedule.Pause(1, 0, 0.5); !next.Equal(time.Now().Add(pause)) || w.writes > 0 {
			t.Errorf("tried again in %s after %d writes, want %s and none", time.Until(next), w.writes, pause)
		}
	})
}

func TestRenew_WhatFailsBeforeTheIssuerIsAskedIsNoted(t *testing.T) {
	errMaking := errors.New("no key was made")
	for name, test := range map[string]struct {
		change func(w *world, r *Renewer)
		want   string
		begun  bool // a key and a request are stored
	}{
		"no key": {func(_ *world, r *Renewer) {
			r.MakeKey = func(context.Context, string) (crypto.Signer, error) { return nil, errMaking }
		}, "no key was made", false},
		"no issuer of that type": {func(_ *world, r *Renewer) {
			r.NewIssuer = func(enroll.Settings) (enroll.Issuer, error) { return enroll.New(enroll.Settings{}) }
		}, "an issuer of an unknown type is stored", true},
		"a damaged certificate": {func(w *world, _ *Renewer) {
			state := w.state("orders")
			state.Current = &identity.Pair{Certificate: "CANARY", PrivateKey: state.Current.PrivateKey}
			w.put("orders", state)
		}, "parsing certificate", true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.renewer()
				test.change(w, r)
				before := w.state("orders")
				state, err := r.Renew(t.Context(), "orders", enroll.Secret{})
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "CANARY") {
					t.Errorf("error %v, want %q", err, test.want)
				}
				after := w.state("orders")
				if after.Record.Failures != 1 || after.Record.LastError != err.Error() ||
					after.Current.Certificate != before.Current.Certificate || (after.Renewal != nil) != test.begun ||
					state.Record.LastError != err.Error() || w.issued > 0 || len(w.failures) != 1 {
					t.Errorf("stored is %+v; %d issued, failures %q", after.Record, w.issued, w.failures)
				}
			})
		})
	}
}

func TestRenew_ConnectionThatIsDeletedMeanwhileIsNotRecorded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.caDown = func() error {
			delete(w.stored, "orders")
			return nil
		}
		state, err := w.renewer().Renew(t.Context(), "orders", enroll.Secret{})
		if !errors.Is(err, ErrGone) || state.Current != nil || len(w.failures) > 0 || len(w.stored) > 0 {
			t.Errorf("error %v; failures %q; %d entries", err, w.failures, len(w.stored))
		}
	})
}

func TestRenew_CertificateThatHasEndedNeedsAOneTimeSecret(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.caDown = func() error { return errDown }
		const words = "the current certificate has ended, so the issuer may refuse it: renew with a one-time secret"
		if _, err := w.renewer().Renew(t.Context(), "orders", enroll.Secret{}); strings.Contains(err.Error(), words) {
			t.Errorf("while it lives: %v", err)
		}
		time.Sleep(2 * day)
		_, err := w.renewer().Renew(t.Context(), "orders", enroll.Secret{})
		if !errors.Is(err, errDown) || !strings.Contains(err.Error(), words) ||
			w.state("orders").Record.LastError != err.Error() {
			t.Errorf("after its end: %v", err)
		}
	})
}
