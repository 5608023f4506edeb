package source

import (
	"context"
	"net/http/httptrace"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// onWire returns a context whose HTTP requests wait, once they have a connection, until they may be written. Turn
// returns the turn of the try that is under way, or nil where none is. The wait ends with ctx, which must have a
// deadline; net/http may write a request whose context has ended just then.
func onWire(ctx context.Context, turn func() *budget.Turn) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			if t := turn(); t != nil {
				_ = t.Send(ctx) // it fails where ctx ends, and so does the request
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) {
			if t := turn(); t != nil {
				t.Sent()
			}
		},
	})
}

// always is the turn of a call that is made once.
func always(turn *budget.Turn) func() *budget.Turn { return func() *budget.Turn { return turn } }
