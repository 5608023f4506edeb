package s3conn

import (
	"errors"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// sessionWatch is the pool's Observer. Its log has one line for each change of state, at a level that says how urgent
// it is; what merely goes on is logged for debugging.
type sessionWatch struct{ *backend }

// Obtained implements session.Observer.
func (w sessionWatch) Obtained(key session.Key, subject *inUse, a session.Arrival) {
	w.Logger().Debug("a session is ready", "connection", key.Name, "scope", key.Scope,
		"remaining", seconds(a.Session.Remaining(a.At)).String())
	if !a.Stored {
		w.send(health.SessionObtained, key, "expiration", instant(a.Session.Expiration))
	}
	if key.Scope != "" {
		return
	}
	record := w.monitor.records.Of(key.Name)
	record.Succeeded(health.Session)
	if before, changed := record.Changed(health.StateOK); changed && before != "" {
		w.Logger().Info("sessions can be obtained again", "connection", key.Name)
	}
	if warnings := subject.certificateEnd.Warnings(a.At.Wall); len(warnings) > 0 && record.AnnounceEnd(a.At.Wall) {
		w.Logger().Warn("the certificate ends", "connection", key.Name, "warning", warnings[0])
		w.send(health.CertificateEnding, key, "not_after", instant(subject.certificateEnd.NotAfter))
	}
}

// Failed implements session.Observer.
func (w sessionWatch) Failed(key session.Key, _ *inUse, f session.Failure) {
	changed := f.Failures == 1
	if key.Scope == "" {
		record, now := w.monitor.records.Of(key.Name), w.now()
		record.Failed(health.Session, now, f.Err.Error(), now.Add(f.RetryAfter))
		_, changed = record.Changed(stateAfter(f))
	}
	if changed {
		w.send(health.SessionFailed, key, "error", f.Err.Error(), "state", string(stateAfter(f)))
	}
	values := []any{"connection", key.Name, "scope", key.Scope, "error", f.Err, "failures", f.Failures,
		"retry_after", f.RetryAfter.String()}
	log := w.Logger().Error
	text := "requesting a session; no credentials can be handed out"
	if f.Live {
		log, text = w.Logger().Warn, "refreshing the session; the one in use still lives"
		values = append(values, "remaining", seconds(f.Remaining).String())
	}
	switch {
	case f.Stack != nil:
		w.Logger().Error(text, append(values, "stack", string(f.Stack))...)
	case changed:
		log(text, values...)
	default:
		w.Logger().Debug(text, values...)
	}
}

func stateAfter(f session.Failure) health.State {
	if f.Live {
		return health.StateDegraded
	}
	return health.StateFailing
}

// Dropped implements session.Observer.
func (w sessionWatch) Dropped(key session.Key, _ *inUse) {
	w.vitals.drop(key.Name)
	w.Logger().Warn("the connection in use was not the stored one, and is read again: nobody reported its change",
		"connection", key.Name, "scope", key.Scope)
}

// Unconfirmed implements session.Observer. Where storage does not answer, every connection in use comes here once a
// minute.
func (w sessionWatch) Unconfirmed(key session.Key, err error) {
	log := w.Logger().Debug
	if errors.Is(err, session.ErrDefect) || w.monitor.unconfirmed.allows(w.clock().Uptime) {
		log = w.Logger().Warn
	}
	log("comparing the connection in use with the stored one; it stays in use", "connection", key.Name,
		"scope", key.Scope, "error", err)
}

// send has an event sent about a key, with pairs of names and values.
func (w sessionWatch) send(kind health.EventType, key session.Key, pairs ...string) {
	metadata := map[string]string{"connection": key.Name}
	if key.Scope != "" {
		metadata["scope"] = key.Scope
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		metadata[pairs[i]] = pairs[i+1]
	}
	w.monitor.events.Send(health.Event{Type: kind, Metadata: metadata})
}

// seconds cuts a duration to whole seconds.
func seconds(d time.Duration) time.Duration { return d.Truncate(time.Second) }
