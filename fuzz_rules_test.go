package s3conn

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// FuzzARNs holds any three ARNs and a custom region against each other. What is accepted is checked again without
// patterns or a parser; a refusal is short and has nothing in it that would spoil a terminal or a log.
func FuzzARNs(f *testing.F) {
	const profile, anchor = "profile/11111111-2222-3333-4444-555555555555", "trust-anchor/66666666-7777-8888-9999-aaaaaaaaaaaa"
	for _, of := range []struct{ partition, region string }{{"aws", "us-east-1"}, {"aws-cn", "cn-north-1"}, {"aws-us-gov", "us-gov-west-1"}, {"aws-x", "x-1"}} {
		prefix := "arn:" + of.partition + ":rolesanywhere:" + of.region + ":123456789012:"
		f.Add(prefix+profile, "arn:"+of.partition+":iam::123456789012:role/path/orders", prefix+anchor, of.region)
	}
	// A custom region says nothing of its partition; the three have to agree all the same.
	f.Add("arn:aws:rolesanywhere:x-1:123456789012:"+profile, "arn:aws-cn:iam::123456789012:role/orders", "arn:aws:rolesanywhere:x-1:123456789012:"+anchor, "x-1")
	good := [3]string{"arn:aws:rolesanywhere:us-east-1:123456789012:" + profile, "arn:aws:iam::123456789012:role/orders",
		"arn:aws:rolesanywhere:us-east-1:123456789012:" + anchor}
	for _, wrong := range []struct{ old, new string }{
		{"123456789012", "999999999999"}, {"123456789012", "12345678901x"}, {"123456789012", ""}, {"arn:aws:", "arn:aws-cn:"}, {"us-east-1", "us-east-2"},
		{"iam::", "iam:us-east-1:"}, {"rolesanywhere", "s3"}, {"iam", "sts"}, {"/", "\n/"}, {":", ""}, {"role/", "role/\x1b[31m"}, {"profile/", "crl/"},
	} {
		for i := range good {
			one := good
			one[i] = strings.Replace(one[i], wrong.old, wrong.new, 1)
			f.Add(one[0], one[1], one[2], "")
			one[i] = good[i] + wrong.new
			f.Add(one[0], one[1], one[2], "us-east-1")
		}
	}
	f.Fuzz(func(t *testing.T, profileARN, roleARN, anchorARN, region string) {
		conn := newConnection()
		conn.AuthType, conn.CustomRegion = authRolesAnywhere, region
		conn.ProfileARN, conn.RoleARN, conn.TrustAnchorARN = profileARN, roleARN, anchorARN
		p := &problem.List{}
		checkRegion(p, &conn)
		checkARNs(p, &conn)
		if err := p.Err("checking", ""); err != nil {
			// Nothing is quoted with more than a hundred bytes, and an escaped one takes up to ten.
			if text := err.Error(); len(text) > 8000 || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Fatalf("the refusal is %d bytes long: %q", len(text), text)
			}
			return
		}
		var accounts, partitions []string
		for _, one := range []struct{ arn, service, region, resource string }{
			{profileARN, "rolesanywhere", conn.region(), "profile/"},
			{roleARN, "iam", "", "role/"},
			{anchorARN, "rolesanywhere", conn.region(), "trust-anchor/"},
		} {
			parts := strings.SplitN(one.arn, ":", 6)
			if len(parts) != 6 || parts[0] != "arn" || parts[2] != one.service || parts[3] != one.region || !strings.HasPrefix(parts[5], one.resource) {
				t.Fatalf("%q is accepted for a %s in region %q", one.arn, one.resource, one.region)
			}
			if strings.ContainsFunc(one.arn, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%q is accepted", one.arn)
			}
			partitions, accounts = append(partitions, parts[1]), append(accounts, parts[4])
		}
		if len(slices.Compact(accounts)) != 1 || len(accounts[0]) != 12 || strings.Trim(accounts[0], "0123456789") != "" {
			t.Errorf("the accounts %q are accepted", accounts)
		}
		if len(slices.Compact(partitions)) != 1 {
			t.Errorf("the partitions %q are accepted", partitions)
		}
	})
}

// plainName is what a stored connection's name has to be: no key can leave its prefix or hide in a list.
var plainName = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z`)

// FuzzConnectionName sends any path below the mount. A name that is accepted is one key in storage, serves under every
// path and leaves nothing behind; any other path is an answer, and stores nothing.
func FuzzConnectionName(f *testing.F) {
	for _, name := range []string{"orders", "a", "a.b-c_d", ".", "..", "../x", "a/b", "a/", "", "-a", "a-", "a\n", "a%2fb", "é", "a b", "A?x=1", strings.Repeat("n", 129)} {
		f.Add(name)
	}
	keys := map[string]any{"access_key": "AKIA", "secret_key": planted}
	f.Fuzz(func(t *testing.T, name string) {
		b, storage, log := fuzzMount(t)
		send := func(operation logical.Operation, path string, data map[string]any) *logical.Response {
			resp, err := b.HandleRequest(t.Context(), &logical.Request{Operation: operation, Path: path, Data: data, Storage: storage})
			known := []error{logical.ErrUnsupportedPath, logical.ErrUnsupportedOperation, logical.ErrInvalidRequest}
			if err != nil && !slices.ContainsFunc(known, func(one error) bool { return errors.Is(err, one) }) {
				t.Fatalf("%s of %q is a 500: %v", operation, path, err)
			}
			if err != nil {
				return nil
			}
			return resp
		}
		_, _, _ = b.HandleExistenceCheck(t.Context(), &logical.Request{Operation: logical.CreateOperation, Path: "config/" + name, Data: keys, Storage: storage})
		send(logical.CreateOperation, "config/"+name, keys)
		stored := storedKeys(t, storage)
		for _, path := range []string{"creds/", "sdk/", "config/"} {
			resp := send(logical.ReadOperation, path+name, nil)
			if found := len(stored) == 1; found && (resp == nil || resp.IsError()) {
				t.Fatalf("%s%s is stored and does not serve: %v", path, name, resp)
			}
		}
		if len(stored) > 0 && (len(stored) > 1 || stored[0] != configPrefix+name || !plainName.MatchString(name)) {
			t.Fatalf("the name %q became the keys %q", name, stored)
		}
		send(logical.DeleteOperation, "config/"+name, nil)
		if left := storedKeys(t, storage); len(left) > 0 {
			t.Errorf("after the delete %q is left", left)
		}
		if strings.Contains(log.String(), planted) {
			t.Errorf("a secret is in the log: %s", log)
		}
	})
}

func storedKeys(t *testing.T, storage logical.Storage) []string {
	t.Helper()
	keys, err := logical.CollectKeys(context.WithoutCancel(t.Context()), storage)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
