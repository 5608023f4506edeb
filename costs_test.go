package s3conn

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
)

// encryptedFields is a connection whose private key is encrypted.
func encryptedFields(t *testing.T) map[string]any {
	t.Helper()
	return rolesAnywhereFields(t, with("private_key", vector(t, "keys/scrypt.pem")),
		with("private_key_passphrase", "correct horse"))
}

func TestCosts_EncryptedKeysAreOpenedOneAtATime(t *testing.T) {
	t.Parallel()
	for path, patience := range map[string]time.Duration{
		"config/x": maxRequestWait - derivationTime,
		"test":     maxProbeWait - derivationTime,
	} {
		loneSessionTest(t, func(t *testing.T, m *mount, _ *service) {
			leave, err := m.costs.derivations.Enter(t.Context()) // another request's key is being opened
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			resp, err := m.do(t.Context(), logical.UpdateOperation, path, encryptedFields(t))
			status, text := asVaultSeesIt(t, resp, err)
			if status != http.StatusServiceUnavailable || !strings.Contains(text, "one at a time; nothing was") {
				t.Errorf("%s is answered with %d: %s", path, status, text)
			}
			if waited := time.Since(start); waited != patience {
				t.Errorf("%s waited for %s, want %s", path, waited, patience)
			}
			if stored := storedKeys(t, m.storage); len(stored) > 0 {
				t.Errorf("%s stored %v", path, stored)
			}
			leave()
			m.write("x", encryptedFields(t))
		})
	}
}

func TestCosts_PKCS12FilesWithoutPassphraseAreOpenedOneAtATimeToo(t *testing.T) {
	t.Parallel()
	file := base64.StdEncoding.EncodeToString([]byte(vector(t, "../pkcs12/testdata/empty.p12")))
	loneSessionTest(t, func(t *testing.T, m *mount, _ *service) {
		leave, err := m.costs.derivations.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fields := rolesAnywhereFields(t, with("certificate", absent), with("private_key", absent), with("pkcs12", file))
		resp, err := m.do(t.Context(), logical.UpdateOperation, "config/x", fields)
		status, text := asVaultSeesIt(t, resp, err)
		if status != http.StatusServiceUnavailable || !strings.Contains(text, "one at a time; nothing was changed") {
			t.Errorf("answered with %d: %s", status, text)
		}
		leave()
		m.write("x", fields)
		if subject := m.read("config/x").Data["certificate_subject"]; subject != "CN=p256,O=Lab" {
			t.Errorf("the certificate that was stored is of %v", subject)
		}
	})
}

func TestCosts_WaitForAKeyEndsWithTheCaller(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		leave, err := m.costs.derivations.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err = m.do(ctx, logical.UpdateOperation, "config/x", encryptedFields(t))
		if err == nil || time.Since(start) != time.Second {
			t.Errorf("ended with %v after %s, want an error after 1 s", err, time.Since(start))
		}
		leave()
		m.write("x", encryptedFields(t))
	})
}

func TestCosts_PrivateKeysAreMadeAFewAtATime(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.write("orders", rolesAnywhereFields(t))
		m.must(logical.UpdateOperation, "identity/orders/issuer",
			map[string]any{"type": "step_ca", "address": "https://ca"})
		before := m.storedIdentity("orders")
		var leave []func()
		for range maxKeys { // requests for keys of RSA, for one
			one, err := m.costs.keys.Enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, one)
		}
		start := time.Now()
		resp, err := m.do(t.Context(), logical.UpdateOperation, "identity/orders/csr", nil)
		status, text := asVaultSeesIt(t, resp, err)
		if status != http.StatusServiceUnavailable ||
			!strings.Contains(text, "a few at a time; no key was made; try again") {
			t.Errorf("answered with %d: %s", status, text)
		}
		if waited := time.Since(start); waited != maxRequestWait-makingTime {
			t.Errorf("waited for %s, want %s", waited, maxRequestWait-makingTime)
		}
		if m.storedIdentity("orders") != before {
			t.Error("the identity has changed")
		}
		resp, err = m.do(t.Context(), logical.UpdateOperation, "identity/orders/renew", nil)
		if status, text = asVaultSeesIt(t, resp, err); status != http.StatusServiceUnavailable ||
			!strings.Contains(text, "making a private key: others are being made") {
			t.Errorf("a renewal is answered with %d: %s", status, text)
		}
		leave[0]()
		if resp := m.must(logical.UpdateOperation, "identity/orders/csr", nil); resp.Data["csr"] == "" {
			t.Error("no request was made when there was a turn")
		}
	})
}

func TestCosts_KeysInTheClearWaitForNobody(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	leave, err := m.costs.derivations.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	m.write("x", rolesAnywhereFields(t))
	m.write("y", accessKeyFields())
}

func TestCosts_MountsOfAProcessShareThem(t *testing.T) {
	t.Parallel()
	factory := newFactory(atTestTime, newTurns(t))
	var first *costs
	for range 2 {
		made, err := factory(t.Context(), logical.TestBackendConfig())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { made.Cleanup(context.Background()) })
		b := made.(*backend)
		if first == nil {
			first = b.costs
		} else if b.costs != first {
			t.Error("two mounts have bounds of their own")
		}
	}
}

func TestCosts_ALargeListThatFoundNoTurnMayBeRepeated(t *testing.T) {
	t.Parallel()
	resp, err := errorResponse(describeListBuckets(awscall.ErrBusy))
	status, text := asVaultSeesIt(t, resp, err)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "other large responses were being read") {
		t.Errorf("answered with %d: %s, want a 503 that says why", status, text)
	}
}
