package enroll

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// asks says whether the call is the one whose answer holds the certificate.
func asks(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/sign/") || strings.HasSuffix(r.URL.Path, "enroll") || r.URL.Path == "/rekey"
}

// issueFunc requests a certificate from the fake of a test.
type issueFunc func(ctx context.Context) (*Issued, error)

// everyKind runs a test for each type of authority, with a current certificate.
func everyKind(t *testing.T, run func(t *testing.T, f *fake, issue issueFunc)) {
	t.Helper()
	for _, kind := range Types() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, 1)
			request := Request{CSR: newCSR(t, newKey(t)), Current: f.identity(t)}
			run(
				t,
				f,
				func(ctx context.Context) (*Issued, error) {
					return newIssuer(t, f.settings(kind)).Issue(ctx,
						request)
				},
			)
		})
	}
}

func TestHostile_AnswersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("A", 64<<10)
	for name, write := range map[string]func(w http.ResponseWriter){
		"empty":    func(http.ResponseWriter) {},
		"garbage":  func(w http.ResponseWriter) { _, _ = w.Write([]byte("\x30\x84\xff\xff\xff\xffCANARY-body")) },
		"a page":   func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>CANARY-body</html>")) },
		"no field": func(w http.ResponseWriter) { writeJSON(w, map[string]any{"CANARY-body": 1}) },
		"not certificates": func(w http.ResponseWriter) {
			writeJSON(w, map[string]any{"crt": "CANARY-body", "data": map[string]any{"certificate": "CANARY-body"}})
		},
		"huge": func(w http.ResponseWriter) {
			for range 1 << 10 {
				if _, err := w.Write([]byte(huge)); err != nil {
					return
				}
			}
		},
		"deep": func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat("\x30\x80", 100<<10))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyKind(t, func(t *testing.T, f *fake, issue issueFunc) {
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if asks(r) {
						write(w)
					}
					return asks(r)
				}
				_, err := issue(t.Context())
				if !errors.Is(err, ErrUnusableAnswer) || strings.Contains(err.Error(), "CANARY") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestHostile_RefusalsKeepTheirWordsShortAndWithoutTheBody(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("no ", 50_000)
	for name, test := range map[string]struct {
		write func(w http.ResponseWriter)
		say   string
	}{
		"long words": {func(w http.ResponseWriter) {
			w.WriteHeader(403)
			writeJSON(w, map[string]any{"errors": []string{long}, "message": long})
		}, "HTTP 403"},
		"escapes": {func(w http.ResponseWriter) {
			w.WriteHeader(400)
			writeJSON(w, map[string]any{"errors": []string{"no\n\x1b[31m\u202e way"},
				"message": "no\n\x1b[31m\u202e way"})
		}, "HTTP 400"},
		"a page": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(502)
			_, _ = w.Write([]byte("<html>CANARY-body</html>"))
		}, "HTTP 502"},
		"elsewhere": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://127.0.0.1:1/CANARY")
			w.WriteHeader(307)
		}, "redirects elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyKind(t, func(t *testing.T, f *fake, issue issueFunc) {
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if asks(r) {
						test.write(w)
					}
					return asks(r)
				}
				_, err := issue(t.Context())
				var refusal *RefusalError
				if !errors.As(err, &refusal) || !strings.Contains(err.Error(), test.say) {
					t.Fatalf("error %v", err)
				}
				text := err.Error()
				if len(text) > maxWords+100 || strings.Contains(text, "CANARY") ||
					strings.ContainsAny(text, "\n\x1b\u202e") {
					t.Errorf("error of %d bytes: %.400q", len(text), text)
				}
			})
		})
	}
}

func TestHostile_SecretsThatAreRepeatedAreBlottedOut(t *testing.T) {
	t.Parallel()
	for _, kind := range Types() {
		f := newFake(t, 0)
		f.before = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(400)
			pair := base64.StdEncoding.EncodeToString([]byte(givenUser + ":" + givenPass))
			all := givenToken + " " + givenUser + " " + givenPass + " " + pair
			if kind == TypeEST {
				_, _ = w.Write([]byte(all))
			} else {
				writeJSON(w, map[string]any{"errors": []string{all}, "message": all})
			}
			return true
		}
		_, err := newIssuer(
			t,
			f.settings(kind),
		).Issue(t.Context(), Request{CSR: newCSR(t, newKey(t)), Secret: oneTime(kind)})
		given := oneTime(kind)
		pair := ""
		if kind == TypeEST {
			pair = base64.StdEncoding.EncodeToString([]byte(givenUser + ":" + givenPass))
		}
		for _, one := range []string{given.Token.Reveal(), given.Username.Reveal(), given.Password.Reveal(), pair} {
			if err == nil || one != "" && strings.Contains(err.Error(), one) {
				t.Errorf("%s: error %v", kind, err)
			}
		}
	}
}

