package rolesanywhere

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func signatureOf(t *testing.T, authorization string) []byte {
	t.Helper()
	_, text, ok := strings.Cut(authorization, "Signature=")
	signature, err := hex.DecodeString(text)
	if !ok || err != nil {
		t.Fatalf("no hexadecimal signature in %q", authorization)
	}
	return signature
}

func TestSignHTTP_ReproducesRecordedRequest(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa", "rsa-chain", "rsa4096"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded, body := readVector(t, name)
			date, err := time.Parse(timeFormat, recorded.Header.Get(headerDate))
			if err != nil {
				t.Fatal(err)
			}
			r := recorded.Clone(t.Context())
			for _, key := range []string{headerAuthorization, headerDate, headerX509, headerChain} {
				r.Header.Del(key)
			}
			if err := vectorIdentity(t, name).SignHTTP(t.Context(), r, hashOf(body), "us-east-1", date); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{headerAuthorization, headerDate, headerX509, headerChain} {
				want := recorded.Header.Get(key)
				if key == headerAuthorization && name == "rsa4096" { // recorded with commas alone, which SigV4 allows
					want = strings.ReplaceAll(want, ",", ", ")
				}
				if got := r.Header.Get(key); got != want {
					t.Errorf("%s:\n got %s\nwant %s", key, got, want)
				}
			}
		})
	}
}

// canonicalOfVector writes out by hand what the recorded requests must hash to.
func canonicalOfVector(r *http.Request, body []byte) string {
	query := ""
	if r.URL.RawQuery != "" { // AWS's own client sends the ARNs there
		query = "profileArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aprofile%2F" +
			"11111111-2222-3333-4444-555555555555" +
			"&roleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fapp" +
			"&trustAnchorArn=arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Atrust-anchor%2F" +
			"11111111-2222-3333-4444-555555555555"
	}
	lines, names := []string{"POST", "/sessions", query}, []string{}
	for _, name := range []string{"amz-sdk-invocation-id", "amz-sdk-request", "content-type", "host",
		"x-amz-content-sha256", "x-amz-date", "x-amz-x509", "x-amz-x509-chain"} {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		if value != "" {
			names, lines = append(names, name), append(lines, name+":"+value)
		}
	}
	return strings.Join(append(lines, "", strings.Join(names, ";"), hashOf(body)), "\n")
}

// verifyVector verifies r's signature of toSign with the certificate's key.
func verifyVector(id *Identity, toSign string, signature []byte) bool {
	digest := sha256.Sum256([]byte(toSign))
	switch key := publicKey(id.Certificate()).(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest[:], signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case *mldsa.PublicKey:
		return mldsa.Verify(key, []byte(toSign), signature, nil) == nil
	}
	return false
}

// Signatures that differ each time are verified with the string to sign written out here, the recorded one too: so this
// package, the client or generator that recorded it, and this test agree on what is signed.
func TestSignHTTP_SignatureVerifies(t *testing.T) {
	t.Parallel()
	for name, algorithm := range map[string]string{
		"rsa": algorithmRSA, "rsa4096": algorithmRSA, "p256": algorithmECDSA, "p384": algorithmECDSA,
		"p521":              algorithmECDSA,
		"p256-under-ml-dsa": algorithmECDSA,
		"ml-dsa-44":         algorithmMLDSA, "ml-dsa-65": algorithmMLDSA, "ml-dsa-87": algorithmMLDSA,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorded, body := readVector(t, name)
			date, err := time.Parse(timeFormat, recorded.Header.Get(headerDate))
			if err != nil {
				t.Fatal(err)
			}
			id := vectorIdentity(t, name)
			signed := recorded.Clone(t.Context())
			if err := id.SignHTTP(t.Context(), signed, hashOf(body), "us-east-1", date); err != nil {
				t.Fatal(err)
			}
			toSign := algorithm + "\n" + date.Format(timeFormat) + "\n" + date.Format("20060102") +
				"/us-east-1/rolesanywhere/aws4_request\n" + hashOf([]byte(canonicalOfVector(recorded, body)))
			for who, r := range map[string]*http.Request{"recorded": recorded, "ours": signed} {
				if !verifyVector(id, toSign, signatureOf(t, r.Header.Get(headerAuthorization))) {
					t.Errorf("%s signature does not verify", who)
				}
			}
			spaced := strings.ReplaceAll(
				strings.ReplaceAll(recorded.Header.Get(headerAuthorization), ", ", ","),
				",",
				", ",
			)
			ours, _, _ := strings.Cut(signed.Header.Get(headerAuthorization), "Signature=")
			theirs, _, _ := strings.Cut(spaced, "Signature=")
			if ours != theirs {
				t.Errorf("Authorization begins\n got %s\nwant %s", ours, theirs)
			}
		})
	}
}

