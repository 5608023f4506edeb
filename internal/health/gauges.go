package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauges are the figures of a mount at the time of a scrape. A zero time and a nil map leave their figures out.
type Gauges struct {
	Connections         map[State]int    // how many are in each state
	Failing             map[Activity]int // how many connections the last try of each activity failed for
	Sessions            int              // live ones in memory
	QueueLength         int              // calls that wait for their turn
	FirstCertificateEnd time.Time        // the earliest end of a certificate that nobody renews
	FirstRenewedEnd     time.Time        // the earliest end of a certificate that is renewed automatically
	FirstSessionEnd     time.Time        // the earliest end of a live session
}

// gaugeCollector hands out the gauges of one scrape.
type gaugeCollector struct {
	now Gauges

	connections, failing, sessions, queueLength, firstCertificateEnd, firstSessionEnd *prometheus.Desc
}

func gaugesOf(now Gauges) *gaugeCollector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &gaugeCollector{
		now: now,
		connections: describe("s3conn_connections", "Connections by state. Absent where storage does not answer.",
			"state"),
		failing: describe("s3conn_connections_failing",
			"Connections for which the last try of the activity failed.", "activity"),
		sessions:    describe("s3conn_sessions", "Live sessions in memory."),
		queueLength: describe("s3conn_queue_length", "Calls that wait for their turn."),
		firstCertificateEnd: describe("s3conn_first_certificate_end_seconds",
			"Earliest end of a connection's certificate, as Unix time, by who renews it. Absent where there is none.",
			"renewal"),
		firstSessionEnd: describe("s3conn_first_session_end_seconds",
			"Earliest end of a live session, as Unix time. Absent where there is none."),
	}
}

// Describe implements prometheus.Collector.
func (c *gaugeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.connections, c.failing, c.sessions, c.queueLength,
		c.firstCertificateEnd, c.firstSessionEnd} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *gaugeCollector) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	end := func(desc *prometheus.Desc, at time.Time, labels ...string) {
		if !at.IsZero() {
			send(desc, float64(at.Unix()), labels...)
		}
	}
	now := c.now
	if now.Connections != nil {
		for _, state := range States() {
			send(c.connections, float64(now.Connections[state]), string(state))
		}
	}
	if now.Failing != nil {
		for activity := range Activity(activities) {
			send(c.failing, float64(now.Failing[activity]), activity.String())
		}
	}
	send(c.sessions, float64(now.Sessions))
	send(c.queueLength, float64(now.QueueLength))
	end(c.firstCertificateEnd, now.FirstCertificateEnd, "none")
	end(c.firstCertificateEnd, now.FirstRenewedEnd, "automatic")
	end(c.firstSessionEnd, now.FirstSessionEnd)
}
