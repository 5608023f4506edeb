package s3conn

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
)

func TestConfigRead_ShowsFieldsAndNoSecrets(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields(with("region", "eu-west-1"),
		with("proxy_url", "http://user:pr0xypass@proxy.example:3128"),
		with("s3_path_style", "true")))
	got := m.read("config/reports").Data
	for name, want := range map[string]any{
		"name": "reports", "auth_type": "access_key", "region": "eu-west-1", "custom_region": "",
		"access_key":  "AKIAEXAMPLE",
		"s3_endpoint": "", "s3_region": "", "s3_path_style": true, "ca_cert": "",
		"proxy_url": "http://user:xxxxx@proxy.example:3128",
	} {
		if got[name] != want {
			t.Errorf("%s = %#v, want %#v", name, got[name], want)
		}
	}
	if len(got) != 16 {
		t.Errorf("a read of access keys shows %d fields, want 16: %v", len(got), got)
	}

	m.write("orders", rolesAnywhereFields(t))
	got = m.read("config/orders").Data
	for name, want := range map[string]any{
		"name": "orders", "session_name": "orders-api", "send_session_name": true, "duration": int64(3600),
		"extended_duration": false,
		"generate_lease":    true, "certificate_subject": "CN=p256,O=Lab", "certificate_issuer": "CN=Lab Root CA",
		"certificate_key_type": "ECDSA P-256", "certificate_not_after": "2027-11-23T09:26:49Z",
		"certificate_not_before":    "2026-11-23T09:26:49Z",
		"certificate_serial_number": "10:7a:0b:6f:03:2b:81:01:21:2e:47:9a:94:3d:0e:5f:3e:40:3a:20",
	} {
		if got[name] != want {
			t.Errorf("%s = %#v, want %#v", name, got[name], want)
		}
	}
	if fingerprint := got["certificate_sha256"].(string); len(fingerprint) != 64 {
		t.Errorf("certificate_sha256 = %q, want 64 hexadecimal digits", fingerprint)
	}
	for _, hidden := range []string{"private_key", "private_key_passphrase", "pkcs12", "certificate", "secret_key",
		"access_key",
		"verify_connection"} {
		if _, there := got[hidden]; there {
			t.Errorf("a read shows %s", hidden)
		}
	}
}

func TestConfigRead_MissingIsNotFound(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	if resp := m.read("config/nothing"); resp != nil {
		t.Errorf("reading a connection that is not there = %+v, want nil, which Vault answers with 404", resp)
	}
}

func TestConfigWrite_PartialUpdateKeepsTheRest(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t, with("duration", "30m")))
	for _, op := range []logical.Operation{logical.UpdateOperation, logical.PatchOperation} {
		m.must(op, "config/orders", with("role_arn", "arn:aws:iam::123456789012:role/path/other"))
		conn, err := loadConnection(t.Context(), m.storage, "orders")
		if err != nil {
			t.Fatal(err)
		}
		if conn.RoleARN != "arn:aws:iam::123456789012:role/path/other" || conn.Duration != 1800 ||
			conn.PrivateKey.Empty() || conn.Certificate == "" {
			t.Errorf("%s changed more than role_arn: %+v", op, conn.Settings)
		}
	}
}

func TestConfigWrite_EmptyValueClears(t *testing.T) {
	t.Parallel()
	for _, empty := range []any{"", nil} {
		m := newMount(t)
		m.write("orders", rolesAnywhereFields(t, with("duration", 1200), with("s3_endpoint", "https://store.example"),
			with("generate_lease", false), with("region", "us-east-1"), with("proxy_url", "http://proxy.example")))
		m.must(logical.PatchOperation, "config/orders", map[string]any{
			"duration": empty, "s3_endpoint": empty, "generate_lease": empty, "region": empty, "proxy_url": empty})
		got := m.read("config/orders").Data
		for name, want := range map[string]any{"duration": int64(3600), "s3_endpoint": "", "generate_lease": true,
			"region": "us-east-1", "proxy_url": ""} {
			if got[name] != want {
				t.Errorf("after clearing with %#v: %s = %#v, want its default %#v", empty, name, got[name], want)
			}
		}
		if text := m.refused(logical.PatchOperation, "config/orders", with("role_arn", empty)); !strings.Contains(text,
			"role_arn: is required") {
			t.Errorf("clearing a required field: %s", text)
		}
	}
}

func TestConfigWrite_ChangingAuthTypeDropsTheOther(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	m.write("orders", accessKeyFields(with("auth_type", connection.AuthAccessKey)))
	if stored := m.stored("orders"); strings.Contains(stored, "PRIVATE KEY") || strings.Contains(stored, "profile/") {
		t.Errorf("the fields of roles_anywhere are still stored: %s", stored)
	}
	fields := rolesAnywhereFields(t)
	m.write("orders", fields)
	if stored := m.stored("orders"); strings.Contains(stored, "AKIAEXAMPLE") || strings.Contains(stored, "sEcReT") {
		t.Errorf("the fields of access_key are still stored: %s", stored)
	}
}

