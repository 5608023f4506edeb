package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// clusterStatus reads how connections do on every node: a standby that answers reads says that it is one and what it
// knows itself, of renewals what is stored. Vault's community edition passes all on to the active node.
func clusterStatus(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	s.write("config/status", s.fields(map[string]any{"generate_lease": false}))
	s.write("config/status-incomplete", s.fields(map[string]any{"certificate": "", "private_key": ""}))
	s.write("config/status-renewing", s.fields(map[string]any{"generate_lease": false}))
	s.write("identity/status-renewing/issuer", map[string]any{"type": "est",
		"address": fmt.Sprintf("https://127.0.0.1:%d", harness.FreePort(t))})
	const renew = "s3conn/identity/status-renewing/renew"
	if _, err := s.api.Logical().WriteWithContext(t.Context(), renew, nil); err == nil {
		t.Fatal("an issuer that is not there has renewed a certificate")
	}
	s.read("creds/status")
	nodes := c.each(t)
	for _, via := range nodes {
		via.waitState("status-renewing", "degraded")
	}
	nodes[1].readUntilCounted("status")
	for i, via := range nodes {
		node, known := "active", true // every read has come to the active node
		if c.answers {
			node, known = []string{"active", "standby", "standby"}[i], i < 2
		}
		one := via.read("status/status")
		via.checkNode(one, node)
		reads := number(t, one.Data["reads"].(map[string]any), "creds")
		state, session := one.Data["state"], one.Data["session"]
		if known && (reads == 0 || state != "ok" || session == nil) ||
			!known && (reads != 0 || state != "idle" || session != nil) {
			t.Errorf("node %d knows of %d reads and says that the connection is %v, with the session %v; want it "+
				"to know: %t", i, reads, state, session, known)
		}
		all := via.read("status")
		via.checkNode(all, node)
		incomplete, _ := all.Data["incomplete"].([]any)
		if !slices.Contains(incomplete, any("status-incomplete")) {
			t.Errorf("node %d counts %v as incomplete", i, incomplete)
		}
		renewal, _ := via.read("status/status-renewing").Data["renewal"].(map[string]any)
		text, err := json.Marshal(renewal["last_failure"])
		if err != nil || !strings.Contains(string(text), "refused the connection") || renewal["issuer_type"] != "est" {
			t.Errorf("node %d says of the renewal: %v", i, renewal)
		}
		via.checkList(node)
	}
	s.assertCalls("the status of every node", 1)
}

// waitState waits until the node knows the connection, and has it in this state where one is given.
func (s *stack) waitState(name, state string) {
	s.t.Helper()
	harness.WaitFor(s.t, "the status of "+name, func(ctx context.Context) error {
		shown, err := s.api.Logical().ReadWithContext(ctx, "s3conn/status/"+name)
		if err != nil || shown == nil || state != "" && shown.Data["state"] != state {
			return fmt.Errorf("%+v, %w", shown, err)
		}
		return nil
	})
}

// readUntilCounted reads the connection until the node counts a read of its own: a standby passes reads on until it has
// the session.
func (s *stack) readUntilCounted(name string) {
	s.t.Helper()
	harness.WaitFor(s.t, "a read that the node answers itself", func(ctx context.Context) error {
		s.read("creds/" + name)
		shown, err := s.api.Logical().ReadWithContext(ctx, "s3conn/status/"+name)
		if err != nil {
			return err
		}
		if reads, _ := shown.Data["reads"].(map[string]any); fmt.Sprint(reads["creds"]) == "0" {
			return fmt.Errorf("it counts %v", reads)
		}
		return nil
	})
}

// checkNode fails the test unless the answer says which node it is of, and a standby's that there is an active one.
func (s *stack) checkNode(answer *api.Secret, node string) {
	s.t.Helper()
	warned := strings.Contains(strings.Join(answer.Warnings, "\n"), "this node is a standby")
	if answer.Data["node"] != node && answer.Data["keys"] == nil || warned != (node == "standby") {
		s.t.Errorf("the answer of the %s node is %v, with the warnings %q", node, answer.Data, answer.Warnings)
	}
}

// checkList fails the test unless status/ and metrics are the node's own.
func (s *stack) checkList(node string) {
	s.t.Helper()
	list, err := s.api.Logical().ListWithContext(s.t.Context(), "s3conn/status")
	if err != nil || list == nil {
		s.t.Errorf("listing on the %s node: %v", node, err)
		return
	}
	s.checkNode(list, node)
	info, _ := list.Data["key_info"].(map[string]any)
	if one, _ := info["status-incomplete"].(map[string]any); one["state"] != "incomplete" {
		s.t.Errorf("the %s node lists %v", node, info)
	}
	scrape := newRawVault(s.t, s.vault).ask(s.t.Context(), http.MethodGet, "s3conn/metrics", "")
	if scrape.status != http.StatusOK || !strings.Contains(scrape.body, `s3conn_connections{state="incomplete"} `) {
		s.t.Errorf("the metrics of the %s node are HTTP %d: %s", node, scrape.status, scrape.body)
	}
}