// messageSigner is a key that hashes for itself, as some HSMs do.
type messageSigner struct {
	crypto.Signer
	messages []string
}

func (s *messageSigner) SignMessage(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.messages = append(s.messages, string(message))
	digest := sha256.Sum256(message)
	return s.Sign(rand, digest[:], opts)
}

func TestSignHTTP_GivesAMessageSignerTheMessage(t *testing.T) {
	t.Parallel()
	known := vectorIdentity(t, "p256")
	signer := &messageSigner{Signer: known.key}
	id, err := NewIdentity(known.certificates, signer)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodPost, "https://example.com/sessions", nil)
	if err := id.SignHTTP(t.Context(), r, emptyHash, "us-east-1", vectorTime); err != nil {
		t.Fatal(err)
	}
	if len(signer.messages) != 1 || !strings.HasPrefix(signer.messages[0], algorithmECDSA+"\n20261123T093306Z\n") ||
		!verifyVector(id, signer.messages[0], signatureOf(t, r.Header.Get(headerAuthorization))) {
		t.Errorf("signed %q", signer.messages)
	}
}

func TestSignHTTP_DatesInUTC(t *testing.T) {
	t.Parallel()
	id := vectorIdentity(t, "rsa")
	var signed [2]http.Header
	for i, zone := range []*time.Location{time.UTC, time.FixedZone("", 15*60*60)} {
		r, _ := http.NewRequest(http.MethodPost, "https://example.com/sessions", nil)
		if err := id.SignHTTP(t.Context(), r, emptyHash, "us-east-1", vectorTime.In(zone)); err != nil {
			t.Fatal(err)
		}
		signed[i] = r.Header
	}
	for _, key := range []string{headerDate, headerAuthorization} {
		if got, want := signed[1].Get(key), signed[0].Get(key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
}

func TestSignHTTP_ReplacesStaleHeaders(t *testing.T) {
	t.Parallel()
	r, _ := http.NewRequest(http.MethodPost, "https://example.com/sessions", nil)
	for _, key := range []string{headerAuthorization, headerDate, headerX509, headerChain} {
		r.Header.Set(key, "stale")
	}
	if err := vectorIdentity(t, "p256").SignHTTP(t.Context(), r, emptyHash, "us-east-1", vectorTime); err != nil {
		t.Fatal(err)
	}
	if _, present := r.Header[headerChain]; present {
		t.Error("a chain header stayed on a request of an identity without intermediates")
	}
	for key, values := range r.Header {
		if len(values) != 1 || values[0] == "stale" {
			t.Errorf("%s = %q", key, values)
		}
	}
}

func TestSignHTTP_RefusesWhatCannotBeSigned(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx               context.Context
		url, hash, region string
		want              error
	}{
		"cancelled context":   {cancelled, "https://h/", emptyHash, "us-east-1", context.Canceled},
		"opaque URL":          {t.Context(), "https:opaque", emptyHash, "us-east-1", ErrInvalidInput},
		"no host":             {t.Context(), "/sessions", emptyHash, "us-east-1", ErrInvalidInput},
		"query not decodable": {t.Context(), "https://h/?a=%zz", emptyHash, "us-east-1", ErrInvalidInput},
		"short hash":          {t.Context(), "https://h/", "e3b0", "us-east-1", ErrInvalidInput},
		"upper-case hash":     {t.Context(), "https://h/", strings.ToUpper(emptyHash), "us-east-1", ErrInvalidInput},
		"empty region":        {t.Context(), "https://h/", emptyHash, "", ErrInvalidInput},
		"region with slash":   {t.Context(), "https://h/", emptyHash, "us/east", ErrInvalidInput},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest(http.MethodPost, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(headerAuthorization, "stale")
			err = vectorIdentity(t, "p256").SignHTTP(tt.ctx, r, tt.hash, tt.region, vectorTime)
			if !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
			if r.Header.Get(headerAuthorization) != "" {
				t.Error("an Authorization header was left on an unsigned request")
			}
		})
	}
}

var errHSM = errors.New("the HSM is away")

type brokenSigner struct{ crypto.Signer }

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errHSM }

func TestSignHTTP_ReturnsTheKeysError(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	certificates, err := ParseCertificates(certificatePEM(selfSigned(t, leafTemplate(), key)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := NewIdentity(certificates, brokenSigner{key})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(http.MethodPost, "https://example.com/sessions", nil)
	err = id.SignHTTP(t.Context(), r, emptyHash, "us-east-1", vectorTime)
	if !errors.Is(err, errHSM) || r.Header.Get(headerAuthorization) != "" {
		t.Errorf("error = %v, Authorization = %q", err, r.Header.Get(headerAuthorization))
	}
}
