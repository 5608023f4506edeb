package s3conn

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// However many entities come, the sessions of 10,000 are kept, those that were used last.
func TestScoped_MoreEntitiesThanAreKeptTakeBoundedMemory(t *testing.T) {
	const (
		entities, kept = 11_000, 10_000
		most           = kept*4<<10 + entities*2<<10 // bytes: of sessions, and of what is known of entities
	)
	loneSessionTest(t, func(t *testing.T, m *mount, aws *service) {
		s := newScopeTest(m, aws)
		s.writeTemplated()
		s.sts.padding = strings.Repeat("t", 900) // a session token of AWS's size
		read := func(i int) {
			req := &logical.Request{Operation: logical.ReadOperation, Path: "creds/orders/home", Storage: s.storage,
				EntityID: fmt.Sprintf("11111111-2222-3333-4444-%012d", i)}
			if resp, err := s.HandleRequest(t.Context(), req); err != nil || resp.IsError() {
				t.Fatalf("entity %d: %+v, %v", i, resp, err)
			}
		}
		read(0)
		before := heap()
		for i := range entities {
			read(i)
		}
		calls := s.sts.count()
		s.sts.granted, s.sts.callers = nil, nil // the test's own
		if grown := heap() - before; grown > most {
			t.Errorf("%d entities take %.0f MiB, want %d at most", entities, grown/(1<<20), most>>20)
		}
		if live := s.sessions.Summary().Live; calls != entities || live > kept+1 || live < kept {
			t.Errorf("%d entities caused %d AssumeRole and have %d sessions, want %[1]d and %d", entities, calls, live,
				kept)
		}
		read(entities - 1)
		read(entities - kept + 1)
		if again := s.sts.count(); again != 0 {
			t.Errorf("entities that have read last caused %d more AssumeRole", again)
		}
		if read(0); s.sts.count() != 1 {
			t.Error("the session of the entity that read first was kept")
		}
		runtime.KeepAlive(s)
	})
}
