package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// responseTimeout bounds one read of a target under load.
const responseTimeout = 30 * time.Second

// errNoToken is returned for a target that nobody can read.
var errNoToken = errors.New("there is no token to read with")

// tour is the requests for one path, each with a token of its own, which readers make in turn. It is safe for
// concurrent use.
type tour struct {
	requests [][]byte
	made     atomic.Uint64
	doing    string // in errors
}

func newTour(address, path string, tokens ...string) *tour {
	t := &tour{doing: "reading " + path}
	for _, token := range tokens {
		t.requests = append(t.requests, call{http.MethodGet, path, "", token}.bytes(address))
	}
	return t
}

// next returns the request whose turn it is, which is not to be changed.
func (t *tour) next() []byte { return t.requests[(t.made.Add(1)-1)%uint64(len(t.requests))] }

// reader sends GETs over one connection. It writes ready-made bytes and has no goroutines of its own, unlike
// http.Client, which would take from Vault the processor that both share.
type reader struct {
	conn   net.Conn
	buffer *bufio.Reader
	tour   *tour
}

func newReader(address string, t *tour) (*reader, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to Vault: %w", err)
	}
	return &reader{conn: conn, buffer: bufio.NewReaderSize(conn, 16<<10), tour: t}, nil
}

// call is one request to Vault.
type call struct{ method, path, body, token string }

func (c call) bytes(address string) []byte {
	header := fmt.Appendf(nil, "%s /v1/%s HTTP/1.1\r\nHost: %s\r\nX-Vault-Token: %s\r\nX-Vault-Request: true\r\n",
		c.method, c.path, address, c.token)
	if c.body != "" {
		header = fmt.Appendf(header, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(c.body))
	}
	return fmt.Appendf(header, "\r\n%s", c.body)
}

// statusError is the status of an answer that is no success.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d, want 200 or 204", int(e)) }

// read returns how many bytes the answer's body had.
func (r *reader) read() (int64, error) { return r.exchange(r.tour.doing, r.tour.next()) }

// exchange sends the request and returns how many bytes the answer's body had.
func (r *reader) exchange(doing string, request []byte) (int64, error) {
	if err := r.conn.SetDeadline(time.Now().Add(responseTimeout)); err != nil {
		return 0, err
	}
	if _, err := r.conn.Write(request); err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	resp, err := http.ReadResponse(r.buffer, nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	defer resp.Body.Close()
	size, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return 0, fmt.Errorf("%s: reading the answer: %w", doing, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return 0, fmt.Errorf("%s: %w", doing, statusError(resp.StatusCode))
	}
	return size, nil
}

// load has each of the clients make the tour's requests until the time is over, and returns every read's latency.
func load(ctx context.Context, address string, t *tour, clients int, length time.Duration) ([]time.Duration,
	time.Duration, error) {
	if len(t.requests) == 0 {
		return nil, 0, fmt.Errorf("%s: %w", t.doing, errNoToken)
	}
	var group sync.WaitGroup
	latencies := make([][]time.Duration, clients)
	failures := make([]error, clients)
	start := time.Now()
	for i := range clients {
		group.Go(func() { latencies[i], failures[i] = loadOne(ctx, address, t, start.Add(length)) })
	}
	group.Wait()
	took := time.Since(start)
	var all []time.Duration
	for _, one := range latencies {
		all = append(all, one...)
	}
	return all, took, errors.Join(append(failures, ctx.Err())...)
}

func loadOne(ctx context.Context, address string, t *tour, until time.Time) ([]time.Duration, error) {
	r, err := newReader(address, t)
	if err != nil {
		return nil, err
	}
	defer r.conn.Close()
	latencies := make([]time.Duration, 0, 1<<12)
	for sent := time.Now(); sent.Before(until) && ctx.Err() == nil; {
		if _, err := r.read(); err != nil {
			return nil, err
		}
		answered := time.Now()
		latencies = append(latencies, answered.Sub(sent))
		sent = answered
	}
	return latencies, nil
}
