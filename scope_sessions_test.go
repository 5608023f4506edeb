package s3conn

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

func TestScoped_ManyColdReadersCauseOneCallEach(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		for _, one := range s.readers(500, "orders/reports")() {
			if one.err != nil || one.accessKey != "ASIASCOPED1" {
				t.Fatalf("a reader got %+v", one)
			}
		}
		if s.sts.count() != 1 || s.aws.count() != 1 {
			t.Errorf("500 readers caused %d AssumeRole and %d CreateSession, want one each", s.sts.count(),
				s.aws.count())
		}
		caller, granted := s.sts.last()
		if caller.AccessKey != "ASIA1" || granted.SessionName != "orders-reports" ||
			granted.RoleARN != "arn:aws:iam::123456789012:role/app" ||
			!strings.Contains(granted.Policy, "arn:aws:s3:::analytics/reports/*") || granted.Duration != time.Hour {
			t.Errorf("%s assumed %+v", caller.AccessKey, granted)
		}
	})
}

func TestScoped_ScopesOfAConnectionShareItsSession(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		var names []string
		for i := range 50 {
			name := fmt.Sprint("s", i)
			s.writeScopeOf("orders", name, scopeFields())
			names = append(names, "orders/"+name)
		}
		for _, one := range s.readers(3, names...)() {
			if one.err != nil {
				t.Fatal(one.err)
			}
		}
		if s.aws.count() != 1 || s.sts.count() != 50 {
			t.Errorf("50 scopes caused %d CreateSession and %d AssumeRole, want 1 and 50", s.aws.count(), s.sts.count())
		}
	})
}

func TestScoped_SessionsOutliveARestart(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		before, rendered := s.keyFor("e-1", "creds/orders/reports"), s.keyFor("e-1", "creds/orders/home")
		s.restart()
		if again := s.keyFor("e-1", "creds/orders/reports"); again != before || s.sts.count() != 2 {
			t.Errorf("after a restart %s and %d calls, want %s and 2", again, s.sts.count(), before)
		}
		if s.keyFor("e-1", "creds/orders/home") == rendered {
			t.Error("the session of a templated scope came from storage")
		}
	})
}

func TestScoped_AreRefreshedAndNeverOutliveTheirEnd(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		first := s.keyFor("", "creds/orders/reports")
		elapse(41 * time.Minute)
		s.keyFor("", "creds/orders/reports") // in the last third
		elapse(time.Second)
		if second := s.keyFor("", "creds/orders/reports"); second == first || s.sts.count() != 2 {
			t.Errorf("in the last third %s and %d calls, want another session and 2", second, s.sts.count())
		}
		s.sts.err = upstream.New(source.AssumeRole, upstream.Unavailable, "down", nil)
		elapse(59 * time.Minute)
		if _, err := s.readAs("", "creds/orders/reports"); err == nil {
			t.Error("a session was handed out within a minute of its end")
		}
	})
}

// storedSessionOf is the stored session of the scope "reports".
func (s *scopeTest) storedSessionOf() string {
	s.t.Helper()
	entry, err := s.storage.Get(s.t.Context(), sessionKey(session.Key{Name: "orders", Scope: "reports"}))
	if err != nil {
		s.t.Fatal(err)
	}
	if entry == nil {
		return ""
	}
	return string(entry.Value)
}

func TestScoped_ChangesEndTheirSessions(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		last := map[string]string{}
		renewed := func(after string, paths ...string) {
			t.Helper()
			for _, path := range []string{"creds/orders/reports", "creds/orders/home"} {
				key := s.keyFor("e-1", path)
				if changed := slices.Contains(paths, path); (key != last[path]) != changed {
					t.Errorf("after %s %s gives %s, before it %s; want a change: %v", after, path, key, last[path],
						changed)
				}
				last[path] = key
			}
		}
		renewed("nothing", "creds/orders/reports", "creds/orders/home")
		if s.storedSessionOf() == "" {
			t.Error("the session is not stored")
		}
		s.writeScopeOf("orders", "reports", map[string]any{"access": "read"})
		if s.storedSessionOf() != "" {
			t.Error("a changed scope left its session in storage")
		}
		renewed("a change of the scope", "creds/orders/reports")
		s.write("orders", map[string]any{"role_arn": "arn:aws:iam::123456789012:role/other"})
		if s.storedSessionOf() != "" {
			t.Error("a changed connection left a scope's session in storage")
		}
		renewed("a change of the connection", "creds/orders/reports", "creds/orders/home")
	})
}

func TestScoped_DeletionsEndTheirSessions(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.keyFor("e-1", "creds/orders/reports")
		s.keyFor("e-1", "creds/orders/home")
		s.must(logical.DeleteOperation, "scopes/orders/reports", nil)
		text := s.refused(logical.ReadOperation, "creds/orders/reports", nil)
		if !strings.Contains(text, `connection "orders" has no scope "reports"`) || s.storedSessionOf() != "" {
			t.Errorf("a deleted scope: %q, and its session is stored as %q", text, s.storedSessionOf())
		}
		s.writeScopeOf("orders", "reports", scopeFields())
		s.keyFor("e-1", "creds/orders/reports")
		s.must(logical.DeleteOperation, "config/orders", nil)
		text = s.refused(logical.ReadOperation, "creds/orders/home", nil)
		if !strings.Contains(text, `no connection "orders"`) || s.storedSessionOf() != "" {
			t.Errorf("a deleted connection: %q, and a scope's session is stored as %q", text, s.storedSessionOf())
		}
	})
}

