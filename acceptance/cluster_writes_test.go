package acceptance

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// writeSeenWithin is how soon after a write's response no node hands out the session before.
const writeSeenWithin = 2 * time.Second

// sighting is what a read of one node found.
type sighting struct {
	asked, answered time.Time
	accessKey       string
}

// clusterWrites reads without a pause on every node while the connection is written. The quickest of several writes
// counts for the time, because a loaded machine stands still at times; the order counts for all.
func clusterWrites(t *testing.T, c *clusterStack) {
	const writes = 3
	s := c.begin(t)
	s.write("config/written", s.fields(map[string]any{"generate_lease": false}))
	first := s.read("creds/written").Data["access_key"].(string)
	nodes := c.each(t)
	seen := make([][]sighting, len(nodes))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, node := range nodes {
		via := newRawVault(t, node.vault)
		wg.Go(func() { seen[i] = watch(ctx, t, via, "s3conn/creds/written") })
	}
	keys, written := []string{first}, []time.Time{}
	for i := range writes {
		nodes[i%len(nodes)].write("config/written", map[string]any{"duration": 3600 - i})
		written = append(written, time.Now())
		keys = append(keys, s.read("creds/written").Data["access_key"].(string))
		waitUntil(t.Context(), time.Now().Add(writeSeenWithin))
	}
	cancel()
	wg.Wait()
	quickest := make([]time.Duration, len(nodes))
	for i := range nodes {
		late := staleness(t, i, seen[i], keys, written)
		quickest[i] = slices.Min(late)
		t.Logf("node %d (0 is active): %d reads; the session before was last handed out %s after each write",
			i, len(seen[i]), late)
	}
	if slowest := slices.Max(quickest); slowest > writeSeenWithin {
		t.Errorf("a write was seen after %s, want %s at most", slowest, writeSeenWithin)
	}
	s.assertCalls("the first session, and one after each write", 1+writes)
}

// watch reads on and on, and returns what it found.
func watch(ctx context.Context, t *testing.T, via *rawVault, path string) []sighting {
	var seen []sighting
	for ctx.Err() == nil {
		asked := time.Now()
		got, err := via.ask(ctx, http.MethodGet, path, "").vended()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			t.Errorf("a read during the writes fails: %v", err)
			continue
		}
		seen = append(seen, sighting{asked, time.Now(), got.accessKey})
		waitUntil(ctx, asked.Add(10*time.Millisecond))
	}
	return seen
}

// staleness returns, for each write, how long after it a node last answered a new read with the session before; a
// session that comes back after its successor fails the test.
func staleness(t *testing.T, node int, seen []sighting, keys []string, written []time.Time) []time.Duration {
	late := make([]time.Duration, len(written))
	latest := 0
	for _, one := range seen {
		at := slices.Index(keys, one.accessKey)
		if at < latest {
			t.Errorf("node %d hands out session %d (of %q) after session %d", node, at, one.accessKey, latest)
		}
		latest = max(latest, at)
		for i := at; i >= 0 && i < len(written); i++ {
			if one.asked.After(written[i]) {
				late[i] = max(late[i], one.answered.Sub(written[i]))
			}
		}
	}
	if latest != len(keys)-1 {
		t.Errorf("node %d never handed out the last session", node)
	}
	return late
}

// clusterWritesThroughStandbys makes every kind of write through a standby.
func clusterWritesThroughStandbys(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	root := s.minio.RootCredentials()
	via := c.each(t)[1]
	via.write("config/forwarded", s.fields(nil))
	if buckets := via.write("test/forwarded", map[string]any{}).Data["buckets"]; len(buckets.([]any)) != 1 {
		t.Errorf("the test through a standby shows buckets %v", buckets)
	}
	via.write("test", s.fields(nil))
	s.assertCalls("two tests", 2)

	keys := map[string]any{"access_key": root.AccessKeyID, "secret_key": root.SecretAccessKey}
	via.write("config/keys", s.s3Fields(keys))
	via.write("scopes/keys/part", map[string]any{"buckets": bucketName, "prefixes": "part/"})
	if fence := via.write("test/keys/part", map[string]any{}).Data["fence"]; fence != "proven" {
		t.Errorf("the test of a scope through a standby says fence %v", fence)
	}
	if signed := via.presign("keys/part", map[string]any{"key": "part/a"}).Data["url"]; signed == "" {
		t.Error("presign through a standby returns no URL")
	}
	for _, node := range c.each(t) {
		node.readSoon(node.api, "scopes/keys/part")
		node.readSoon(node.api, "status/keys")
	}
	if _, err := via.api.Logical().DeleteWithContext(t.Context(), "s3conn/config/keys"); err != nil {
		t.Errorf("deleting through a standby: %v", err)
	}
	for _, node := range c.each(t) {
		if !eventually(t.Context(), time.Minute, func() bool {
			_, err := node.api.Logical().ReadWithContext(t.Context(), "s3conn/creds/keys")
			return err != nil
		}) {
			t.Error("a deleted connection is handed out for a minute")
		}
	}
}
