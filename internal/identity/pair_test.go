package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestPair_EndIsThatOfTheFirstCertificateToEnd(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state := with(t, a)
	end := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	intermediate := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: end}, state.Leaf().PublicKey)
	state.Current = &Pair{state.Current.Certificate + toPEM(intermediate), state.Current.PrivateKey, OriginVault}
	if got := state.Current.End(); !got.Equal(end) {
		t.Errorf("the pair ends at %s, want %s", got, end)
	}
	if left := state.Left(end.Add(time.Minute)); left != -time.Minute {
		t.Errorf("%s are left a minute after its end", left)
	}
	if left := (State{}).Left(end); left != 0 {
		t.Errorf("%s are left of no certificate", left)
	}
}

func TestPair_DamagedOneHasNoEndTypeOrLeaf(t *testing.T) {
	t.Parallel()
	damaged := &Pair{"CANARY", secret.New("CANARY"), OriginImported}
	state := State{Current: damaged, Issuer: &Issuer{}}
	if !damaged.End().IsZero() || damaged.KeyType() != "" || state.Leaf() != nil || !state.RenewAt().IsZero() {
		t.Errorf("end %s, type %q, leaf %v, renewal at %s", damaged.End(), damaged.KeyType(), state.Leaf(),
			state.RenewAt())
	}
	for name, err := range map[string]error{
		"identity":    second(damaged.Identity()),
		"TLS":         second(damaged.TLS()),
		"certificate": second(state.Join("CANARY", time.Now())),
	} {
		if err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
	certificate := with(t, newAuthority(t)).Current.Certificate
	if _, err := state.Join(certificate, time.Now()); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a certificate for a damaged key: %v", err)
	}
	if pair, err := state.Require("orders"); pair != damaged || err != nil {
		t.Errorf("required: %+v, %v", pair, err)
	}
}

func second[T any](_ T, err error) error { return err }
