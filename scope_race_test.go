package s3conn

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// grantedTo returns the prefixes of the session with an access key.
func (s *tokenService) grantedTo(accessKey string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	if _, err := fmt.Sscanf(accessKey, "ASIASCOPED%d", &n); err != nil || n < 1 || n > len(s.granted) {
		return nil
	}
	return s.granted[n-1].Prefixes
}

// A read that begins after a scope was changed never gets a session of what it was before, however many read meanwhile.
func TestScoped_ReadersNeverGetWhatAScopeWasBefore(t *testing.T) {
	for name, suffix := range map[string]string{"fixed": "/", "templated": "/{{identity.entity.name}}/"} {
		t.Run(name, func(t *testing.T) {
			withScopes(t, func(t *testing.T, s *scopeTest) {
				var written atomic.Int64
				write := func(version int64) {
					s.writeScopeOf("orders", "moving", map[string]any{"buckets": "home",
						"prefixes": fmt.Sprint("v", version, suffix)})
					written.Store(version)
				}
				write(0)
				var readers sync.WaitGroup
				for i := range 8 {
					readers.Go(func() {
						for written.Load() < 40 {
							s.readsAtLeast(written.Load(), fmt.Sprint("e-", i%3))
						}
					})
				}
				for version := range int64(40) {
					write(version + 1)
				}
				readers.Wait()
			})
		})
	}
}

func (s *scopeTest) readsAtLeast(version int64, entity string) {
	resp, err := s.readAs(entity, "creds/orders/moving")
	if err != nil || resp.IsError() {
		if err == nil || err.Error() != session.ErrUnsettled.Error() {
			s.t.Errorf("reading: %v, %+v", err, resp)
		}
		return
	}
	prefixes := s.sts.grantedTo(resp.Data["access_key"].(string))
	var got int64
	if _, err := fmt.Sscanf(strings.Join(prefixes, " "), "v%d/", &got); err != nil || got < version {
		s.t.Errorf("a reader that began after version %d got a session of %v", version, prefixes)
	}
}

// A read that begins after a scope was deleted gets nothing, also where the deleted scope's session was being
// requested.
func TestScoped_ReadersGetNothingOfADeletedScope(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		for range 20 {
			s.writeScopeOf("orders", "moving", scopeFields())
			var reading sync.WaitGroup
			for range 5 {
				reading.Go(func() { _, _ = s.readAs("", "creds/orders/moving") }) // before, during or after
			}
			s.must(logical.DeleteOperation, "scopes/orders/moving", nil)
			resp, err := s.readAs("", "creds/orders/moving")
			if err != nil || !resp.IsError() || !strings.Contains(resp.Error().Error(), "has no scope") {
				t.Errorf("after the delete a reader gets %+v, %v", resp, err)
			}
			reading.Wait()
			for _, folder := range []string{scopePrefix + "orders/", sessionPrefix + "orders/"} {
				left, err := s.storage.List(t.Context(), folder)
				if err != nil || strings.Contains(strings.Join(left, " "), "moving") {
					t.Errorf("%s still holds %v, %v", folder, left, err)
				}
			}
		}
	})
}
