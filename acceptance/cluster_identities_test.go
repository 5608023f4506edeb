package acceptance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// clusterTemplates has two users read a scope that is rendered by user.
func clusterTemplates(t *testing.T, c *clusterStack) {
	s := c.at(t, c.leader)
	s.write("config/teams", s.rootFields())
	s.write("scopes/teams/own", map[string]any{"buckets": bucketName, "prefixes": "users/{{identity.entity.name}}/",
		"generate_lease": false, "session_name": "own"})
	tokens := s.users("alice", "bob")
	keys := map[string]string{}
	for user, token := range tokens {
		for i, via := range c.each(t) {
			for _, path := range []string{"creds/teams/own", "sdk/teams/own"} {
				raw := newRawVault(t, via.vault)
				raw.token = token
				got, err := raw.ask(t.Context(), http.MethodGet, "s3conn/"+path, "").vended()
				switch before := keys[user]; {
				case err != nil:
					t.Errorf("%s reads %s on node %d: %v", user, path, i, err)
				case before != "" && before != got.accessKey:
					t.Errorf("%s got another session on node %d", user, i)
				}
				keys[user] = got.accessKey
			}
		}
	}
	if keys["alice"] == keys["bob"] {
		t.Error("two users share a session")
	}
	if c.answers {
		c.inlineAuth(t, "alice", keys["alice"])
	}
}

// inlineAuth reads with a login in the request itself, which OpenBao knows and which makes no token.
func (c *clusterStack) inlineAuth(t *testing.T, user, want string) {
	password, err := json.Marshal(map[string]any{"key": "password", "value": passwordOf(user)})
	if err != nil {
		t.Fatal(err)
	}
	login := http.Header{"X-Vault-Inline-Auth-Path": {"auth/userpass/login/" + user},
		"X-Vault-Inline-Auth-Parameter-1": {base64.RawURLEncoding.EncodeToString(password)}}
	for i, via := range c.each(t) {
		raw := newRawVault(t, via.vault)
		raw.token, raw.extra = "", login
		got, err := raw.ask(t.Context(), http.MethodGet, "s3conn/creds/teams/own", "").vended()
		if err != nil || got.accessKey != want {
			t.Errorf("with inline authentication node %d answers %q, %v; want %q", i, got.accessKey, err, want)
		}
	}
}

// clusterNamespaces has a mount in a namespace beside the one in the root namespace.
func clusterNamespaces(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	s.mustWrite("sys/namespaces/team-a", map[string]any{})
	s.write("config/tenant", s.fields(map[string]any{"session_name": "of-the-root"}))
	s.api.SetNamespace("team-a")
	if err := s.api.Sys().MountWithContext(t.Context(), "s3conn", &api.MountInput{Type: pluginName}); err != nil {
		t.Fatalf("mounting in a namespace: %v", err)
	}
	s.write("config/tenant", s.fields(map[string]any{"session_name": "of-team-a"}))
	for i, via := range c.each(t) {
		root := via.read("creds/tenant").Data["arn"].(string)
		via.api.SetNamespace("team-a")
		tenant := via.readSoon(via.api, "creds/tenant")
		arn := tenant.Data["arn"].(string)
		if !strings.HasSuffix(root, "/of-the-root") || !strings.HasSuffix(arn, "/of-team-a") {
			t.Errorf("node %d answers for %q in the root namespace, for %q in the other", i, root, arn)
		}
		if err := via.api.Sys().RevokeWithContext(t.Context(), tenant.LeaseID); err != nil {
			t.Errorf("revoking a lease of a namespace: %v", err)
		}
		// The namespace is a part of the path for SDKs, which send no header of Vault's.
		status, _, body := (&stack{t: t, vault: via.vault}).getPath(via.vault.Token(), "team-a/s3conn/sdk/tenant")
		if status != http.StatusOK || !strings.Contains(body, "AccessKeyId") {
			t.Errorf("sdk/ in a namespace on node %d is HTTP %d: %s", i, status, body)
		}
	}
	s.assertCalls("a connection in each of two namespaces", 2)
}

func passwordOf(user string) string { return "password-of-" + user }

// users makes users with an entity each, and returns their tokens.
func (s *stack) users(names ...string) map[string]string {
	s.t.Helper()
	ctx, sys := s.t.Context(), s.api.Sys()
	policy := `path "s3conn/*" { capabilities = ["read", "update"] }`
	if err := sys.PutPolicyWithContext(ctx, "reader", policy); err != nil {
		s.t.Fatal(err)
	}
	err := sys.EnableAuthWithOptionsWithContext(ctx, "userpass", &api.EnableAuthOptions{Type: "userpass"})
	if err != nil {
		s.t.Fatal(err)
	}
	mounts, err := sys.ListAuthWithContext(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	tokens := map[string]string{}
	for _, name := range names {
		entity := s.mustWrite("identity/entity", map[string]any{"name": name})
		s.mustWrite("identity/entity-alias", map[string]any{"name": name, "canonical_id": entity.Data["id"],
			"mount_accessor": mounts["userpass/"].Accessor})
		password := passwordOf(name)
		s.mustWrite("auth/userpass/users/"+name, map[string]any{"password": password, "token_policies": "reader"})
		login := s.mustWrite("auth/userpass/login/"+name, map[string]any{"password": password})
		tokens[name] = login.Auth.ClientToken
	}
	return tokens
}

// mustWrite writes a path outside of the mount.
func (s *stack) mustWrite(path string, data map[string]any) *api.Secret {
	s.t.Helper()
	written, err := s.api.Logical().WriteWithContext(s.t.Context(), path, data)
	if err != nil {
		s.t.Fatalf("writing %s: %v", path, err)
	}
	return written
}
