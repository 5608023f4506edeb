package enroll

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func newIssuer(t *testing.T, s Settings) Issuer {
	t.Helper()
	issuer, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// oneTime is what the first certificate of each type is requested with.
func oneTime(kind string) Secret {
	if kind == TypeEST {
		return Secret{Username: secret.New(givenUser), Password: secret.New(givenPass)}
	}
	return Secret{Token: secret.New(givenToken)}
}

func TestIssue_EveryWayOfAskingEveryAuthority(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind        string
		first, keep bool
		calls       []string
	}{
		"vault_pki with a token": {TypeVaultPKI, true, false, []string{"POST /v1/pki/team/sign/s3conn"}},
		"vault_pki with the certificate": {TypeVaultPKI, false, false,
			[]string{"POST /v1/auth/cert/login", "POST /v1/pki/team/sign/s3conn", "POST /v1/auth/token/revoke-self"}},
		"est with a password": {TypeEST, true, false,
			[]string{"GET /.well-known/est/devices/cacerts", "POST /.well-known/est/devices/simpleenroll"}},
		"est with the certificate": {TypeEST, false, false,
			[]string{"GET /.well-known/est/devices/cacerts", "POST /.well-known/est/devices/simplereenroll"}},
		"step_ca with a one-time token":      {TypeStepCA, true, false, []string{"POST /sign"}},
		"step_ca with the certificate":       {TypeStepCA, false, false, []string{"POST /rekey"}},
		"step_ca with the certificate's key": {TypeStepCA, false, true, []string{"POST /renew"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 2)
			current, key := f.identity(t), newKey(t)
			request := Request{CSR: newCSR(t, key), Current: current, KeepsKey: test.keep}
			want := key.Public()
			if test.keep {
				request.CSR, want = nil, leafOf(t, current.Certificate).PublicKey
			}
			if test.first {
				request.Secret = oneTime(test.kind)
			}
			issued, err := newIssuer(t, f.settings(test.kind)).Issue(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(f.calls, test.calls) {
				t.Errorf("calls %q, want %q", f.calls, test.calls)
			}
			checkChain(t, f, issued.Chain, want)
			for i, peer := range f.peers {
				if wanted := len(current.Certificate); !test.first && len(peer) != wanted ||
					test.first && len(peer) != 0 {
					t.Errorf("call %d came with %d certificates", i, len(peer))
				}
			}
			if len(issued.Warnings) > 0 {
				t.Errorf("warnings %q", issued.Warnings)
			}
		})
	}
}

func leafOf(t *testing.T, chain [][]byte) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func checkChain(t *testing.T, f *fake, chain []*x509.Certificate, public any) {
	t.Helper()
	want := f.certificates[:len(f.certificates)-1]
	if len(chain) != 1+len(want) || !slices.EqualFunc(chain[1:], want, (*x509.Certificate).Equal) {
		t.Fatalf("chain of %d certificates, want the leaf and %d intermediates in order", len(chain), len(want))
	}
	if key, ok := public.(interface{ Equal(x any) bool }); ok && !key.Equal(chain[0].PublicKey) {
		t.Error("the leaf is of another key")
	}
}

func TestIssue_SendsSecretsWhereTheyBelong(t *testing.T) {
	t.Parallel()
	f := newFake(t, 0)
	for _, kind := range Types() {
		s := f.settings(kind)
		if kind == TypeVaultPKI {
			s.Namespace, s.TTL = "team-a", 90*time.Minute
		}
		if _, err := newIssuer(t, s).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t)),
			Secret: oneTime(kind)}); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	pki, est, step := f.headers[0], f.headers[2], f.bodies[3]
	if pki.Get("X-Vault-Token") != givenToken || pki.Get("X-Vault-Namespace") != "team-a" ||
		!strings.Contains(f.bodies[0], `"ttl":"5400s"`) {
		t.Errorf("vault_pki was sent %v and %s", pki, f.bodies[0])
	}
	pair := base64.StdEncoding.EncodeToString([]byte(givenUser + ":" + givenPass))
	if est.Get("Authorization") != "Basic "+pair || est.Get("Content-Type") != "application/pkcs10" {
		t.Errorf("est was sent %v", est)
	}
	if f.headers[1].Get("Authorization") != "" {
		t.Error("cacerts, which everybody may read, was sent a password")
	}
	if !strings.Contains(step, `"ott":"`+givenToken+`"`) {
		t.Errorf("step_ca was sent %s", step)
	}
}

func TestIssue_WithNothingToAskWithSendsNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t, 0)
	for _, kind := range Types() {
		_, err := newIssuer(t, f.settings(kind)).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t))})
		if !errors.Is(err, ErrNoIdentity) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("calls %q", f.calls)
	}
}

func TestVaultPKI_LoginIsRevokedWhateverHappens(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"refused": 403, "down": 503} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 0)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/sign/") {
					w.WriteHeader(status)
					writeJSON(
						w,
						map[string]any{"errors": []string{"1 error occurred:\n\t* no for " + loginToken + "\n\n"}},
					)
					return true
				}
				return false
			}
			_, err := newIssuer(
				t,
				f.settings(TypeVaultPKI),
			).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
			var refusal *RefusalError
			if !errors.As(err, &refusal) || refusal.Status != status ||
				refusal.Message != "1 error occurred: * no for [redacted]" {
				t.Errorf("error %v", err)
			}
			if last := len(f.calls) - 1; f.calls[last] != "POST /v1/auth/token/revoke-self" ||
				f.headers[last].Get("X-Vault-Token") != loginToken {
				t.Errorf("calls %q", f.calls)
			}
		})
	}
}

func TestVaultPKI_LoginIsRevokedAfterACancelledRequest(t *testing.T) {
	t.Parallel()
	f := newFake(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	f.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/sign/") {
			cancel()
			<-r.Context().Done()
			return true
		}
		return false
	}
	_, err := newIssuer(
		t,
		f.settings(TypeVaultPKI),
	).Issue(ctx, Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if last := f.calls[len(f.calls)-1]; last != "POST /v1/auth/token/revoke-self" {
		t.Errorf("calls %q", f.calls)
	}
}

func TestVaultPKI_LoginThatIsNotRevokedIsAWarning(t *testing.T) {
	t.Parallel()
	f := newFake(t, 0)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "revoke-self") {
			w.WriteHeader(403)
			writeJSON(w, map[string]any{"errors": []string{"permission denied"}})
			return true
		}
		return false
	}
	issued, err := newIssuer(
		t,
		f.settings(TypeVaultPKI),
	).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
	if err != nil {
		t.Fatal(err)
	}
	if len(issued.Warnings) != 1 || !strings.Contains(issued.Warnings[0], "permission denied") {
		t.Errorf("warnings %q", issued.Warnings)
	}
}

func TestEST_LaterMeansAPauseWithinBounds(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "": time.Hour, "0": 10 * time.Second, "-5": 10 * time.Second,
		"99999999999999": time.Hour,
		"86400":          time.Hour, "Fri, 31 Dec 1999 23:59:59 GMT": time.Hour,
	} {
		f := newFake(t, 0)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "enroll") {
				return false
			}
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusAccepted)
			return true
		}
		_, err := newIssuer(
			t,
			f.settings(TypeEST),
		).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
		var pending *PendingError
		if !errors.As(err, &pending) || pending.RetryAfter != want {
			t.Errorf("Retry-After %q: %v, want %s", header, err, want)
		}
	}
}