func TestScoped_NoticesChangesThatNobodyReported(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		before := s.keyFor("e-1", "creds/orders/home")
		moved := strings.Replace(s.storedScope("orders", templated), `"buckets":["home"]`, `"buckets":["other"]`, 1)
		moved = strings.Replace(moved, `"revision":"`, `"revision":"x`, 1)
		putEntry(t, s.mount, scopeKey("orders", templated), moved)
		if s.keyFor("e-2", "creds/orders/home"); !strings.Contains(s.lastPolicy(), "arn:aws:s3:::other/") {
			t.Errorf("a new reader got the old scope: %s", s.lastPolicy())
		}
		s.invalidate(t.Context(), scopeKey("orders", templated))
		if s.keyFor("e-1", "creds/orders/home") == before || !strings.Contains(s.lastPolicy(), "arn:aws:s3:::other/") {
			t.Error("an invalidation left the old scope in use")
		}
		elapse(2 * time.Minute)
		putEntry(t, s.mount, scopeKey("orders", templated), strings.Replace(moved, `"revision":"x`, `"revision":"y`, 1))
		calls := s.sts.count()
		if s.keyFor("e-1", "creds/orders/home"); s.sts.count() == calls {
			t.Error("a change that nobody reported was not noticed within two minutes")
		}
	})
}

func (s *scopeTest) lastPolicy() string {
	_, granted := s.sts.last()
	return granted.Policy
}

func TestScoped_EntitiesGetWhatIsTheirs(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		const entities = 1000
		keys := map[string]string{}
		var mu sync.Mutex
		read := func() {
			var readers sync.WaitGroup
			for i := range entities {
				readers.Go(func() {
					id := fmt.Sprint("e-", i)
					key := s.keyFor(id, "creds/orders/home")
					mu.Lock()
					defer mu.Unlock()
					if other, seen := keys[key]; seen && other != id {
						t.Errorf("%s and %s share a session", other, id)
					}
					keys[key] = id
				})
			}
			readers.Wait()
		}
		read()
		asked := s.entities.count()
		if s.sts.count() != entities || s.aws.count() != 1 || asked != entities {
			t.Errorf("%d AssumeRole, %d CreateSession, %d questions to Vault; want %d, 1 and %[4]d",
				s.sts.count(), s.aws.count(), asked, entities)
		}
		for range 3 {
			read()
		}
		if len(keys) != entities || s.sts.count() != entities || s.entities.count() != asked {
			t.Errorf("warm reads: %d sessions, %d AssumeRole and %d more questions to Vault",
				len(keys), s.sts.count(), s.entities.count()-asked)
		}
	})
}

func TestScoped_EntitiesOfOneTeamDoNotShareASession(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeScopeOf("orders", "team", map[string]any{"buckets": "home", "duration": 900,
			"prefixes": "{{identity.entity.metadata.team}}/"})
		s.entities.teams["e-1"], s.entities.teams["e-2"] = "blue", "blue"
		ann, bob := s.keyFor("e-1", "creds/orders/team"), s.keyFor("e-2", "creds/orders/team")
		if ann == bob || s.keyFor("e-1", "creds/orders/team") != ann || s.sts.count() != 2 {
			t.Errorf("two entities of one team got %s and %s from %d calls, want a session each", ann, bob,
				s.sts.count())
		}
	})
}

func TestScoped_AnEntitysChangeShowsWithinAMinute(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		before := s.keyFor("e-1", "creds/orders/home")
		s.entities.teams["e-1"] = "green"
		elapse(59 * time.Second)
		if s.keyFor("e-1", "creds/orders/home") != before {
			t.Error("Vault was asked again within a minute")
		}
		elapse(time.Second)
		if s.keyFor("e-1", "creds/orders/home") == before || !strings.Contains(s.lastPolicy(), "home/green/*") {
			t.Errorf("after a minute the policy is %s", s.lastPolicy())
		}
	})
}

func TestScoped_HostileEntitiesAreRefused(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.entities.teams["e-1"] = "*"
		for id, says := range map[string]string{"e-1": `has no usable value: it holds "*"`, "": "the token has none"} {
			resp, err := s.readAs(id, "creds/orders/home")
			if err != nil || !resp.IsError() || !strings.Contains(resp.Error().Error(), says) ||
				!strings.Contains(resp.Error().Error(), "no session was requested") {
				t.Errorf("entity %q: %+v, %v; want words with %q", id, resp, err, says)
			}
			raw, err := s.readAs(id, "sdk/orders/home")
			if err != nil || raw.Data[logical.HTTPStatusCode] != 400 {
				t.Errorf("entity %q over sdk/: %+v, %v; want a 400", id, raw, err)
			}
		}
		if s.sts.count() != 0 {
			t.Errorf("%d calls were made", s.sts.count())
		}
	})
}
