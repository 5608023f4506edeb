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
	"time"
)

// responseTimeout bounds one read of a target under load.
const responseTimeout = 30 * time.Second

// reader sends one GET again and again over one connection. It writes ready-made bytes and has no goroutines of its own,
// unlike http.Client, which would take from Vault the processor that both share.
type reader struct {
	conn    net.Conn
	buffer  *bufio.Reader
	request []byte
	path    string
}

func newReader(address, path, token string) (*reader, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to Vault: %w", err)
	}
	request := fmt.Appendf(nil, "GET /v1/%s HTTP/1.1\r\nHost: %s\r\nX-Vault-Token: %s\r\nX-Vault-Request: true\r\n\r\n", path, address, token)
	return &reader{conn: conn, buffer: bufio.NewReaderSize(conn, 16<<10), request: request, path: path}, nil
}

// read returns how many bytes the answer's body had.
func (r *reader) read() (int64, error) {
	if err := r.conn.SetDeadline(time.Now().Add(responseTimeout)); err != nil {
		return 0, err
	}
	if _, err := r.conn.Write(r.request); err != nil {
		return 0, fmt.Errorf("reading %s: %w", r.path, err)
	}
	resp, err := http.ReadResponse(r.buffer, nil)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", r.path, err)
	}
	defer resp.Body.Close()
	size, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return 0, fmt.Errorf("reading the answer to %s: %w", r.path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("reading %s: status %d, want 200", r.path, resp.StatusCode)
	}
	return size, nil
}

// load has each of the clients read the path until the time is over, and returns every read's latency.
func load(ctx context.Context, address, path, token string, clients int, length time.Duration) ([]time.Duration, time.Duration, error) {
	var group sync.WaitGroup
	latencies := make([][]time.Duration, clients)
	failures := make([]error, clients)
	start := time.Now()
	for i := range clients {
		group.Go(func() { latencies[i], failures[i] = loadOne(ctx, address, path, token, start.Add(length)) })
	}
	group.Wait()
	took := time.Since(start)
	var all []time.Duration
	for _, one := range latencies {
		all = append(all, one...)
	}
	return all, took, errors.Join(append(failures, ctx.Err())...)
}

func loadOne(ctx context.Context, address, path, token string, until time.Time) ([]time.Duration, error) {
	r, err := newReader(address, path, token)
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
