package enroll

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestIssue_AnswersThatHoldNoCertificateOfTheKeySayWhatIsWrong(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, 0)
	leaf := func() string { return toPEM(a.leaf(t, newKey(t).Public())) }
	many := make([]string, maxCertificates)
	sign := func(fields map[string]any) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { writeJSON(w, map[string]any{"data": fields}) }
	}
	for name, test := range map[string]struct {
		kind, at string // the type, and how the path ends at which another answer is given
		answer   func(w http.ResponseWriter)
		want     string
	}{
		"a login that is not JSON": {TypeVaultPKI, "login",
			func(w http.ResponseWriter) { _, _ = w.Write([]byte("CANARY")) },
			"logging in with the current certificate: the answer cannot be used: it is not the JSON that was expected"},
		"a login without a token": {TypeVaultPKI, "login",
			func(w http.ResponseWriter) { writeJSON(w, map[string]any{}) },
			"logging in with the current certificate: the answer cannot be used: it holds no token"},
		"a token with a line break": {TypeVaultPKI, "login", func(w http.ResponseWriter) {
			writeJSON(w, map[string]any{"auth": map[string]any{"client_token": "CANARY\nX-Other: 1"}})
		}, "it holds no token"},
		"an endless ca_chain": {TypeVaultPKI, "s3conn", sign(map[string]any{"certificate": leaf(), "ca_chain": many}),
			"signing with pki/team/sign/s3conn: the answer cannot be used: its ca_chain holds 32 certificates"},
		"a damaged ca_chain": {TypeVaultPKI, "s3conn",
			sign(map[string]any{"certificate": leaf(), "ca_chain": []string{"", "CANARY"}}),
			"its ca_chain is not certificates in PEM"},
		"an endless certificate": {TypeVaultPKI, "s3conn",
			sign(map[string]any{"certificate": strings.Repeat(leaf(), maxCertificates+1)}),
			"its certificate holds 33 certificates; at most 32 are looked at"},
		"cacerts that come later": {TypeEST, "cacerts",
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) },
			"cacerts: the answer cannot be used: HTTP 202 is no answer to it"},
		"certificates of other keys": {TypeEST, "simplereenroll", func(w http.ResponseWriter) {
			writeCertsOnly(w, a.leaf(t, newKey(t).Public()), a.leaf(t, newKey(t).Public()))
		}, "simplereenroll: the answer cannot be used: none of its 2 certificates is of the key that was sent"},
		"an endless certChain": {TypeStepCA, "rekey", func(w http.ResponseWriter) {
			writeJSON(w, map[string]any{"crt": leaf(), "certChain": many})
		}, "rekey: the answer cannot be used: its certChain holds 32 certificates"},
		"a damaged certChain": {TypeStepCA, "rekey", func(w http.ResponseWriter) {
			writeJSON(w, map[string]any{"crt": leaf(), "certChain": []string{"", "CANARY"}})
		}, "its certChain is not certificates in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 1)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, test.at) {
					return false
				}
				test.answer(w)
				return true
			}
			issued, err := newIssuer(t, f.settings(test.kind)).Issue(t.Context(),
				Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
			if issued != nil || !errors.Is(err, ErrUnusableAnswer) || !strings.Contains(err.Error(), test.want) ||
				strings.Contains(err.Error(), "CANARY") {
				t.Errorf("error %v, want %q", err, test.want)
			}
			var malformed interface{ MalformedResponse() }
			if !errors.As(err, &malformed) {
				t.Errorf("error %v is not marked as about a malformed answer", err)
			}
		})
	}
}

// Whoever checks the certificate can then say what is wrong with it.
func TestEST_OneCertificateOfAnotherKeyIsReturned(t *testing.T) {
	t.Parallel()
	f := newFake(t, 1)
	other := f.leaf(t, newKey(t).Public())
	f.issue = func(any) *x509.Certificate { return other }
	issued, err := newIssuer(t, f.settings(TypeEST)).Issue(t.Context(),
		Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
	if err != nil || !issued.Chain[0].Equal(other) {
		t.Errorf("issued %+v, %v", issued, err)
	}
}

func TestIssue_AnswerThatIsCutShortIsAnErrorOfItsOperation(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, f *fake, issue issueFunc) {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !asks(r) {
				return false
			}
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("CANARY"))
			return true
		}
		_, err := issue(t.Context())
		if err == nil || !strings.Contains(err.Error(), ": reading the answer: unexpected EOF") {
			t.Errorf("error %v", err)
		}
	})
}

