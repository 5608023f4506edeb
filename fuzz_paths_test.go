package s3conn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// furnishedMount is a fuzzMount with connections of every kind, a scope and an issuer. Whoever it calls refuses.
func furnishedMount(t *testing.T) (b *backend, storage logical.Storage, log *lockedBuffer) {
	t.Helper()
	b, storage, log = fuzzMount(t)
	refusal := upstream.Describe("Call", &awscall.Refusal{Status: 403, Code: "AccessDenied"})
	b.obtain = func(context.Context, *connection.Connection, budget.Lane) (session.Session, error) {
		return session.Session{}, refusal
	}
	b.assume = func(context.Context, *connection.Connection, session.Session, *scope.Rendered, budget.Lane) (
		session.Session, error,
	) {
		return session.Session{}, refusal
	}
	b.iam = func(*connection.Connection) rotation.IAM { return refusingIAM{refusal} }
	b.newIssuer = func(enroll.Settings) (enroll.Issuer, error) { return nil, enroll.ErrUnusableAnswer }
	for _, one := range []struct {
		path string
		data map[string]any
	}{
		{"config/keys", accessKeyFields()},
		{"config/orders", rolesAnywhereFields(t)},
		{"config/bare", rolesAnywhereFields(t, with("certificate", absent), with("private_key", absent))},
		{"scopes/keys/narrow", map[string]any{"buckets": "ledger", "prefixes": "a/", "access": "read,write",
			"role_arn": "arn:aws:iam::123456789012:role/x"}},
		{"identity/orders/issuer", map[string]any{"type": "est", "address": "https://ca.example"}},
	} {
		operation := logical.CreateOperation
		if strings.HasPrefix(one.path, identityPrefix) {
			operation = logical.UpdateOperation
		}
		req := &logical.Request{Operation: operation, Path: one.path, Data: one.data, Storage: storage}
		if resp, err := b.HandleRequest(t.Context(), req); err != nil || resp.IsError() {
			t.Fatalf("%s: %v, %v", one.path, resp, err)
		}
	}
	return b, storage, log
}

// refusingIAM refuses every call.
type refusingIAM struct{ err error }

func (i refusingIAM) Check(context.Context, rotation.Key) error { return i.err }

func (i refusingIAM) List(context.Context, rotation.Key) (rotation.Listing, error) {
	return rotation.Listing{}, i.err
}

func (i refusingIAM) Create(context.Context, rotation.Key) (rotation.Key, error) {
	return rotation.Key{}, i.err
}

func (i refusingIAM) Deactivate(context.Context, rotation.Key, string) error { return i.err }

func (i refusingIAM) Delete(context.Context, rotation.Key, string) error { return i.err }

func (i refusingIAM) Accepted(context.Context, rotation.Key) (bool, error) { return false, i.err }

// fuzzWrites sends any JSON object to the paths, as it comes from Vault: the answer is never a 500, nothing panics, and
// no secret is repeated.
func fuzzWrites(f *testing.F, paths []string, bodies ...string) {
	for _, body := range append(bodies, `{}`, `{"unknown":1}`, `null`) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.UseNumber() // as Vault does
		var fields map[string]any
		if decoder.Decode(&fields) != nil {
			t.Skip("Vault itself refuses it")
		}
		delete(fields, "name") // Vault takes them from the path
		delete(fields, "scope")
		b, storage, log := furnishedMount(t)
		for _, path := range paths {
			for _, operation := range []logical.Operation{logical.CreateOperation, logical.UpdateOperation,
				logical.PatchOperation, logical.ReadOperation} {
				req := &logical.Request{Operation: operation, Path: path, Data: fields, Storage: storage}
				resp, err := asVaultSends(t, b, req)
				if err != nil {
					t.Fatalf("%s of %s is a 500: %v", operation, path, err)
				}
				if shown := shownSecret(resp, log, fields); shown != "" {
					t.Errorf("%s of %s shows a secret: %s", operation, path, shown)
				}
			}
		}
	})
}

// asVaultSends handles a request as Vault does, the existence check first. The error is one that makes a 500.
func asVaultSends(t *testing.T, b *backend, req *logical.Request) (*logical.Response, error) {
	t.Helper()
	if req.Operation == logical.CreateOperation || req.Operation == logical.UpdateOperation {
		check := *req
		if _, _, err := b.HandleExistenceCheck(t.Context(), &check); err != nil {
			return nil, err
		}
	}
	resp, err := b.HandleRequest(t.Context(), req)
	var coded logical.HTTPCodedError
	if errors.Is(err, logical.ErrUnsupportedOperation) || errors.As(err, &coded) && coded.Code() != 500 {
		return nil, nil
	}
	return resp, err
}

func FuzzScopeWrite(f *testing.F) {
	fuzzWrites(f, []string{"scopes/keys/new", "scopes/keys/narrow", "scopes/orders/new"},
		`{"buckets":"ledger","prefixes":["a/","b*?$"],"access":"list,read,write,delete",`+
			`"role_arn":"arn:aws:iam::123456789012:role/x"}`,
		`{"policy":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}]}",`+
			`"duration":"1h"}`,
		`{"buckets":["b-1"],"prefixes":"{{identity.entity.id}}/","session_name":"{{identity.entity.name}}",`+
			`"session_tags":{"a":"{{identity.entity.metadata.x}}"}}`,
		`{"buckets":"b-1","kms_key_arns":"arn:aws:kms:us-east-1:123456789012:key/1",`+
			`"source_cidrs":"10.0.0.0/8","source_vpc_endpoints":"vpce-1","transitive_tag_keys":"a",`+
			`"external_id":"x","source_identity":"y","generate_lease":"f"}`,
		`{"buckets":{"a":1},"prefixes":[1],"access":[""],"duration":{},"session_tags":"a"}`,
	)
}

