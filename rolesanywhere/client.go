package rolesanywhere

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// Client calls CreateSession. It is safe for concurrent use, and cheap to keep: make one and share it,
// since its HTTP connections and its retryer's budget are shared with it.
type Client struct {
	options Options
}

// New returns a client. It does no I/O. As with the SDK's clients an option that cannot be used is an
// error of the call, which wraps [ErrInvalidInput].
func New(o Options, optFns ...func(*Options)) *Client {
	for _, change := range optFns {
		change(&o)
	}
	return &Client{options: o.withDefaults()}
}

// NewFromConfig is [New] with an SDK configuration's region, HTTP client, retryer or retry settings, logger,
// log mode and application id. What cfg holds is the program's to say, also where config.LoadDefaultConfig took
// it from the environment: its HTTP client obeys the environment's proxy variables. Its credentials
// and its BaseEndpoint, which is most often a store's, are not used.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Client {
	return New(Options{
		Region:        cfg.Region,
		HTTPClient:    cfg.HTTPClient,
		Retryer:       configuredRetryer(cfg),
		Logger:        cfg.Logger,
		ClientLogMode: cfg.ClientLogMode,
		AppID:         cfg.AppID,
	}, optFns...)
}

func configuredRetryer(cfg aws.Config) aws.Retryer {
	if cfg.Retryer != nil {
		return cfg.Retryer()
	}
	if cfg.RetryMode == aws.RetryModeAdaptive {
		return retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
			o.StandardOptions = append(o.StandardOptions, attempts(cfg.RetryMaxAttempts))
		})
	}
	return retry.NewStandard(attempts(cfg.RetryMaxAttempts))
}

func attempts(n int) func(*retry.StandardOptions) {
	return func(o *retry.StandardOptions) {
		o.MaxAttempts = defaultAttempts
		if n > 0 {
			o.MaxAttempts = n
		}
	}
}

// Options returns a copy of the client's options, with the defaults filled in.
func (c *Client) Options() Options { return c.options }

// logRetry writes what the SDK's clients write with aws.LogRetries, and never a body or a header.
func (o Options) logRetry(ctx context.Context, attempt int, err error) {
	if o.ClientLogMode.IsRetries() {
		o.logf(ctx, "retrying %s/%s, attempt %d, after: %v", serviceID, operationName, attempt, err)
	}
}
