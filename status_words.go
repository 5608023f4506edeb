package s3conn

import (
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

func certificateStatus(v *vitals, now time.Time) map[string]any {
	shown := map[string]any{"not_after": instant(v.end.NotAfter), "ttl": int64(v.end.NotAfter.Sub(now) / time.Second)}
	if v.end.Intermediate != "" {
		shown["intermediate"] = v.end.Intermediate
	}
	return shown
}

// failingScopes are the scopes of which no session could be obtained.
func (b *backend) failingScopes(name string, now time.Time) map[string]any {
	shown := map[string]any{}
	for scope, failing := range b.sessions.FailingScopes(name) {
		shown[scope] = map[string]any{"error": failing.Err.Error(), "count": failing.Failures,
			"next_try": instant(now.Add(failing.NextTry))}
	}
	return shown
}

func failureStatus(f health.Failure) map[string]any {
	shown := map[string]any{"time": instant(f.Time), "error": f.Error, "count": f.Count}
	if !f.NextTry.IsZero() {
		shown["next_try"] = instant(f.NextTry)
	}
	return shown
}

// advice says what the state means and what to do about it.
func advice(name string, state health.State, v *vitals) string {
	switch {
	case v.unreadable:
		return "the stored connection cannot be read; the server's log says why; write it again as a whole"
	case state == health.StateIncomplete:
		return "it has no certificate yet; identity/" + name + "/csr makes a key and its CSR; or write certificate " +
			"and private_key"
	case state == health.StateFailing:
		return "no credentials can be handed out; correct what last_failure or certificate says, then write test/" +
			name + ", which ends the pause after failures"
	case state == health.StateDegraded:
		return "credentials are handed out, and what would keep them so fails; correct what last_failure, " +
			"certificate, renewal, rotation or scopes says before the session or the certificate ends"
	case state == health.StateIdle:
		return "nobody has read it since the plugin started; write test/" + name + " to know whether it works"
	}
	return "credentials are handed out; there is nothing to do"
}
