package acceptance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
)

// clusterRotation is a rotation in whose middle the leader changes.
type clusterRotation struct {
	t      *testing.T
	c      *clusterStack
	name   string
	iam    *awstest.Server
	accept func() // lets IAM accept the new key

	operators sync.WaitGroup
	answered  []answer // to the operators who began
}

// beginRotation has two operators rotate one key at once, through the active node and through a standby. It returns
// when the new key waits to be accepted.
func (c *clusterStack) beginRotation(t *testing.T, name string) *clusterRotation {
	iam, fields, accept := newUnacceptedKeyUser(t)
	r := &clusterRotation{t: t, c: c, name: name, iam: iam, accept: accept,
		answered: make([]answer, 2)}
	nodes := c.running(t)
	nodes[0].write("config/"+name, fields)
	for i := range r.answered {
		raw := newRawVault(t, nodes[i].vault)
		r.operators.Go(func() { r.answered[i] = r.rotate(t.Context(), raw) })
	}
	harness.WaitFor(t, "a check of the new key", func(context.Context) error {
		keys := iam.Keys("app")
		if len(keys) < 2 || !slices.ContainsFunc(iam.Requests(), func(call awstest.Recorded) bool {
			return call.Operation == "GetCallerIdentity" && call.AccessKey == keys[1].ID
		}) {
			return fmt.Errorf("%d keys, no check of a second one", len(keys))
		}
		return nil
	})
	return r
}

// running is the mount as every node that runs shows it, the active one first.
func (c *clusterStack) running(t *testing.T) []*stack {
	return slices.DeleteFunc(c.each(t), func(s *stack) bool { return !s.vault.Running() })
}

func (r *clusterRotation) rotate(ctx context.Context, via *rawVault) answer {
	return via.ask(ctx, http.MethodPost, "s3conn/rotate/"+r.name, "{}")
}

// path is the one whose response has an expiration: the old key's use is limited by it.
func (r *clusterRotation) path() string { return "s3conn/sdk/" + r.name }

// ends lets the new key be accepted, and sees that the next leader ends the rotation that the one before has begun, and
// that operators who ask again get the same one. No read fails any more.
func (r *clusterRotation) ends() {
	t := r.t
	t.Helper()
	nodes, old := r.c.running(t), r.iam.Keys("app")[0]
	for _, via := range nodes {
		if key := via.read("creds/" + r.name).Data["access_key"]; key != old.ID {
			t.Errorf("%s: a key that is not accepted is handed out: %v", r.name, key)
		}
	}
	r.operators.Wait()
	r.accept()
	changed := time.Now()
	for _, via := range nodes {
		harness.WaitFor(t, "the new key on every node", func(context.Context) error {
			if via.read("creds/" + r.name).Data["access_key"] == old.ID {
				return errors.New("it is still the old one")
			}
			return nil
		})
	}
	t.Logf("%s: every node hands out the new key %s after it was accepted", r.name, time.Since(changed))
	keys := r.iam.Keys("app")
	if made := r.iam.Calls("CreateAccessKey"); len(keys) != 2 || made != 1 {
		t.Fatalf("%s: IAM has %d keys and was asked for one %d times, want the old one and one new", r.name, len(keys),
			made)
	}
	for i, via := range nodes {
		r.assertRotated(fmt.Sprintf("operator %d, asking again", i), r.rotate(t.Context(), newRawVault(t, via.vault)))
	}
	shown, _ := nodes[0].read("status/" + r.name).Data["rotation"].(map[string]any)
	if shown["previous_access_key"] != old.ID || shown["previous_key_end"] == nil {
		t.Errorf("%s: the old key is not going to be deleted: %v", r.name, shown)
	}
	for i, answered := range r.answered {
		if answered.status == http.StatusOK {
			r.assertRotated(fmt.Sprintf("operator %d", i), answered)
		}
		t.Logf("%s: operator %d was answered HTTP %d: %s, %v", r.name, i, answered.status, answered.body, answered.err)
	}
}

func (r *clusterRotation) assertRotated(who string, answered answer) {
	r.t.Helper()
	var body struct {
		Data struct {
			New string `json:"access_key"`
			Old string `json:"previous_access_key"`
		} `json:"data"`
	}
	err := json.Unmarshal([]byte(answered.body), &body)
	keys := r.iam.Keys("app")
	if err != nil || answered.status != http.StatusOK || body.Data.Old != keys[0].ID || body.Data.New != keys[1].ID {
		r.t.Errorf("%s: %s is answered HTTP %d: %s, %v", r.name, who, answered.status, answered.body, answered.err)
	}
}
