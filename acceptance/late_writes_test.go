package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// staleLimit is how long a connection may be in use that is not the stored one: the plugin compares once a minute.
const staleLimit = 75 * time.Second

// Without Vault's cache a write that its caller has given up can land after the next read: nothing orders the two.
func TestConfig_WritesThatLandLateAreSeenWithinAMinute(t *testing.T) {
	t.Parallel()
	const connections, writes = 8, 40
	s := newStack(t, harness.VaultOptions{Config: map[string]any{"disable_cache": true}})
	raw := newRawVault(t, s.vault)
	var writers, readers sync.WaitGroup
	var cut atomic.Int64
	reading, stopReading := context.WithCancel(t.Context())
	for i := range connections {
		name := fmt.Sprintf("late-%d", i)
		s.write("config/"+name, s.s3Fields(map[string]any{"access_key": "AKIA0", "secret_key": "secret"}))
		for range 2 {
			readers.Go(func() {
				for reading.Err() == nil {
					raw.ask(reading, http.MethodGet, "s3conn/creds/"+name, "")
				}
			})
		}
		writers.Go(func() {
			for w := range writes {
				patience := time.Duration(1+(w*7+i)%12) * time.Millisecond
				if raw.giveUp(t.Context(), patience, "s3conn/config/"+name, fmt.Sprintf("AKIA%d", w+1)) {
					cut.Add(1)
				}
			}
		})
	}
	writers.Wait()
	stopReading()
	readers.Wait()
	if cut.Load() == 0 {
		t.Fatal("no write was given up: the test shows nothing")
	}
	written, stale, longest := time.Now(), 0, time.Duration(0)
	for i := range connections {
		name := fmt.Sprintf("late-%d", i)
		if !raw.agrees(t.Context(), name) {
			stale++
		}
		agrees := func() bool { return raw.agrees(t.Context(), name) }
		if !eventually(t.Context(), staleLimit-time.Since(written), agrees) {
			t.Errorf("%s: the connection in use is not the stored one %s after the last write", name, staleLimit)
		}
		longest = max(longest, time.Since(written))
	}
	t.Logf("%d of %d writes were given up; %d of %d connections were in use in an earlier form, the longest for %s",
		cut.Load(), connections*writes, stale, connections, longest.Round(time.Millisecond))
}

// giveUp writes an access key and returns whether the caller had no patience to see the end.
func (v *rawVault) giveUp(ctx context.Context, patience time.Duration, path, accessKey string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return v.write(ctx, path, map[string]any{"access_key": accessKey}) != nil && ctx.Err() != nil
}

// agrees reports whether the credentials that are handed out are those of the stored connection.
func (v *rawVault) agrees(ctx context.Context, name string) bool {
	key := func(path string) string {
		var body struct {
			Data struct {
				AccessKey string `json:"access_key"`
			}
		}
		got := v.ask(ctx, http.MethodGet, path+name, "")
		if got.err != nil || json.Unmarshal([]byte(got.body), &body) != nil {
			return path // two that differ
		}
		return body.Data.AccessKey
	}
	return key("s3conn/creds/") == key("s3conn/config/")
}
