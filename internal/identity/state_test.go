package identity

import (
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestNewWaiting_KeepsTheKeyThatWaits(t *testing.T) {
	t.Parallel()
	first, err := State{}.NewWaiting("ec-p256", false, Names{CommonName: "a"}, time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	never := func(string) (crypto.Signer, error) { t.Error("a key was made"); return nil, errors.New("no") }
	second, err := first.NewWaiting("ec-p256", false, Names{CommonName: "b"}, time.Now().Add(time.Hour), never)
	if err != nil || !sameKey(first.Waiting.PrivateKey, second.Waiting.PrivateKey) ||
		second.Waiting.CSR == first.Waiting.CSR ||
		!second.Waiting.Since.Equal(first.Waiting.Since) {
		t.Errorf("another request: %v", err)
	}
	_, err = first.NewWaiting("rsa-2048", false, Names{}, time.Now(), never)
	var refused *problem.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "key_type: a key of type ec-p256") ||
		!strings.Contains(err.Error(), "new_key=true") {
		t.Errorf("another key_type: %v", err)
	}
	third, err := first.NewWaiting("ec-p384", true, Names{CommonName: "a"}, time.Now(), NewKey)
	if err != nil || third.Waiting.KeyType != "ec-p384" || sameKey(first.Waiting.PrivateKey, third.Waiting.PrivateKey) {
		t.Errorf("new_key: %v", err)
	}
}

func TestJoin_RefusesWithWordsAndChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	current := with(t, a)
	both, err := current.NewWaiting(DefaultKeyType, false, Names{CommonName: "next"}, time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	other := with(t, a).Current.Certificate
	ended := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	unrelated := toPEM(newAuthority(t).certificate)
	for name, test := range map[string]struct {
		state       State
		certificate string
		want        string
	}{
		"not PEM":                 {both, "CANARY", "certificate: parsing certificate"},
		"another key":             {both, other, "is of neither the key that waits nor the current one"},
		"no key waits":            {current, other, "is not of the current key, and no key waits"},
		"no key at all":           {State{}, other, "no key waits for it; make one with csr first"},
		"only the key that waits": {State{Waiting: both.Waiting}, other, "is not of the key that waits"},
		"ended":                   {both, a.answer(t, both.Waiting.CSR, ended), "certificate expired"},
		"a CA": {both, a.answer(t, both.Waiting.CSR, func(c *x509.Certificate) {
			c.IsCA,
				c.BasicConstraintsValid = true, true
		}), "is a CA certificate"},
		"another usage": {both, a.answer(t, both.Waiting.CSR,
			func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), "digitalSignature"},
		"another chain": {both, a.answer(t, both.Waiting.CSR) + unrelated, "did not sign the one before it"},
	} {
		pair, err := test.state.Join(test.certificate, time.Now())
		var refused *problem.Error
		if pair != nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if pair, err := both.Join(a.answer(t, both.Waiting.CSR)+toPEM(a.certificate), time.Now()); err != nil ||
		pair == nil {
		t.Errorf("its own chain: %v", err)
	}
}

func TestJoin_RenewalWithTheSameKeyLeavesTheOneThatWaits(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state, err := with(t, a).NewWaiting(DefaultKeyType, false, Names{CommonName: "next"}, time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	renewed := toPEM(
		a.sign(
			t,
			&x509.Certificate{Subject: state.Leaf().Subject, KeyUsage: x509.KeyUsageDigitalSignature},
			state.Leaf().PublicKey,
		),
	)
	pair, err := state.Join(renewed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	next, err := state.Swap(pair, time.Now())
	if err != nil || next.Waiting != state.Waiting || next.Current.Certificate != renewed {
		t.Errorf("state %+v, %v", next, err)
	}
	if _, err := (State{}).Swap(pair, time.Now()); !errors.Is(err, ErrChanged) {
		t.Errorf("a pair of no key: %v", err)
	}
}
