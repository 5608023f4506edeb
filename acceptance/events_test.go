package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// Vault takes subscriptions in its Enterprise edition alone, and OpenBao has no events. There the plugin sends them all
// the same, and nobody notices.
func TestEvents_ServersWithoutSubscriptionsServeEveryRequest(t *testing.T) {
	t.Parallel()
	onEachServer(t, harness.VaultOptions{}, func(t *testing.T, opts harness.VaultOptions) {
		s := newSessionStack(t, opts, rolesanywheretest.Options{})
		status := s.subscribe()
		t.Logf("a subscription to events is answered HTTP %d", status)
		if status == http.StatusSwitchingProtocols {
			t.Fatal("this server takes subscriptions to events: subscribe, and test that each event arrives")
		}
		const connections = 20
		for i := range connections {
			name := fmt.Sprintf("orders-%d", i)
			s.write("config/"+name, s.fields(map[string]any{"generate_lease": i%2 == 0}))
			s.read("creds/" + name) // s3conn/session-obtained
			s.write("config/refused-"+name, s.fields(map[string]any{
				"role_arn": fmt.Sprintf("%s-%d", roleARN, i), "session_name": "refused"}))
		}
		s.aws.Inject(rolesanywheretest.Fault{Status: http.StatusForbidden, Code: "AccessDeniedException",
			For: "refused"})
		for i := range connections {
			s.fails(http.StatusBadRequest, fmt.Sprintf("creds/refused-orders-%d", i), nil) // s3conn/session-failed
		}
		s.aws.Clear()
		issued := s.aws.issue(t, rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(20 * 24 * time.Hour)})
		s.write("config/ending", s.fields(map[string]any{"certificate": string(issued.CertificatePEM),
			"private_key": string(issued.PrivateKeyPEM)}))
		s.read("creds/ending") // s3conn/certificate-ending
		var lines []string
		for line := range strings.Lines(s.vault.ServerLog()) {
			if aboutEvents.MatchString(line) {
				lines = append(lines, line)
			}
		}
		if len(lines) > 1 { // Vault says that it starts its event system
			t.Errorf("the server's log has %q, want one line about events at most", lines)
		}
	})
}

// aboutEvents finds what an operator would see of events that failed, and not the requests' own traces.
var aboutEvents = regexp.MustCompile(`(?i)\[(INFO|WARN|ERROR)\].*(\bevents?\b|s3conn/(session|certificate|key)-)`)

// subscribe asks for the plugin's events as a WebSocket client does, and returns the status of the answer.
func (s *stack) subscribe() int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		s.vault.Address()+"/v1/sys/events/subscribe/s3conn*?json=true", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range map[string]string{"X-Vault-Token": s.vault.Token(), "Connection": "Upgrade",
		"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}
