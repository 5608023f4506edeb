package s3conn

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

// eventSender hands events to the server.
type eventSender struct{ *backend }

// Send implements health.Sender.
func (s eventSender) Send(ctx context.Context, event health.Event) error {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(event.Metadata)) {
		pairs = append(pairs, key, event.Metadata[key])
	}
	err := logical.SendEvent(ctx, s.Backend, string(event.Type), pairs...)
	if eventsUnsupported(err) {
		return health.ErrEventsUnsupported
	}
	return err
}

// eventsUnsupported knows the error of a server without events: across gRPC it is a text, and a server that does not
// even know the call says so.
func eventsUnsupported(err error) bool {
	return err != nil && (errors.Is(err, framework.ErrNoEvents) || status.Code(err) == codes.Unimplemented ||
		strings.Contains(err.Error(), framework.ErrNoEvents.Error()))
}