func TestIssue_RefusalWithoutWordsHasItsStatusAlone(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, f *fake, issue issueFunc) {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if asks(r) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte("CANARY"))
			}
			return asks(r)
		}
		_, err := issue(t.Context())
		var refusal *RefusalError
		if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden || refusal.Message != "" ||
			!strings.HasSuffix(err.Error(), "was refused (HTTP 403)") {
			t.Errorf("error %v", err)
		}
	})
}

func TestIssue_DamagedSettingsAndRequestsSendNothing(t *testing.T) {
	t.Parallel()
	f := newFake(t, 0)
	token := Secret{Token: secret.New("CANARY\nX-Other: 1")}
	for name, test := range map[string]struct {
		kind   string
		change func(*Settings)
		given  Secret
		csr    []byte
		want   string
	}{
		"an address that is no URL": {TypeStepCA, func(s *Settings) { s.Address = "https://%zz" }, oneTime(TypeStepCA),
			nil, "sign: making the request: the stored address is not a URL; write the issuer again"},
		"a CA that is no certificate": {TypeStepCA, func(s *Settings) { s.CACert = "CANARY" }, oneTime(TypeStepCA), nil,
			"reading ca_cert: is not PEM"},
		"a token that no header holds": {TypeVaultPKI, func(*Settings) {}, token, nil,
			"reading token: it holds what no Vault token holds"},
		"a request that is none": {TypeEST, func(*Settings) {}, oneTime(TypeEST), []byte("CANARY"),
			"reading the certificate signing request: the stored one is damaged; write the issuer again"},
	} {
		s := f.settings(test.kind)
		test.change(&s)
		_, err := newIssuer(t, s).Issue(t.Context(), Request{CSR: test.csr, Secret: test.given})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("calls %q", f.calls)
	}
}

func TestVaultPKI_LogsInWhereTheSettingsSay(t *testing.T) {
	t.Parallel()
	f := newFake(t, 0)
	s := f.settings(TypeVaultPKI)
	s.CertAuthPath = "team/cert"
	_, err := newIssuer(t, s).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)})
	var refusal *RefusalError
	if !errors.As(err, &refusal) || refusal.Operation != "logging in with the current certificate" ||
		len(f.calls) != 1 || f.calls[0] != "POST /v1/auth/team/cert/login" {
		t.Errorf("error %v after %q, want the refusal of the login alone", err, f.calls)
	}
}

// Checking the signature of a huge key takes minutes.
func TestBuildChain_LooksAtNoSignatureOfAHugeKey(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, 0)
	leaf := a.leaf(t, newKey(t).Public())
	huge := &x509.Certificate{Raw: []byte("huge"), RawSubject: a.root().RawSubject,
		PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), maxRSABits), E: 65537}}
	chain, err := buildChain("sign", leaf, []*x509.Certificate{huge})
	if err != nil || len(chain) != 1 {
		t.Errorf("chain of %d, %v", len(chain), err)
	}
}

func TestPendingError_SaysWhenToAskAgain(t *testing.T) {
	t.Parallel()
	if text := (&PendingError{time.Minute}).Error(); !strings.HasSuffix(text, "wants the same request again in 1m0s") {
		t.Error(text)
	}
}

func TestRedactProxy_HidesThePassword(t *testing.T) {
	t.Parallel()
	for proxy, want := range map[string]string{
		"": "", "http://proxy:3128": "http://proxy:3128",
		"http://user:CANARY@proxy:3128": "http://user:xxxxx@proxy:3128",
	} {
		if got := RedactProxy(secret.New(proxy)); got != want {
			t.Errorf("%q is shown as %q, want %q", proxy, got, want)
		}
	}
}
