package harness

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// provisioner is the name of step-ca's one provisioner, whose key signs one-time tokens.
const provisioner = "acceptance"

// StepCA is a real step-ca.
type StepCA struct {
	t    testing.TB
	port int
	dir  string
	ca   *IssuingCA
	key  *ecdsa.PrivateKey // the provisioner's
	proc *process
}

// StartStepCA starts a step-ca that signs with the CA. Its certificates live for the lifetime, 5 minutes at least.
func StartStepCA(t testing.TB, ca *IssuingCA, lifetime time.Duration) *StepCA {
	t.Helper()
	s := &StepCA{t: t, port: FreePort(t), dir: t.TempDir(), ca: ca, key: newKey(t)}
	ca.write(t, s.dir)
	config, err := json.Marshal(map[string]any{
		"root": filepath.Join(s.dir, caFile), "crt": filepath.Join(s.dir, issuingCertFile), "key": filepath.Join(s.dir,
			issuingKeyFile),
		"address": fmt.Sprintf("127.0.0.1:%d", s.port), "dnsNames": []string{"localhost"},
		"logger": map[string]any{"format": "text"},
		"db":     map[string]any{"type": "badgerv2", "dataSource": filepath.Join(s.dir, "db")}, // remembers used tokens
		"authority": map[string]any{"provisioners": []any{map[string]any{
			"type": "JWK", "name": provisioner, "key": s.publicKey(),
			"claims": map[string]any{
				"minTLSCertDuration": "1m", "defaultTLSCertDuration": lifetime.String(), "maxTLSCertDuration": "24h",
			},
		}}},
		"tls": map[string]any{"minVersion": 1.2, "maxVersion": 1.3},
	})
	if err != nil {
		t.Fatalf("encoding step-ca's configuration: %v", err)
	}
	configFile := filepath.Join(s.dir, "ca.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatalf("writing step-ca's configuration: %v", err)
	}
	s.proc = startProcess(t, processSpec{
		name: "step-ca", path: mustBinary(t, stepCABinary), args: []string{configFile},
		env: cleanEnv(s.dir, "STEPPATH="+s.dir), logPath: filepath.Join(s.dir, "step-ca.log"),
	})
	waitFor(t, "step-ca", s.ready, s.proc)
	return s
}

// Address is the server's, without a path.
func (s *StepCA) Address() string { return fmt.Sprintf("https://localhost:%d", s.port) }

// Log is what the server has logged.
func (s *StepCA) Log() string { return readLog(s.t, s.proc) }

// Kill ends the server at once.
func (s *StepCA) Kill() {
	s.t.Helper()
	s.proc.kill(s.t)
}

func (s *StepCA) ready(ctx context.Context) error { return answers(ctx, s.ca, s.Address()+"/health") }

// Token returns a one-time token for a certificate of the name: a JWT of the provisioner.
// https://smallstep.com/docs/step-ca/provisioners/#jwk
func (s *StepCA) Token(commonName string) string {
	s.t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": provisioner, "aud": s.Address() + "/1.0/sign", "sub": commonName, "sans": []string{commonName},
		"jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	signed := s.segment(map[string]any{"alg": "ES256", "typ": "JWT", "kid": provisioner}) + "." + s.segment(claims)
	digest := sha256.Sum256([]byte(signed))
	r, sig, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		s.t.Fatalf("signing a one-time token: %v", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(fixed(r), fixed(sig)...))
}

func (s *StepCA) segment(value any) string {
	s.t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		s.t.Fatalf("encoding a one-time token: %v", err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// publicKey is the provisioner's key as a JSON Web Key.
func (s *StepCA) publicKey() map[string]any {
	encoded, err := s.key.PublicKey.Bytes() // 4, then the coordinates
	if err != nil {
		s.t.Fatalf("encoding the provisioner's key: %v", err)
	}
	return map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": provisioner,
		"x": base64.RawURLEncoding.EncodeToString(encoded[1:33]),
		"y": base64.RawURLEncoding.EncodeToString(encoded[33:]),
	}
}

// fixed writes a number in 32 bytes.
func fixed(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }
