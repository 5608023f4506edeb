package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/bench/answer"
)

// repeats is how often is measured what takes a moment; the median counts.
const repeats = 3

// scaleFigures are what may depend on how many connections a mount has.
type scaleFigures struct {
	connections, clients int
	write, read          time.Duration // of all connections
	list                 time.Duration
	firstStatus          time.Duration // after a start, and all that follow
	status, statusList   time.Duration
	metrics              time.Duration
	startEmpty, start    time.Duration // without connections, and with them
	before, after        int64         // resident memory in KiB, before and after the connections' first reads
}

// scale fills one mount with connections. They have access keys, which are answered from storage alone: no upstream
// is measured.
func scale(ctx context.Context, o options, s *server, ours program) error {
	if err := errors.Join(s.register(ctx, ours), s.mountAt(ctx, "s3conn", ours.name)); err != nil {
		return err
	}
	f := scaleFigures{connections: o.connections, clients: o.clients}
	name := func(i int) string { return fmt.Sprintf("scale-%06d", i) }
	var err error
	say("unsealing without connections")
	if f.startEmpty, err = middle(ctx, s.restart); err != nil {
		return err
	}
	say("writing %d connections", o.connections)
	f.write, err = s.each(ctx, o.connections, o.clients, func(i int) call {
		return call{http.MethodPost, "s3conn/config/" + name(i),
			fmt.Sprintf(`{"access_key":"AKIA%016d","secret_key":"%040d","region":%q}`, i, i, answer.Region), s.token}
	})
	if err != nil {
		return err
	}
	say("listing them")
	if f.list, err = middle(ctx, func(ctx context.Context) (time.Duration, error) {
		return s.each(ctx, 1, 1, func(int) call { return call{"LIST", "s3conn/config", "", s.token} })
	}); err != nil {
		return err
	}
	say("unsealing with them")
	if f.start, err = middle(ctx, s.restart); err != nil {
		return err
	}
	before, err := s.atRest(ctx, ours)
	if err != nil {
		return err
	}
	say("reading each once")
	f.read, err = s.each(ctx, o.connections, o.clients, func(i int) call {
		return call{http.MethodGet, "s3conn/creds/" + name(i), "", s.token}
	})
	if err != nil {
		return err
	}
	after, err := s.atRest(ctx, ours)
	if err != nil {
		return err
	}
	f.before, f.after = before[ours.name], after[ours.name]
	if err := s.statuses(ctx, &f); err != nil {
		return err
	}
	r := report{os.Stdout}
	r.machine(caption(o.storage))
	r.scale(f)
	return nil
}

// statuses measures how long an operator waits for a look at all connections, of which every one has been read.
func (s *server) statuses(ctx context.Context, f *scaleFigures) error {
	say("asking how they do")
	once := func(method, path string) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (time.Duration, error) {
			return s.each(ctx, 1, 1, func(int) call { return call{method, "s3conn/" + path, "", s.token} })
		}
	}
	var err error
	if f.firstStatus, err = once(http.MethodGet, "status")(ctx); err != nil {
		return err
	}
	for _, one := range []struct {
		took         *time.Duration
		method, path string
	}{{&f.status, http.MethodGet, "status"}, {&f.statusList, "LIST", "status"},
		{&f.metrics, http.MethodGet, "metrics"}} {
		if *one.took, err = middle(ctx, once(one.method, one.path)); err != nil {
			return err
		}
	}
	return nil
}

// middle is the median of some goes.
func middle(ctx context.Context, measure func(context.Context) (time.Duration, error)) (time.Duration, error) {
	var all []time.Duration
	for range repeats {
		took, err := measure(ctx)
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	return durations(all, 0.5), nil
}

// each has the clients make the calls 0 to n-1, each once, and returns how long all of them took. It ends at the
// first failure.
func (s *server) each(ctx context.Context, n, clients int, what func(i int) call) (time.Duration, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	var next atomic.Int64
	failures := make([]error, clients)
	start := time.Now()
	for client := range clients {
		group.Go(func() {
			if failures[client] = s.some(inner, n, &next, what); failures[client] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	took := time.Since(start)
	return took, errors.Join(append(failures, ctx.Err())...)
}

// some is one client's share of each.
func (s *server) some(ctx context.Context, n int, next *atomic.Int64, what func(i int) call) error {
	r, err := newReader(s.address, nil)
	if err != nil {
		return err
	}
	defer r.conn.Close()
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= n {
			return nil
		}
		one := what(i)
		if _, err := r.exchange(one.method+" "+one.path, one.bytes(s.address)); err != nil {
			return err
		}
		if tenth := n / 10; tenth > 0 && (i+1)%tenth == 0 {
			say("%d of %d", i+1, n)
		}
	}
	return nil
}

// missing is a connection that is not there: the answer to it costs the same however many others there are.
const missing = "s3conn/config/missing"

// restartPoll is how exactly the end of a start is known.
const restartPoll = 2 * time.Millisecond

// restart seals the server, which ends the plugin, and returns how long it takes from the unsealing until the mount
// answers.
func (s *server) restart(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("it was not ready within %s", readyTimeout))
	defer cancel()
	sys := s.client.Sys()
	if err := sys.SealWithContext(ctx); err != nil {
		return 0, fmt.Errorf("sealing Vault: %w", err)
	}
	err := s.until(ctx, restartPoll, func() error {
		status, err := sys.SealStatusWithContext(ctx)
		if err == nil && !status.Sealed {
			err = errors.New("it is not sealed yet")
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	r, err := newReader(s.address, newTour(s.address, missing, s.token))
	if err != nil {
		return 0, err
	}
	defer r.conn.Close()
	start := time.Now()
	if _, err := sys.UnsealWithContext(ctx, s.unsealKey); err != nil {
		return 0, fmt.Errorf("unsealing Vault: %w", err)
	}
	err = s.until(ctx, restartPoll, func() error {
		_, err := r.read()
		if errors.Is(err, statusError(http.StatusNotFound)) {
			return nil
		}
		return err
	})
	return time.Since(start), err
}

func (r report) scale(f scaleFigures) {
	r.title("One mount with many connections")
	r.header("what", "no connection", fmt.Sprintf("%d connections", f.connections))
	millis := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", d.Seconds()*1000) }
	mib := func(kib int64) string { return fmt.Sprintf("%.1f MiB", float64(kib)/1024) }
	rate := func(d time.Duration) string {
		return fmt.Sprintf("%.1f s (%.0f a second)", d.Seconds(), float64(f.connections)/d.Seconds())
	}
	r.row(fmt.Sprintf("unseal until a read is answered, median of %d", repeats), millis(f.startEmpty), millis(f.start))
	r.row(fmt.Sprintf("write each once, %d clients", f.clients), "-", rate(f.write))
	r.row(fmt.Sprintf("LIST config/, median of %d", repeats), "-", millis(f.list))
	r.row("first read of status after a start", "-", millis(f.firstStatus))
	r.row(fmt.Sprintf("later reads of status, median of %d", repeats), "-", millis(f.status))
	r.row(fmt.Sprintf("LIST status/, median of %d", repeats), "-", millis(f.statusList))
	r.row(fmt.Sprintf("read of metrics, median of %d", repeats), "-", millis(f.metrics))
	r.row(fmt.Sprintf("first read of each, %d clients", f.clients), "-", rate(f.read))
	r.row("plugin's resident memory before these reads", "-", mib(f.before))
	r.row("and after them", "-", mib(f.after))
	r.row("more for each connection in use, garbage included", "-",
		fmt.Sprintf("%.1f KiB", float64(f.after-f.before)/float64(f.connections)))
}
