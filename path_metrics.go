package s3conn

import (
	"context"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

const (
	metricsPath = "metrics"

	metricsSynopsis    = "Read this mount's figures for Prometheus."
	metricsDescription = `
  vault read -format=raw s3conn/metrics

Returns counters and gauges of this mount, in this process, in Prometheus's text format. They name no connection, ARN or
account. Counters begin at zero whenever the plugin's process starts. In a cluster each node that answers reads itself
has figures of its own.
`
)

func (b *backend) metricsPaths() []*framework.Path {
	return []*framework.Path{{
		Pattern:         metricsPath + "$",
		DisplayAttrs:    displayAttrs("metrics"),
		HelpSynopsis:    metricsSynopsis,
		HelpDescription: metricsDescription,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{Callback: b.withStatus(b.readMetrics),
				Summary: metricsSynopsis,
				Responses: map[int][]framework.Response{http.StatusOK: {{
					Description: "The figures, in Prometheus's text format.", MediaType: "text/plain"}}}},
		},
	}}
}

func (b *backend) readMetrics(ctx context.Context, req *logical.Request, _ *framework.FieldData) (
	*logical.Response, error,
) {
	text, err := b.monitor.metrics.Exposition(b.gauges(ctx, req.Storage))
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		logical.HTTPContentType:        health.ContentType,
		logical.HTTPStatusCode:         http.StatusOK,
		logical.HTTPRawBody:            text,
		logical.HTTPCacheControlHeader: "no-store",
	}}, nil
}
