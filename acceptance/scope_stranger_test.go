package acceptance

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

// A token that may read one scope gets nothing else by writing its path differently.
func TestScope_NoSpellingOfAPathLeadsElsewhere(t *testing.T) {
	t.Parallel()
	s := newChainStack(t, 0)
	s.write("config/orders", s.fields(nil))
	for _, name := range []string{"reports", "ledgers"} {
		s.write("scopes/orders/"+name, map[string]any{"buckets": bucketName, "prefixes": name + "/"})
	}
	token := s.token("scope.hcl")
	own := credentialsOf(s.read("creds/orders/reports"))
	for _, path := range []string{
		"creds/orders/reports/", "creds/orders/reports/x", "creds/orders/reports/../ledgers",
		"creds/orders/reports/..%2Fledgers", "creds/orders/reports%2F..%2Fledgers", "creds/orders/reports%00ledgers",
		"creds/orders/reports;ledgers", "creds/orders/reports/..", "creds/orders/reports/%2e%2e", "creds/orders/",
		"creds/orders", "creds/orders%2Fledgers", "creds/orders%252Freports", "creds/orders//reports",
		"creds//orders/reports", "creds/./orders/reports", "creds/orders/reports%0a", "creds/orders/%72eports",
		"creds/orders%2Freports", "creds/orders/reports?scope=ledgers", "creds/orders/reports?name=others",
		"creds/orders/Reports", "creds/orders/reports%20", "creds/orders/r%C3%A9ports",
		"sdk/orders/reports/../../orders",
		"presign/orders/ledgers", "test/orders/reports", "scopes/orders/reports",
	} {
		status, _, body := s.get(token, path)
		if status == http.StatusOK && (!strings.Contains(body, own.AccessKeyID) || strings.Contains(body, "ledgers/")) {
			t.Errorf("%s is HTTP 200 and not the scope's own session: %s", path, body)
		}
		if status >= http.StatusInternalServerError {
			t.Errorf("%s is HTTP %d: %s", path, status, body)
		}
	}
	if calls := s.sts.Calls("AssumeRole"); calls != 1 {
		t.Errorf("%d AssumeRole, want the one of the scope's own session", calls)
	}
}

// Whatever Vault lets an entity be called, and whatever stands in its metadata, opens nothing of somebody else's.
func TestScope_HostileEntitiesOpenNothing(t *testing.T) {
	t.Parallel()
	s := newScopeStack(t)
	s.usersMayReadScopes()
	s.write("scopes/store/home", map[string]any{"buckets": bucketName, "access": "list,read,write",
		"prefixes": "team/{{identity.entity.metadata.team}}/"})
	s.write("scopes/store/own", map[string]any{"policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
		`"Action":"s3:*","Resource":"arn:aws:s3:::` + bucketName + `/team/{{identity.entity.metadata.team}}/*"}]}`})
	for i, team := range []string{"*", "a*", "?", "a/../ab", "..", ".", "a\nb", "a\x00b", "{{identity.entity.id}}",
		"${aws:userid}", `a"],"Action":["*`, `a\u002f`, "a/", "/", "", " ", "a\u2028b", "\ufeffa", "b", "A", "ａ"} {
		u := s.newUser(fmt.Sprint("user-", i), team)
		for _, scope := range []string{"home", "own"} {
			read, err := u.api.Logical().ReadWithContext(t.Context(), "s3conn/creds/store/"+scope)
			if err != nil {
				if answer, ok := errors.AsType[*api.ResponseError](err); !ok ||
					answer.StatusCode != http.StatusBadRequest ||
					!strings.Contains(err.Error(), "has no usable value") {
					t.Errorf("%s of team %q: %v", scope, team, err)
				}
				continue
			}
			creds := credentialsOf(read)
			for _, key := range []string{"team/a/x", "team/ab/x", "team/a", "public/x", "a*b/x"} {
				if s.open("read", creds, bucketName, key) || s.open("write", creds, bucketName, key) {
					t.Errorf("%s of team %q opens %s", scope, team, key)
				}
			}
			t.Logf("%s of team %q is taken, and opens its own prefix", scope, team)
		}
	}
}
