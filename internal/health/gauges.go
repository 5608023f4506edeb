package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gaugeCollector asks once a scrape for all gauges, so that they belong together.
type gaugeCollector struct {
	gauges func() Gauges

	sessions, queueLength, firstCertificateEnd, firstSessionEnd *prometheus.Desc
}

func collected(gauges func() Gauges) *gaugeCollector {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return &gaugeCollector{
		gauges:      gauges,
		sessions:    describe("s3conn_sessions", "Live sessions in memory."),
		queueLength: describe("s3conn_queue_length", "Calls that wait for their turn."),
		firstCertificateEnd: describe("s3conn_first_certificate_end_seconds",
			"Earliest end of a connection's certificate, as Unix time. Absent where there is none."),
		firstSessionEnd: describe("s3conn_first_session_end_seconds",
			"Earliest end of a live session, as Unix time. Absent where there is none."),
	}
}

// Describe implements prometheus.Collector.
func (c *gaugeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.sessions, c.queueLength, c.firstCertificateEnd, c.firstSessionEnd} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *gaugeCollector) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	end := func(desc *prometheus.Desc, at time.Time) {
		if !at.IsZero() {
			send(desc, float64(at.Unix()))
		}
	}
	now := c.gauges()
	send(c.sessions, float64(now.Sessions))
	send(c.queueLength, float64(now.QueueLength))
	end(c.firstCertificateEnd, now.FirstCertificateEnd)
	end(c.firstSessionEnd, now.FirstSessionEnd)
}
