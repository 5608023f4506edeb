package s3conn

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// sessionLog is the pool's Observer: one line for each change of state.
type sessionLog struct{ log func() hclog.Logger }

// Obtained implements session.Observer.
func (l *sessionLog) Obtained(key session.Key, _ *inUse, a session.Arrival) {
	l.log().Debug("a session is ready", "connection", key.Name, "scope", key.Scope,
		"remaining", seconds(a.Session.Remaining(a.At)).String())
}

// Failed implements session.Observer.
func (l *sessionLog) Failed(key session.Key, _ *inUse, f session.Failure) {
	values := []any{"connection", key.Name, "scope", key.Scope, "error", f.Err, "failures", f.Failures,
		"retry_after", f.RetryAfter.String()}
	if f.Stack != nil {
		values = append(values, "stack", string(f.Stack))
	}
	if f.Live {
		l.log().Warn("refreshing the session; the one in use still lives",
			append(values, "remaining", seconds(f.Remaining).String())...)
		return
	}
	l.log().Error("requesting a session", values...)
}

// Dropped implements session.Observer.
func (l *sessionLog) Dropped(key session.Key, _ *inUse) {
	l.log().Warn("the connection in use was not the stored one, and is read again: nobody reported its change",
		"connection", key.Name, "scope", key.Scope)
}

// Unconfirmed implements session.Observer.
func (l *sessionLog) Unconfirmed(key session.Key, err error) {
	l.log().Warn("comparing the connection in use with the stored one; it stays in use",
		"connection", key.Name, "scope", key.Scope, "error", err)
}

// seconds cuts a duration to whole seconds.
func seconds(d time.Duration) time.Duration { return d.Truncate(time.Second) }
