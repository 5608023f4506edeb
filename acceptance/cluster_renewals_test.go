package acceptance

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// clusterRenewal is a renewal in whose middle the leader changes.
type clusterRenewal struct {
	*identityStack
	c     *clusterStack
	name  string
	ca    *harness.StepCA
	first string // certificate
	asked chan answer
}

// beginRenewal renews a certificate of step-ca. It returns when the new one is issued and the one call that is to prove
// it hangs.
func (c *clusterStack) beginRenewal(t *testing.T, name string) *clusterRenewal {
	issuing := harness.NewIssuingCA(t)
	options := rolesanywheretest.Options{TrustAnchors: []*x509.Certificate{issuing.Root}}
	s := &identityStack{&sessionStack{stack: c.at(t, c.leader), aws: newAWS(t, c.minio, options)}}
	r := &clusterRenewal{identityStack: s, c: c, name: name, ca: harness.StartStepCA(t, issuing, 24*time.Hour),
		asked: make(chan answer, 1)}
	bare := s.bare()
	bare["generate_lease"] = false
	s.write("config/"+name, bare)
	s.write("identity/"+name+"/issuer", map[string]any{"type": "step_ca", "address": r.ca.Address(),
		"ca_cert": issuing.RootPEM()})
	token := map[string]any{"token": r.ca.Token(name)}
	r.first, _ = s.write("identity/"+name+"/renew", token).Data["certificate"].(string)
	s.aws.Inject(rolesanywheretest.Fault{Hang: true, Times: 1})
	raw := newRawVault(t, s.vault)
	go func() { r.asked <- raw.ask(t.Context(), http.MethodPost, "s3conn/identity/"+name+"/renew", "{}") }()
	harness.WaitFor(t, "the proof of the second certificate", func(ctx context.Context) error {
		return s.aws.WaitCalls(ctx, 2)
	})
	return r
}

// path is the one whose reads the change of the leader meets.
func (r *clusterRenewal) path() string { return "s3conn/creds/" + r.name }

// ends sees that the next leader goes on with the certificate that was issued. No read fails any more.
func (r *clusterRenewal) ends() {
	t := r.t
	t.Helper()
	asked := <-r.asked
	changed, leader := time.Now(), r.c.at(t, r.c.leader)
	harness.WaitFor(t, "the second certificate", func(context.Context) error {
		leader.read("creds/" + r.name)
		if leader.read("identity/" + r.name).Data["certificate"] == r.first {
			return errors.New("it is still the first")
		}
		return nil
	})
	t.Logf("%s: it was answered HTTP %d: %s, %v; the next leader had renewed within %s", r.name, asked.status,
		asked.body, asked.err, time.Since(changed))
	if renewed := strings.Count(r.ca.Log(), "path=/rekey"); renewed != 1 {
		t.Errorf("%s: step-ca renewed %d certificates, want 1", r.name, renewed)
	}
	leader.mustListBuckets(credentialsOf(leader.read("creds/" + r.name)))
}
