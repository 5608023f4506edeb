package s3conn

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// plainName is what a stored connection's name has to be: no key can leave its prefix or hide in a list.
var plainName = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\z`)

// FuzzConnectionName sends any path below the mount. A name that is accepted is one key in storage, serves under every
// path and leaves nothing behind; any other path is an answer, and stores nothing.
func FuzzConnectionName(f *testing.F) {
	for _, name := range []string{"orders", "a", "a.b-c_d", ".", "..", "../x", "a/b", "a/", "", "-a", "a-", "a\n",
		"a%2fb", "é", "a b", "A?x=1", strings.Repeat("n", 129)} {
		f.Add(name)
	}
	keys := map[string]any{"access_key": "AKIA", "secret_key": planted}
	f.Fuzz(func(t *testing.T, name string) {
		b, storage, log := fuzzMount(t)
		send := func(operation logical.Operation, path string, data map[string]any) *logical.Response {
			resp, err := b.HandleRequest(t.Context(),
				&logical.Request{Operation: operation, Path: path, Data: data, Storage: storage})
			known := []error{logical.ErrUnsupportedPath, logical.ErrUnsupportedOperation, logical.ErrInvalidRequest}
			if err != nil && !slices.ContainsFunc(known, func(one error) bool { return errors.Is(err, one) }) {
				t.Fatalf("%s of %q is a 500: %v", operation, path, err)
			}
			if err != nil {
				return nil
			}
			return resp
		}
		_, _, _ = b.HandleExistenceCheck(t.Context(),
			&logical.Request{Operation: logical.CreateOperation, Path: "config/" + name, Data: keys, Storage: storage})
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
