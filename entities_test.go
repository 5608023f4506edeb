package s3conn

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/helper/identitytpl"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// vaultEntity is an entity as Vault describes it.
func vaultEntity(id, name string, metadata map[string]string) *logical.Entity {
	return &logical.Entity{ID: id, Name: name, Metadata: metadata, Aliases: []*logical.Alias{
		{MountAccessor: "auth_1", Name: name + "@example.com", Metadata: map[string]string{"group": "dev"}},
		{MountAccessor: "auth_2", Name: name + "@k8s"},
	}}
}

func TestEntities_AreAskedForOnceAMinute(t *testing.T) {
	t.Parallel()
	clock := &clock{now: testTime}
	asked := 0
	e := newEntities(clock.Now, func(id string) (*logical.Entity, error) {
		asked++
		return vaultEntity(id, fmt.Sprint("ann", asked), nil), nil
	})
	for _, row := range []struct {
		after time.Duration
		name  string
		asked int
	}{{0, "ann1", 1}, {59 * time.Second, "ann1", 1}, {time.Second, "ann2", 2}, {-time.Second, "ann3", 3}} {
		clock.Advance(row.after)
		got, err := e.of(t.Context(), "e-1", &session.Patience{})
		if err != nil || got.Name != row.name || asked != row.asked {
			t.Errorf("after %s: %+v, %v, asked %d times; want %s and %d", row.after, got, err, asked, row.name,
				row.asked)
		}
	}
	if got, err := e.of(t.Context(), "", &session.Patience{}); got != nil || err != nil || asked != 3 {
		t.Errorf("a token without an entity: %v, %v", got, err)
	}
}

func TestEntities_ManyWhoAskAtOnceAskOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		e := newEntities(time.Now, func(id string) (*logical.Entity, error) {
			asked.Add(1)
			time.Sleep(time.Second)
			return vaultEntity(id, "ann", nil), nil
		})
		var readers sync.WaitGroup
		for range 100 {
			readers.Go(func() {
				if got, err := e.of(t.Context(), "e-1", &session.Patience{}); err != nil || got.Name != "ann" {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		readers.Wait()
		if asked.Load() != 1 {
			t.Errorf("100 readers asked %d times, want once", asked.Load())
		}
	})
}

func TestEntities_FailuresAreReportedAndNotKept(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection to Vault is gone")
	var answer func() (*logical.Entity, error)
	e := newEntities(time.Now, func(string) (*logical.Entity, error) { return answer() })
	var invalid *problem.Error
	for _, row := range []struct {
		name   string
		answer func() (*logical.Entity, error)
		is     func(error) bool
	}{
		{"broken", func() (*logical.Entity, error) { return nil, broken },
			func(err error) bool { return errors.Is(err, broken) }},
		{"gone", func() (*logical.Entity, error) { return nil, nil },
			func(err error) bool { return errors.As(err, &invalid) }},
		{"disabled", func() (*logical.Entity, error) { return &logical.Entity{ID: "e-1", Disabled: true}, nil },
			func(err error) bool { return errors.As(err, &invalid) }},
		{"a panic", func() (*logical.Entity, error) { panic(canaryText) },
			func(err error) bool { return err != nil && !strings.Contains(err.Error(), canaryText) }},
		{"well", func() (*logical.Entity, error) { return vaultEntity("e-1", "ann", nil), nil },
			func(err error) bool { return err == nil }},
	} {
		answer = row.answer
		if _, err := e.of(t.Context(), "e-1", &session.Patience{}); !row.is(err) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestEntities_WaitEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	e := newEntities(time.Now, func(string) (*logical.Entity, error) { <-release; return nil, nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.of(ctx, "e-1", &session.Patience{}); !errors.Is(err, errEntityPending) {
		t.Errorf("a caller that has gone gets %v", err)
	}
}

func TestEntities_AreBounded(t *testing.T) {
	t.Parallel()
	clock := &clock{now: testTime}
	e := newEntities(clock.Now, func(id string) (*logical.Entity, error) { return vaultEntity(id, "ann", nil), nil })
	for i := range maxEntities + 10 {
		if _, err := e.of(t.Context(), fmt.Sprint(i), &session.Patience{}); err != nil {
			t.Fatal(err)
		}
	}
	if known := len(e.byID); known > maxEntities || known < maxEntities/2 {
		t.Errorf("%d entities are known, want at most %d and not far fewer", known, maxEntities)
	}
	clock.Advance(entityAge)
	if _, err := e.of(t.Context(), "another", &session.Patience{}); err != nil || len(e.byID) != 1 {
		t.Errorf("a minute later %d entities are known (%v), want the one that was asked for", len(e.byID), err)
	}
}

// Templates give what Vault's own give, wherever they give anything.
func TestEntityFacts_RenderAsVaultsOwnTemplatesDo(t *testing.T) {
	t.Parallel()
	entity := vaultEntity("e-1", "ann", map[string]string{"team": "blue", "cost.center": "42", "empty": ""})
	for _, text := range []string{"plain", "{{identity.entity.id}}", "a-{{ identity.entity.name }}-b",
		"{{identity.entity.metadata.team}}",
		"{{identity.entity.metadata.cost.center}}", "{{identity.entity.aliases.auth_1.name}}",
		"{{identity.entity.aliases.auth_2.name}}",
		"{{identity.entity.aliases.auth_1.metadata.group}}", "{{identity.entity.name}}{{identity.entity.id}}",
		"{{identity.entity.metadata.none}}", "{{identity.entity.aliases.auth_9.name}}",
		"{{identity.entity.aliases.auth_1.metadata.none}}",
		"{{identity.entity.name", "}}", "{{time.now}}", "{ }", "{{identity.entity.metadata.empty}}x"} {
		_, want, wantErr := identitytpl.PopulateString(identitytpl.PopulateStringInput{String: text, Entity: entity})
		s := scope.New()
		s.Buckets, s.SessionTags = []string{"bucket-a"}, map[string]string{"t": text}
		program, err := scope.Compile(s, scope.Facts{Connection: "c", Scope: "s", RolesAnywhere: true,
			RoleARN: "arn:aws:iam::123456789012:role/x"})
		var rendered *scope.Rendered
		if err == nil {
			rendered, err = program.Render(entityFacts(entity))
		}
		switch {
		case text == "{ }" || text == "{{time.now}}": // no characters of a tag, and a form that is not taken
			if err == nil {
				t.Errorf("%q was taken", text)
			}
		case (err == nil) != (wantErr == nil):
			t.Errorf("%q: %v, and Vault's own says %v", text, err, wantErr)
		case err == nil && !reflect.DeepEqual(rendered.Tags, []scope.Tag{{Key: "t", Value: want}}):
			t.Errorf("%q renders as %v, and Vault's own as %q", text, rendered.Tags, want)
		}
	}
}

func TestEntities_AreVaults(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.start()
		s.System().(*logical.StaticSystemView).EntityVal = vaultEntity("e-1", "ann", map[string]string{"team": "blue"})
		s.keyFor("e-1", "creds/orders/home")
		if _, granted := s.sts.last(); granted.SessionName != "ann" || !strings.Contains(granted.Policy, "blue/") {
			t.Errorf("the session is requested with %+v", granted)
		}
	})
}
