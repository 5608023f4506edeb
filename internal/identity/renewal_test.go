package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

func TestRenewAt(t *testing.T) {
	t.Parallel()
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	certificate := func(lifetime time.Duration) *x509.Certificate {
		return &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(lifetime)}
	}
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	for name, test := range map[string]struct {
		chain  []*x509.Certificate
		before time.Duration
		want   time.Duration // after its begin
	}{
		"a third of a day":         {[]*x509.Certificate{certificate(day)}, 0, 16 * time.Hour},
		"a third of a year":        {[]*x509.Certificate{certificate(year)}, 0, year / 3 * 2},
		"a third of three minutes": {[]*x509.Certificate{certificate(3 * time.Minute)}, 0, 2 * time.Minute},
		"as asked":                 {[]*x509.Certificate{certificate(day)}, time.Hour, 23 * time.Hour},
		"as asked, early":          {[]*x509.Certificate{certificate(day)}, 19 * time.Hour, 5 * time.Hour},
		"not below the lifetime":   {[]*x509.Certificate{certificate(day)}, day, 16 * time.Hour},
		"far above it":             {[]*x509.Certificate{certificate(day)}, year, 16 * time.Hour},
		"never in its first sixth": {[]*x509.Certificate{certificate(day)}, day - time.Minute, 4 * time.Hour},
		"an intermediate ends first": {[]*x509.Certificate{certificate(day), certificate(20 * time.Hour)}, 0,
			12 * time.Hour},
		"an intermediate ends long ago": {[]*x509.Certificate{certificate(day), certificate(-year)}, 0,
			4 * time.Hour},
		"an intermediate ends afterwards": {[]*x509.Certificate{certificate(day), certificate(year)}, 0,
			16 * time.Hour},
		"seconds": {[]*x509.Certificate{certificate(6 * time.Second)}, 0, 5 * time.Second},
	} {
		if got := RenewAt(test.chain, test.before).Sub(begin); got != test.want {
			t.Errorf("%s: after %s, want %s", name, got, test.want)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	state := with(t, newAuthority(t))
	now := time.Now()
	issuer := &Issuer{Key: KeyNew}
	if due, renewal := state.Due(), state.RenewAt(); !due.IsZero() || !renewal.IsZero() {
		t.Errorf("nobody renews: due %s, renewed %s", due, renewal)
	}
	state = state.WithIssuer(issuer)
	if due := state.Due(); !due.Equal(state.RenewAt()) || due.Before(now) {
		t.Errorf("an issuer: %s", due)
	}
	if due := state.Failed("no", now, now.Add(time.Minute)).Due(); !due.Equal(now.Add(time.Minute)) {
		t.Errorf("after a failure: %s", due)
	}
	if due := (State{Issuer: issuer}).Failed("no", now, now.Add(time.Minute)).Due(); !due.IsZero() {
		t.Errorf("without a certificate: %s", due)
	}
	proof := State{Issuer: issuer, Renewal: &Renewal{Certificate: "x", Since: now}}
	if due := proof.Due(); !due.Equal(now) {
		t.Errorf("a first certificate that waits for its proof: %s", due)
	}
	// An authority whose certificates are due for renewal as soon as they are issued is not asked all the time.
	state.Record.LastRenewal = state.Current.End().Add(-10 * time.Minute)
	if due, want := state.Due(), state.Record.LastRenewal.Add(100*time.Second); !due.Equal(want) {
		t.Errorf("due at once: %s, want %s", due, want)
	}
}

func TestIssuerCheck(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state := with(t, a)
	state.Current = &Pair{state.Current.Certificate, state.Current.PrivateKey, OriginVault}
	server := with(t, a)
	server.Current = &Pair{
		Certificate: toPEM(
			a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "x"}, KeyUsage: x509.KeyUsageDigitalSignature,
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, server.Leaf().PublicKey),
		),
		PrivateKey: server.Current.PrivateKey, Origin: OriginVault,
	}
	waiting, err := State{}.NewWaiting("ml-dsa-44", false, Names{CommonName: "x"}, time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := waiting.Join(a.answerAny(t, waiting.Waiting.CSR), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lattice := State{Current: pair}
	for name, test := range map[string]struct {
		state  State
		change func(*Issuer)
		want   string
	}{
		"fine":               {state, func(*Issuer) {}, ""},
		"no certificate yet": {State{}, func(i *Issuer) { i.KeyType = "rsa-2048" }, ""},
		"ML-DSA": {state, func(i *Issuer) { i.KeyType = "ml-dsa-65" },
			"key_type: the key would be of type ml-dsa-65"},
		"another type, but same": {state, func(i *Issuer) { i.Key, i.KeyType = KeySame, "rsa-2048" },
			"key_type: is rsa-2048 and the current"},
		"longer than it lives": {state, func(i *Issuer) { i.RenewBefore = 61 * time.Minute },
			"renew_before: is 1h1m0s"},
		"not a client's": {server, func(*Issuer) {},
			"type: the current certificate's extended key usage lacks clientAuth"},
		"the same key of ML-DSA": {lattice, func(i *Issuer) { i.Key = KeySame },
			"key: the key would be of type ml-dsa-44"},
		"its names":    {state, func(i *Issuer) { i.Names.Country = []string{"x"} }, "country: "},
		"its settings": {state, func(i *Issuer) { i.Address = "" }, "address: is required"},
	} {
		issuer := &Issuer{Settings: enroll.Settings{Type: enroll.TypeStepCA, Address: "https://ca"}, Key: KeyNew}
		test.change(issuer)
		var p problem.List
		issuer.Check(&p, test.state)
		err := p.Err("writing the issuer", "")
		if test.want == "" && err != nil ||
			test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
