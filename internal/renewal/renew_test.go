package renewal

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestRenew_FirstCertificateWithASecretThatIsNowhereAfterwards(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.connect("new", func(s *identity.State) { s.Current, s.Waiting = nil, nil })
		given := enroll.Secret{
			Token:    secret.New("CANARY-token"),
			Username: secret.New("CANARY-user"),
			Password: secret.New("CANARY-pass"),
		}
		state, err := w.renewer().Renew(t.Context(), "new", given)
		if err != nil || state.Current == nil || state.Leaf().Subject.CommonName != "orders" {
			t.Fatalf("state %+v, %v", state.Record, err)
		}
		w.caDown = func() error { return errDown }
		if _, err := w.renewer().Renew(t.Context(), "new", given); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		for name, text := range w.stored {
			if strings.Contains(string(text), "CANARY") {
				t.Errorf("%s holds a one-time secret", name)
			}
		}
	})
}

func TestRenew_IsRefusedWithoutAnIssuerAndWhileOneIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.connect("alone", func(s *identity.State) { s.Issuer = nil })
		r := w.renewer()
		if _, err := r.Renew(t.Context(), "alone", enroll.Secret{}); !errors.Is(err, ErrNoIssuer) {
			t.Errorf("without an issuer: %v", err)
		}
		if _, err := r.Renew(t.Context(), "nothing", enroll.Secret{}); !errors.Is(err, ErrGone) {
			t.Errorf("without a connection: %v", err)
		}
		w.caDown = func() error {
			if _, err := r.Renew(t.Context(), "orders", enroll.Secret{}); !errors.Is(err, ErrBusy) {
				t.Errorf("a second one: %v", err)
			}
			if pause := time.Until(r.Run(t.Context(), "orders")); pause != busyPause {
				t.Errorf("the scheduler's: %s", pause)
			}
			return nil
		}
		if _, err := r.Renew(t.Context(), "orders", enroll.Secret{}); err != nil {
			t.Error(err)
		}
	})
}

func TestRenew_IdentityThatIsSwappedMeanwhileStays(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.serviceDown = func() error { // while the proof runs an operator imports another identity
			w.connect("orders", nil)
			return nil
		}
		_, err := w.renewer().Renew(t.Context(), "orders", enroll.Secret{})
		if !errors.Is(err, identity.ErrChanged) || w.swaps > 0 {
			t.Errorf("error %v, %d swaps", err, w.swaps)
		}
	})
}
