// Package health keeps what an operator wants to know of a mount: counters for Prometheus, the state of each connection
// with its last failures, and events. It holds no secret and calls no service.
package health

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// ContentType is the media type of what [Metrics.Exposition] returns.
//
// https://prometheus.io/docs/instrumenting/exposition_formats/
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Path is a path of the engine that hands out credentials.
type Path int

// The paths, whose reads are counted with and without a scope.
const (
	Creds Path = iota
	SDK
	Presign

	paths = int(iota)
)

func (p Path) String() string { return [paths]string{"creds", "sdk", "presign"}[p] }

// Outcome is how a read, a call, a renewal or a rotation ended.
type Outcome int

// The outcomes. Those of calls, renewals and rotations end before Forwarded.
const (
	OK          Outcome = iota
	Permanent           // refused: trying again without a change is of no use
	Throttled           // too many calls
	Unavailable         // not reached, not answered in time, or the service failed
	Forwarded           // the active node answers this read: see logical.ErrReadOnly

	readOutcomes = int(iota)
	callOutcomes = int(Forwarded)
)

func (o Outcome) String() string {
	return [readOutcomes]string{"ok", "permanent", "throttled", "unavailable", "forwarded"}[o]
}

// Operation is a call to another service, by the service's name for it. The issuers of certificates are named by type.
// What a test of a scope tries outside of the scope is not counted: a refusal is what it wants.
type Operation string

// The operations that are distinguished. Any other one is counted as "other", so that the label stays bounded.
const (
	CreateSession     Operation = "CreateSession"
	AssumeRole        Operation = "AssumeRole"
	GetCallerIdentity Operation = "GetCallerIdentity"
	ListBuckets       Operation = "ListBuckets"
	ListAccessKeys    Operation = "ListAccessKeys"
	CreateAccessKey   Operation = "CreateAccessKey"
	UpdateAccessKey   Operation = "UpdateAccessKey"
	DeleteAccessKey   Operation = "DeleteAccessKey"
	VaultPKI          Operation = "vault_pki"
	EST               Operation = "est"
	StepCA            Operation = "step_ca"

	otherOperation Operation = "other"
)

func operations() []Operation {
	return []Operation{CreateSession, AssumeRole, GetCallerIdentity, ListBuckets,
		ListAccessKeys, CreateAccessKey, UpdateAccessKey, DeleteAccessKey, VaultPKI, EST, StepCA, otherOperation}
}

// Metrics are the figures of one mount. Counters begin at zero with the process. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	failed   [paths][readOutcomes]atomic.Uint64 // reads without credentials, by what came instead
	calls    map[Operation]operation
	waits    prometheus.Histogram

	renewals, rotations [callOutcomes]prometheus.Counter
}

// operation holds the figures of calls to one operation.
type operation struct {
	outcomes [callOutcomes]prometheus.Counter
	seconds  prometheus.Observer
}

// NewMetrics returns the metrics of a mount. Version is the plugin's. The reads that succeed are those of the records:
// a warm read counts once, where no read of another connection counts at the same time.
func NewMetrics(version string, records *Records) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), calls: map[Operation]operation{}}
	m.registerReads(records)
	calls := m.counter("s3conn_calls_total", "Calls to AWS, to S3 stores and to issuers of certificates, by outcome.",
		"operation", "outcome")
	renewals := m.counter("s3conn_renewals_total", "Renewals of certificates, by outcome.", "outcome")
	rotations := m.counter("s3conn_rotations_total", "Rotations of access keys, by outcome.", "outcome")
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "s3conn_call_seconds",
		Help:    "Time that calls took, from their turn to the service's answer.",
		Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}}, []string{"operation"})
	m.waits = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "s3conn_queue_wait_seconds",
		Help:    "Time that calls waited for their turn.",
		Buckets: []float64{0.01, 0.125, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1200}})
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "s3conn_build_info",
		Help: "1, with the version of the plugin that answers."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(seconds, m.waits, info)

	// Every combination exists from the start: Prometheus sees no increase in a series that begins with 1.
	for _, name := range operations() {
		op := operation{seconds: seconds.WithLabelValues(string(name))}
		for outcome := range Outcome(callOutcomes) {
			op.outcomes[outcome] = calls.WithLabelValues(string(name), outcome.String())
		}
		m.calls[name] = op
	}
	for outcome := range Outcome(callOutcomes) {
		m.renewals[outcome] = renewals.WithLabelValues(outcome.String())
		m.rotations[outcome] = rotations.WithLabelValues(outcome.String())
	}
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(counter)
	return counter
}

// registerReads adds a counter for every path and outcome.
func (m *Metrics) registerReads(records *Records) {
	for outcome := range Outcome(readOutcomes) {
		for path := range Path(paths) {
			count := m.failed[path][outcome].Load
			if outcome == OK {
				count = func() uint64 { return records.reads(path) }
			}
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "s3conn_reads_total",
				Help:        "Reads of credentials, by path and outcome.",
				ConstLabels: prometheus.Labels{"path": path.String(), "outcome": outcome.String()}},
				func() float64 { return float64(count()) }))
		}
	}
}

// ReadFailed counts a read that was answered without credentials. One that succeeds is counted by [Record.Read].
func (m *Metrics) ReadFailed(path Path, outcome Outcome) { m.failed[path][outcome].Add(1) }

// Call counts a call to another service, and the time that it took without the wait for its turn.
func (m *Metrics) Call(name Operation, took time.Duration, outcome Outcome) {
	op, known := m.calls[name]
	if !known {
		op = m.calls[otherOperation]
	}
	op.outcomes[outcome].Inc()
	op.seconds.Observe(took.Seconds())
}

// QueueWait notes how long a call waited for its turn.
func (m *Metrics) QueueWait(waited time.Duration) { m.waits.Observe(waited.Seconds()) }

// Renewal counts a renewal of a certificate.
func (m *Metrics) Renewal(outcome Outcome) { m.renewals[outcome].Inc() }

// Rotation counts a rotation of an access key.
func (m *Metrics) Rotation(outcome Outcome) { m.rotations[outcome].Inc() }

// Exposition returns all figures in Prometheus's text format, with the gauges as they are now.
func (m *Metrics) Exposition(now Gauges) ([]byte, error) {
	gauges := prometheus.NewRegistry()
	if err := gauges.Register(gaugesOf(now)); err != nil {
		return nil, fmt.Errorf("collecting the gauges: %w", err)
	}
	families, err := prometheus.Gatherers{m.registry, gauges}.Gather()
	if err != nil {
		return nil, fmt.Errorf("collecting the metrics: %w", err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			return nil, fmt.Errorf("writing the metrics: %w", err)
		}
	}
	return text.Bytes(), nil
}
