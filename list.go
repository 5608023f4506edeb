package s3conn

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/sync/errgroup"
)

// maxListLoads is how many entries a list loads at a time. Each is a round trip to Vault, which answers many at once.
const maxListLoads = 16

// listWithInfo is a list's response with what load returns about each name. A name for which that is nil was deleted
// meanwhile and is left out.
func (b *backend) listWithInfo(ctx context.Context, req *logical.Request, names []string,
	load func(ctx context.Context, name string) (any, error),
) (*logical.Response, error) {
	shown := make([]any, len(names))
	loads, loading := errgroup.WithContext(ctx)
	loads.SetLimit(maxListLoads)
	for i, name := range names {
		if loading.Err() != nil {
			break // one has failed, or the caller has hung up
		}
		loads.Go(func() (err error) {
			defer func() {
				if recovered := recover(); recovered != nil {
					err = b.panicked(recovered, req)
				}
			}()
			shown[i], err = load(loading, name)
			return err
		})
	}
	if err := loads.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	there := make([]string, 0, len(names))
	info := make(map[string]any, len(names))
	for i, name := range names {
		if shown[i] != nil {
			there = append(there, name)
			info[name] = shown[i]
		}
	}
	return logical.ListResponseWithInfo(there, info), nil
}