func FuzzPresignRequest(f *testing.F) {
	fuzzWrites(f, []string{"presign/keys", "presign/keys/narrow", "presign/orders", "presign/none"},
		`{"bucket":"ledger","key":"a/b c.txt"}`,
		`{"bucket":"ledger","key":"a/%2e%2e/é","method":"PUT","expires":60,"content_type":"text/plain",`+
			`"checksum_sha256":"AAAA","content_length":5}`,
		`{"bucket":"ledger","key":"../x","method":"delete","version_id":"v","content_disposition":"x\ny",`+
			`"expires":"8d"}`,
		`{"bucket":["x"],"key":{"a":1},"method":7,"expires":-1,"content_length":1e30}`,
	)
}

func FuzzIdentityWrite(f *testing.F) {
	fuzzWrites(f, []string{"identity/orders/csr", "identity/bare/csr", "identity/bare/certificate",
		"identity/orders/certificate", "identity/keys/csr", "identity/orders/renew", "identity/bare/renew"},
		`{"key_type":"ec-p384","common_name":"x","organization":["a","b"],"country":"DE",`+
			`"dns_sans":"a.example","uri_sans":"spiffe://x/y"}`,
		`{"new_key":true,"common_name":"","uri_sans":[":"]}`,
		`{"certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----","verify":false}`,
		`{"token":"CANARY"}`, `{"username":["CANARY"],"password":{"a":"CANARY"}}`, `{"username":"u",`+
			`"password":"CANARY"}`,
	)
}

func FuzzIssuerWrite(f *testing.F) {
	fuzzWrites(f, []string{"identity/orders/issuer", "identity/bare/issuer", "identity/keys/issuer"},
		`{"type":"vault_pki","address":"https://vault.example:8200","pki_path":"pki","pki_role":"r",`+
			`"cert_auth_role":"c","namespace":"n","ttl":"24h"}`,
		`{"type":"est","address":"https://ca.example","label":"l","renew_before":"1h","key":"same",`+
			`"proxy_url":"http://u:CANARY@proxy"}`,
		`{"type":"step_ca","address":"http://127.0.0.1","ca_cert":"x","common_name":"y","dns_sans":[1]}`,
		`{"type":["est"],"address":{},"renew_before":-1,"proxy_url":["CANARY"]}`,
	)
}

// FuzzStoredEntries puts anything in the place of every other stored entry: what reads it answers, with words that do
// not quote it, and does not panic.
func FuzzStoredEntries(f *testing.F) {
	for _, entry := range []string{
		`{"version":1,"revision":"r","buckets":["b"],"prefixes":["CANARY"],"access":["read"]}`,
		`{"version":1,"revision":"r","policy":"{"}`,
		`{"version":1,"id":"IDENTITY","current":{"certificate":"CANARY","private_key":"CANARY"},"record":{}}`,
		`{"version":1,"id":"IDENTITY","waiting":{"key_type":"x","private_key":"CANARY"},` +
			`"issuer":{"type":"x"},"renewal":{"private_key":"CANARY"}}`,
		`{"version":1,"phase":"grace","old_access_key":"AKIA","old_secret_key":"CANARY",` +
			`"until":"2026-11-23T12:00:00Z"}`,
		`{"version":9}`, `null`, `{`, ``,
	} {
		f.Add([]byte(entry))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		b, storage, log := furnishedMount(t)
		for _, key := range []string{"scope/keys/narrow", "identity/orders", "identity/bare", "rotation/keys",
			"session/orders", "session/keys/narrow"} {
			value := entry
			if conn, err := loadConfig(t.Context(), storage, strings.TrimPrefix(key, identityPrefix)); err == nil &&
				conn != nil { // one of another id is taken for what a deleted connection has left
				value = bytes.ReplaceAll(entry, []byte("IDENTITY"), []byte(conn.IdentityID))
			}
			if err := storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: value}); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{"scopes/keys/narrow", "scopes/keys/", "creds/keys/narrow", "sdk/keys/narrow",
			"creds/orders", "creds/keys", "config/orders", "identity/orders", "identity/bare", "status/orders",
			"status/keys", "status/", "status", "config/"} {
			var operation logical.Operation = logical.ReadOperation
			if strings.HasSuffix(path, "/") {
				operation = logical.ListOperation
			}
			req := &logical.Request{Operation: operation, Path: path, Storage: storage}
			_, err := b.HandleRequest(t.Context(), req)
			if err != nil && (strings.Contains(err.Error(), "a defect of this plugin") ||
				strings.Contains(err.Error(), planted)) {
				t.Fatalf("%s of %s: %v", operation, path, err)
			}
		}
		if err := b.findJobs(); errors.Is(err, errPanicked) {
			t.Fatalf("looking for jobs: %v", log)
		}
		if strings.Contains(log.String(), planted) && !strings.Contains(string(entry), "prefixes") {
			t.Errorf("the log repeats it: %s", log)
		}
	})
}
