package acceptance

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// clusterKeys has a key made in Vault and its certificate changed, all through standbys, while every node is read.
func clusterKeys(t *testing.T, c *clusterStack) {
	const swaps = 3
	ca := harness.NewIssuingCA(t)
	options := rolesanywheretest.Options{TrustAnchors: []*x509.Certificate{ca.Root}}
	s := &identityStack{&sessionStack{stack: c.at(t, c.leader), aws: newAWS(t, c.minio, options)}}
	nodes := c.each(t)
	bare := s.bare()
	bare["generate_lease"] = false
	nodes[1].write("config/born", bare)
	for _, via := range nodes {
		assertSays(t, via.fails(http.StatusBadRequest, "creds/born", nil), "no certificate yet")
	}
	certify(t, ca, nodes[1], nodes[2], "born")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	seen := make([][]sighting, len(nodes))
	for i, node := range nodes {
		via := newRawVault(t, node.vault)
		wg.Go(func() { seen[i] = watch(ctx, t, via, "s3conn/creds/born") })
	}
	for i := range swaps - 1 {
		certify(t, ca, nodes[i%clusterSize], nodes[(i+1)%clusterSize], "born")
	}
	latest := s.read("creds/born").Data["access_key"]
	waitUntil(t.Context(), time.Now().Add(writeSeenWithin))
	cancel()
	wg.Wait()
	for i, all := range seen {
		var keys []string
		for _, one := range all {
			keys = append(keys, one.accessKey)
		}
		keys = slices.Compact(keys)
		if len(keys) > swaps || len(keys) == 0 || keys[len(keys)-1] != latest {
			t.Errorf("node %d hands out %q one after the other, want at most %d sessions, %v at last", i,
				keys, swaps, latest)
		}
		t.Logf("node %d (0 is active): %d reads over %d swaps of the certificate", i, len(all), swaps-1)
	}
	s.assertCalls("a proof of each certificate", swaps)
}

// certify has a new key made through one node and gives it a certificate through another.
func certify(t *testing.T, ca *harness.IssuingCA, csrs, certificates *stack, name string) {
	t.Helper()
	request, _ := csrs.write("identity/"+name+"/csr", map[string]any{}).Data["csr"].(string)
	block, _ := pem.Decode([]byte(request))
	if block == nil {
		t.Fatalf("no certificate signing request: %q", request)
	}
	certificates.write("identity/"+name+"/certificate", map[string]any{"certificate": ca.Sign(t, block.Bytes)})
}
