package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// load reads and changes connections until the time has passed, with a burst of throttling in the middle.
func (m *monitored) load(length time.Duration) {
	ctx, cancel := context.WithTimeout(m.t.Context(), length)
	defer cancel()
	repeat := func(every time.Duration, do func(n int)) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			do(n)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}
	start, client := time.Now(), m.api.Logical()
	var all sync.WaitGroup
	for path, every := range map[string]time.Duration{"creds/orders": 20 * time.Millisecond,
		"sdk/orders": 35 * time.Millisecond, "creds/reports": 80 * time.Millisecond,
		"creds/denied": 500 * time.Millisecond} {
		all.Go(func() {
			repeat(every, func(int) { _, _ = client.ReadWithContext(ctx, "s3conn/"+path) }) // denied fails on purpose
		})
	}
	all.Go(func() {
		repeat(time.Second, func(n int) {
			if n%2 == 1 && time.Since(start) > length*2/5 && time.Since(start) < length*3/5 {
				m.aws.Inject(rolesanywheretest.Fault{For: roleARN, Times: 3, Status: http.StatusTooManyRequests,
					Code: "ThrottlingException", Message: "Rate exceeded"})
			}
			// A changed connection needs a session of its own.
			data := map[string]any{"session_name": fmt.Sprintf("orders-api-%d", n)}
			_, _ = client.WriteWithContext(ctx, "s3conn/config/orders", data) // the last one may be cut off
		})
	})
	all.Wait()
}
