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
