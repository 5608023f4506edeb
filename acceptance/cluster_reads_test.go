package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// waitMounted waits until the node shows the mount, which a standby does a moment after the active node.
func (s *stack) waitMounted() {
	s.t.Helper()
	raw := newRawVault(s.t, s.vault)
	harness.WaitFor(s.t, "the mount", func(ctx context.Context) error {
		// A path without a mount is a 404, a connection that does not exist a 400.
		if got := raw.ask(ctx, http.MethodGet, "s3conn/creds/none", ""); got.status != http.StatusBadRequest {
			return fmt.Errorf("HTTP %d: %s, %v", got.status, got.body, got.err)
		}
		return nil
	})
}

func clusterLeases(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	s.write("config/leases", s.fields(nil))
	nodes := c.each(t)
	for i, via := range nodes {
		read := via.read("creds/leases")
		if read.LeaseID == "" || !read.Renewable {
			t.Fatalf("node %d answers without a renewable lease: %+v", i, read)
		}
		lease := time.Duration(read.LeaseDuration) * time.Second
		assertWithin(t, "the lease", lease, time.Hour-time.Minute, time.Minute)
		for _, other := range nodes {
			renewed, err := other.api.Sys().RenewWithContext(t.Context(), read.LeaseID, 0)
			if err != nil {
				t.Fatalf("renewing the lease of node %d: %v", i, err)
			}
			lease := time.Duration(renewed.LeaseDuration) * time.Second
			assertWithin(t, "the renewed lease", lease, time.Hour-time.Minute, time.Minute)
		}
		if err := nodes[(i+1)%len(nodes)].api.Sys().RevokeWithContext(t.Context(), read.LeaseID); err != nil {
			t.Errorf("revoking the lease of node %d: %v", i, err)
		}
		if _, err := s.api.Sys().LookupWithContext(t.Context(), read.LeaseID); err == nil {
			t.Errorf("the revoked lease of node %d is still there", i)
		}
	}
	s.assertCalls("leases of every node", 1)
}

func clusterColdReaders(t *testing.T, c *clusterStack) {
	const readers = 30
	for name, changes := range map[string]map[string]any{
		"cold-leased": nil, "cold-leaseless": {"generate_lease": false},
	} {
		s := c.begin(t)
		s.write("config/"+name, s.fields(changes))
		nodes := c.each(t)
		keys := make([]string, readers)
		var wg sync.WaitGroup
		for i := range readers {
			via, path := newRawVault(t, nodes[i%clusterSize].vault), []string{"creds/", "sdk/"}[i/clusterSize%2]
			wg.Go(func() {
				got, err := via.ask(t.Context(), http.MethodGet, "s3conn/"+path+name, "").vended()
				if err != nil {
					t.Errorf("%s%s on node %d: %v", path, name, i%clusterSize, err)
				}
				keys[i] = got.accessKey
			})
		}
		wg.Wait()
		for i, key := range keys {
			if key != keys[0] {
				t.Errorf("reader %d of %s got %q, reader 0 got %q", i, name, key, keys[0])
			}
		}
		s.assertCalls(fmt.Sprintf("%d cold readers of %s on %d nodes", readers, name, clusterSize), 1)
		t.Logf("%d cold readers of %s on %d nodes: %d CreateSession", readers, name, clusterSize, s.aws.Calls())
	}
}

// clusterCreates reads through standbys what another node has just created: they pass on what they do not find.
func clusterCreates(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	nodes := c.each(t)
	for i := range 10 {
		name := fmt.Sprintf("created-%d", i)
		s.write("config/"+name, s.fields(map[string]any{"generate_lease": false}))
		s.write("scopes/"+name+"/part", map[string]any{"buckets": bucketName})
		for _, via := range nodes {
			via.read("creds/" + name)
		}
		assertSays(t, nodes[1+i%2].fails(http.StatusBadRequest, "creds/"+name+"/none", nil), `has no scope "none"`)
		nodes[1+i%2].read("config/" + name)
		nodes[2-i%2].read("scopes/" + name + "/part")
	}
	for _, via := range nodes {
		text := via.fails(http.StatusBadRequest, "creds/never-created", nil)
		assertSays(t, text, `there is no connection "never-created"`)
		if status, _, body := via.get(via.vault.Token(), "sdk/never-created"); status != http.StatusNotFound {
			t.Errorf("sdk/ of an unknown connection is HTTP %d: %s", status, body)
		}
	}
	s.assertCalls("10 connections", 10)
}

// clusterRawAnswers reads as an SDK does.
func clusterRawAnswers(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	s.write("config/raw", s.fields(nil))
	for i, via := range c.each(t) {
		status, header, body := via.get(via.vault.Token(), "sdk/raw")
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK ||
			header.Get("Content-Type") != "application/json" || got["RoleArn"] != roleARN {
			t.Errorf("node %d answers HTTP %d, %v, %v: %s", i, status, header, err, body)
		}
	}
	s.mustListBuckets(credentialsOf(s.read("creds/raw")))
	s.assertCalls("sdk/ on every node", 1)
}
