package session

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// variant is a scope's session for one entity.
func variant(i int) Key {
	return Key{Name: "orders-0", Scope: "/team", Variant: fmt.Sprintf("entity-%d", i)}
}

// scoped stores the settings of orders-0 and of its scopes.
func (n *node) scoped(scopes ...string) {
	n.writeMany(1)
	for _, scope := range scopes {
		n.behindTheBack(Key{Name: "orders-0", Scope: scope}, &settings{revision: "s", role: "role" + scope})
	}
}

func TestPool_VariantsHaveSessionsOfTheirOwnInMemoryAlone(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.scoped("/team", "/plain")
		for i := range 3 {
			for range 2 {
				if g := n.get(t.Context(), variant(i), MinRemaining); g.key != fmt.Sprintf("ASIA%d", i+1) ||
					g.role != "role/team" {
					t.Errorf("entity %d got %+v", i, g)
				}
			}
		}
		if stored := n.stored(); len(stored) != 0 {
			t.Errorf("sessions of variants are stored: %v", stored)
		}
		n.get(t.Context(), Key{Name: "orders-0", Scope: "/plain"}, MinRemaining)
		n.start()
		if g := n.get(t.Context(), Key{Name: "orders-0", Scope: "/plain"}, MinRemaining); g.key != "ASIA4" {
			t.Errorf("after a restart the scope without variants got %+v, want its stored session", g)
		}
	})
}

func TestPool_LeastRecentlyUsedVariantsLeaveFirst(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.variants = 10
		n.start()
		n.scoped("/team")
		read := func(i int) { t.Helper(); n.get(t.Context(), variant(i), MinRemaining) }
		for i := range 10 {
			read(i)
		}
		read(0) // the oldest is used again
		for i := 10; i < 19; i++ {
			read(i)
		}
		for i := range 19 {
			if kept, want := n.InUse(variant(i)), i == 0 || i >= 10; kept != want {
				t.Errorf("entity %d in use: %v, want %v", i, kept, want)
			}
		}
		before := n.aws.count()
		read(0)
		if n.aws.count() != before {
			t.Error("the one that stayed was requested again")
		}
	})
}

func TestPool_DropOfANameDropsItsScopes(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.scoped("/team", "/plain")
		keys := []Key{{Name: "orders-0"}, {Name: "orders-0", Scope: "/plain"}, variant(1), variant(2)}
		for _, key := range keys {
			n.get(t.Context(), key, MinRemaining)
		}
		n.DropScope("orders-0", "/team")
		for i, key := range keys {
			if n.InUse(key) != (i < 2) {
				t.Errorf("after the scope was dropped, %+v in use: %v", key, n.InUse(key))
			}
		}
		n.Drop("orders-0")
		for _, key := range keys {
			if n.InUse(key) {
				t.Errorf("after the name was dropped, %+v is in use", key)
			}
		}
		if n.recent.order.Len() != 0 || len(n.byName) != 0 {
			t.Errorf("%d variants and %d names are remembered, want none", n.recent.order.Len(), len(n.byName))
		}
	})
}

// One comparison covers a scope, however many variants it has.
func TestPool_ScopeThatChangedLosesItsVariants(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.scoped("/team", "/plain")
		plain := Key{Name: "orders-0", Scope: "/plain"}
		n.get(t.Context(), plain, MinRemaining)
		for i := range 100 {
			n.get(t.Context(), variant(i), MinRemaining)
		}
		n.behindTheBack(Key{Name: "orders-0", Scope: "/team"}, &settings{revision: "late", role: changedRole})
		before := n.disk.uses()
		pass(time.Minute)
		if g := n.get(t.Context(), variant(1), MinRemaining); g.role != changedRole {
			t.Errorf("a minute after the change a reader got %+v", g)
		}
		if trips := n.disk.uses() - before; trips > 5 {
			t.Errorf("the comparison used storage %d times", trips)
		}
		for i := range 100 {
			if kept := n.InUse(variant(i)); kept != (i == 1) {
				t.Errorf("entity %d in use: %v", i, kept)
			}
		}
		if !n.InUse(plain) {
			t.Error("the scope that did not change was dropped")
		}
	})
}

func TestPool_FailingScopesAreThoseWhoseLastRequestFailed(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.scoped("/team", "/plain")
		n.get(t.Context(), Key{Name: "orders-0", Scope: "/plain"}, MinRemaining)
		if failing := n.FailingScopes("orders-0"); failing != nil {
			t.Errorf("%v fail, want none", failing)
		}
		n.aws.set(func(s *service) { s.err = errStorage })
		for i := range 2 {
			for range 2 - i {
				n.get(t.Context(), variant(i), MinRemaining)
				pass(time.Minute)
			}
		}
		n.read("orders-0") // no scope
		if failing := n.FailingScopes("orders-0"); len(failing) != 1 || failing["/team"].Failures != 2 ||
			!errors.Is(failing["/team"].Err, errStorage) {
			t.Errorf("%v fail, want the scope of the variants, as its worst one does", failing)
		}
		if failing := n.FailingScopes("nothing"); failing != nil {
			t.Errorf("%v fail of a name that is not there", failing)
		}
	})
}