func TestHostile_ServerThatHangsIsLeftWithTheCaller(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, f *fake, issue issueFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !asks(r) {
				return false
			}
			_ = http.NewResponseController(w).Flush() // the header arrives, the body never does
			cancel()
			<-r.Context().Done()
			return true
		}
		if _, err := issue(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestHostile_ChainsThatAreTooLongOrGoInCircles(t *testing.T) {
	t.Parallel()
	long := newAuthority(t, 6)
	_, err := buildChain("sign", long.leaf(t, newKey(t).Public()), long.certificates)
	if !errors.Is(err, ErrUnusableAnswer) || !strings.Contains(err.Error(), "more than 5 intermediates") {
		t.Errorf("six intermediates: %v", err)
	}
	fine := newAuthority(t, 5)
	chain, err := buildChain("sign", fine.leaf(t, newKey(t).Public()), backwards(fine.certificates))
	if err != nil || len(chain) != 6 {
		t.Errorf("five intermediates: %d certificates, %v", len(chain), err)
	}
	many := make([]*x509.Certificate, maxCertificates+1)
	if _, err := buildChain("sign", fine.leaf(t, newKey(t).Public()), many); !errors.Is(err, ErrUnusableAnswer) {
		t.Errorf("%d certificates: %v", len(many), err)
	}

	// Two authorities that have signed each other, and no root.
	one, two := newAuthority(t, 0), newAuthority(t, 0)
	cross := func(subject, by *authority) *x509.Certificate {
		return sign(t, subject.root(), by.root(), subject.key.Public(), by.key)
	}
	two.certificates[0].RawSubject, two.certificates[0].Subject.CommonName = nil, "other"
	two.certificates[0] = sign(t, two.root(), two.root(), two.key.Public(), two.key)
	circle := []*x509.Certificate{cross(one, two), cross(two, one)}
	if _, err := buildChain("sign", one.leaf(t, newKey(t).Public()), circle); err == nil ||
		!strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle: %v", err)
	}
}

func TestHostile_OtherCertificatesInTheAnswerAreLeftOut(t *testing.T) {
	t.Parallel()
	mine, other := newAuthority(t, 1), newAuthority(t, 3)
	bag := append(backwards(other.certificates), mine.certificates...)
	chain, err := buildChain("sign", mine.leaf(t, newKey(t).Public()), bag)
	if err != nil || len(chain) != 2 || !chain[1].Equal(mine.certificates[0]) {
		t.Errorf("chain of %d, %v", len(chain), err)
	}
}

func TestHostile_CostOfADeepMessageIsBounded(t *testing.T) {
	t.Parallel()
	body := []byte(strings.Repeat("\x30\x80", maxAnswer/2))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	if _, err := parseCertsOnly(body); err == nil {
		t.Error("it was accepted")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 || time.Since(start) > 5*time.Second {
		t.Errorf("%d bytes in %s", grown, time.Since(start))
	}
}

func TestRefusalError_HasTheFieldsOfARefusal(t *testing.T) {
	t.Parallel()
	var err error = fmt.Errorf("renewing: %w", &RefusalError{Operation: "rekey", Status: 401, Code: "c", Message: "m",
		Request: "r"})
	var refusal interface {
		error
		HTTPStatus() int
		ErrorCode() string
		ErrorMessage() string
		RequestID() string
	}
	if !errors.As(err, &refusal) || refusal.HTTPStatus() != 401 || refusal.ErrorCode() != "c" ||
		refusal.ErrorMessage() != "m" ||
		refusal.RequestID() != "r" ||
		err.Error() != "renewing: rekey was refused (HTTP 401): m" {
		t.Errorf("refusal %+v", err)
	}
}
