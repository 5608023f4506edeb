package s3conn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// monitor is what a mount knows of how it and its connections do. It is safe for concurrent use.
type monitor struct {
	log     func() hclog.Logger
	now     func() time.Time
	metrics *health.Metrics
	records health.Records
	events  *health.Events
	close   context.CancelFunc // ends the sending of events
	waiting func() int         // how many of the mount's calls wait for their turn

	// What a storage that does not answer makes every read and every connection fail with.
	unconfirmed, unreadable seldom
}

// seldom says when a line may be logged that many requests would repeat: once a minute. Its zero value is ready for
// use. It is safe for concurrent use.
type seldom struct{ last atomic.Int64 } // uptime; 0: never

func (s *seldom) allows(uptime time.Duration) bool {
	last := s.last.Load()
	return (last == 0 || uptime-time.Duration(last) >= time.Minute) &&
		s.last.CompareAndSwap(last, int64(max(uptime, 1)))
}

func newMonitor(now func() time.Time, log func() hclog.Logger, sender health.Sender) *monitor {
	ctx, cancel := context.WithCancel(context.Background())
	m := &monitor{log: log, now: now, events: health.NewEvents(ctx, sender),
		close: cancel, waiting: func() int { return 0 }}
	m.metrics = health.NewMetrics(Version, &m.records)
	return m
}

// credentialsPath returns which path a request for credentials has.
func credentialsPath(path string) health.Path {
	switch {
	case strings.HasPrefix(path, sdkPrefix):
		return health.SDK
	case strings.HasPrefix(path, presignPrefix):
		return health.Presign
	}
	return health.Creds
}

// outcomeOfError is how a request for credentials failed, by the status that its client gets.
func outcomeOfError(err error) health.Outcome {
	if errors.Is(err, session.ErrReadOnly) || strings.Contains(err.Error(), logical.ErrReadOnly.Error()) {
		return health.Forwarded
	}
	if status, known := statusOf(err); known {
		return outcomeOfStatus(status)
	}
	return health.Unavailable
}

func outcomeOfStatus(status int) health.Outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return health.Throttled
	case status < http.StatusInternalServerError:
		return health.Permanent
	}
	return health.Unavailable
}

// called counts a call that has waited for its turn.
func (m *monitor) called(call source.Call) {
	m.metrics.QueueWait(call.Waited)
	m.metrics.Call(health.Operation(call.Operation), call.Took, outcomeOfCall(call.Operation, call.Err))
}

// calledAt counts a call that needs no turn. It began at start.
func (m *monitor) calledAt(operation string, start time.Time, err error) {
	m.metrics.Call(health.Operation(operation), m.now().Sub(start), outcomeOfCall(operation, err))
}

func outcomeOfCall(operation string, err error) health.Outcome {
	if err == nil {
		return health.OK
	}
	var failed *upstream.Error
	if !errors.As(upstream.Describe(operation, err), &failed) {
		return health.Unavailable
	}
	return map[upstream.Kind]health.Outcome{upstream.Permanent: health.Permanent, upstream.Throttled: health.Throttled,
		upstream.Unavailable: health.Unavailable}[failed.Kind]
}

// upkeep counts a try to renew a certificate or to rotate an access key: [health.Renewal] or [health.Rotation]. The log
// has one line where tries begin to fail and one where they succeed again.
func (m *monitor) upkeep(activity health.Activity, name string, err error, nextTry time.Time) {
	operation, count := "renewing the certificate", m.metrics.Renewal
	if activity == health.Rotation {
		operation, count = "rotating the access key", m.metrics.Rotation
	}
	record, outcome := m.records.Of(name), outcomeOfCall("", err)
	count(outcome)
	switch {
	case err == nil:
		if record.Succeeded(activity) {
			m.log().Info(operation+" succeeds again", "connection", name)
		}
		event := health.CertificateSwapped
		if activity == health.Rotation {
			event = health.KeyRotated
		}
		m.events.Send(health.Event{Type: event, Metadata: map[string]string{"connection": name}})
	default:
		log := m.log().Debug
		if record.Failed(activity, m.now(), err.Error(), nextTry) == 1 {
			log = m.log().Warn
		}
		log(operation+"; the present one goes on", "connection", name, "error", err, "next_try", instant(nextTry))
	}
}

// instant is a time as responses and logs have it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stateOf is the state of a connection, which follows from what is stored and from what this node knows.
func (b *backend) stateOf(name string, v *vitals, now session.Instant) health.State {
	record := b.monitor.records.Find(name)
	known, _ := b.sessions.Status(session.Key{Name: name})
	if v.unreadable {
		return health.StateFailing
	}
	return health.StateOf(health.Facts{
		HasIdentity:      v.hasIdentity,
		CertificateEnded: v.ended(now.Wall),
		HasCredentials:   v.permanent || known.Session.Live(now),
		HasReads:         record.HasReads(),
		SessionFailing:   known.Failures > 0,
		RenewalFailing:   v.failure(health.Renewal, record).Failing(),
		RotationFailing:  v.failure(health.Rotation, record).Failing(),
		ScopesFailing:    b.sessions.FailingScopes(name) != nil,
	})
}

// gauges are the mount's figures for a scrape. Where storage does not answer, those that need it are left out.
func (b *backend) gauges(ctx context.Context, storage logical.Storage) health.Gauges {
	pool := b.sessions.Summary()
	g := health.Gauges{Sessions: pool.Live, FirstSessionEnd: pool.FirstEnd, QueueLength: b.monitor.waiting()}
	all, err := b.vitals.all(ctx, storage)
	if err != nil {
		b.Logger().Warn("reading the connections for the metrics; their figures are left out", "error", err)
		return g
	}
	now := b.clock()
	g.Connections, g.Failing = map[health.State]int{}, map[health.Activity]int{}
	for _, one := range all {
		g.Connections[b.stateOf(one.name, one.vitals, now)]++
		record := b.monitor.records.Find(one.name)
		for _, activity := range []health.Activity{health.Renewal, health.Rotation} {
			if one.vitals.failure(activity, record).Failing() {
				g.Failing[activity]++
			}
		}
		if known, _ := b.sessions.Status(session.Key{Name: one.name}); known.Failures > 0 {
			g.Failing[health.Session]++
		}
		first := &g.FirstCertificateEnd
		if one.vitals.renewed {
			first = &g.FirstRenewedEnd
		}
		if end := one.vitals.end.NotAfter; !end.IsZero() && (first.IsZero() || end.Before(*first)) {
			*first = end
		}
	}
	return g
}