func TestConfigWrite_StoresTheKeyInPlainPKCS8AndNoPassphrase(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t, with("certificate",
		"Bag Attributes\n friendlyName: CANARY\n"+vector(t, "p256.pem"))))
	stored := m.stored("orders") + m.storedIdentity("orders")
	if strings.Contains(stored, "CANARY") {
		t.Error("text around the certificate was stored")
	}
	if !strings.Contains(stored, "BEGIN PRIVATE KEY") {
		t.Errorf("the key is not stored as PKCS#8: %s", stored)
	}
}

func TestConfigPatch_MissingConnectionIsNamed(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	text := m.refused(logical.PatchOperation, "config/nothing", accessKeyFields())
	if !strings.Contains(text, `"nothing"`) {
		t.Errorf("the error does not name the connection: %s", text)
	}
	if m.stored("nothing") != "" {
		t.Error("a patch created the connection")
	}
}

func TestConfigWrite_RevisionDiffersEvenAfterDelete(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	seen := map[string]bool{}
	for range 3 {
		m.write("reports", accessKeyFields())
		conn, err := loadConnection(t.Context(), m.storage, "reports")
		if err != nil {
			t.Fatal(err)
		}
		if seen[conn.Revision] {
			t.Errorf("revision %q was used twice", conn.Revision)
		}
		seen[conn.Revision] = true
		m.must(logical.DeleteOperation, "config/reports", nil)
	}
}

func TestConfigWrite_ConcurrentPatchesAreAllKept(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	var wg sync.WaitGroup
	for name, value := range map[string]any{"region": "eu-west-1", "s3_region": "garage", "s3_path_style": true,
		"s3_endpoint": "https://s3.example"} {
		wg.Go(func() {
			for {
				_, err := m.do(t.Context(), logical.PatchOperation, "config/reports", with(name, value))
				var coded logical.HTTPCodedError
				if errors.As(err, &coded) && coded.Code() == 409 {
					continue
				}
				if err != nil {
					t.Errorf("patching %s: %v", name, err)
				}
				return
			}
		})
	}
	wg.Wait()
	got := m.read("config/reports").Data
	for name, want := range map[string]any{"region": "eu-west-1", "s3_region": "garage", "s3_path_style": true,
		"s3_endpoint": "https://s3.example"} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v: a concurrent patch was lost", name, got[name], want)
		}
	}
}

func TestConfigDelete_IsIdempotent(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	for range 2 {
		m.must(logical.DeleteOperation, "config/reports", nil)
	}
	if m.stored("reports") != "" {
		t.Error("the connection is still stored")
	}
}

func TestConfig_StorageFailuresAreNotTheCallersFault(t *testing.T) {
	t.Parallel()
	readOnly := errors.New("rpc error: code = Unknown desc = " + logical.ErrReadOnly.Error())
	for _, test := range []struct {
		fails string
		op    logical.Operation
		path  string
		data  map[string]any
	}{
		{"get", logical.ReadOperation, "config/reports", nil},
		{"get", logical.PatchOperation, "config/reports", with("region", "eu-west-1")},
		{"put", logical.PatchOperation, "config/reports", with("region", "eu-west-1")},
		{"list", logical.ListOperation, "config/", nil},
		{"get", logical.ListOperation, "config/", nil},
		{"delete", logical.DeleteOperation, "config/reports", nil},
		{"get", logical.ReadOperation, "creds/reports", nil},
		{"get", logical.UpdateOperation, "test/reports", nil},
	} {
		for _, failure := range []error{errStorage, readOnly} {
			m := newMount(t)
			m.write("reports", accessKeyFields())
			before := m.stored("reports")
			m.storage.breakOn(failure, test.fails)
			resp, err := m.do(t.Context(), test.op, test.path, test.data)
			if !errors.Is(err, failure) || !strings.Contains(err.Error(), failure.Error()) {
				t.Errorf("%s %s with a storage that fails to %s = %+v, %v; want the storage's error with its words",
					test.op, test.path, test.fails, resp, err)
			}
			m.storage.breakOn(nil)
			if m.stored("reports") != before {
				t.Errorf("%s %s changed what was stored although it failed", test.op, test.path)
			}
		}
	}
}

func TestConfigWrite_CancelledRequestStoresNothing(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.do(ctx, logical.UpdateOperation, "config/reports", accessKeyFields()); !errors.Is(err,
		context.Canceled) {
		t.Errorf("error = %v, want the cancellation", err)
	}
	if m.stored("reports") != "" {
		t.Error("a cancelled write was stored")
	}
}
