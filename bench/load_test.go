package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve starts a server and returns its address.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func TestLoad_KeepsConnections(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	clients, reads := map[string]bool{}, 0
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		clients[r.RemoteAddr] = true
		reads++
		if r.URL.Path != "/v1/kv/orders" || r.Header.Get("X-Vault-Token") != "t0ken" {
			t.Errorf("got %s with token %q", r.URL.Path, r.Header.Get("X-Vault-Token"))
		}
		w.Write(make([]byte, 5000)) // chunked, as Vault's larger answers are
	})
	latencies, took, err := load(t.Context(), address, newTour(address, "kv/orders", "t0ken"), 3, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(clients) != 3 {
		t.Errorf("%d connections, want 3", len(clients))
	}
	if len(latencies) != reads || reads <= 3 {
		t.Errorf("%d latencies of %d reads, want one each and more reads than clients", len(latencies), reads)
	}
	if took < 200*time.Millisecond {
		t.Errorf("it took %s, want 200ms or more", took)
	}
}

func TestLoad_NamesWhatWasRefused(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	_, _, err := load(t.Context(), address, newTour(address, "kv/orders", "t0ken"), 1, time.Second)
	if err == nil || !strings.Contains(err.Error(), "reading kv/orders: status 403") {
		t.Errorf("error %v, want the path and the status", err)
	}
}

func TestReader_CountsTheBody(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 4321)) })
	r, err := newReader(address, newTour(address, "kv/orders", "t0ken"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.conn.Close()
	if size, err := r.read(); size != 4321 || err != nil {
		t.Errorf("%d bytes, %v; want 4321", size, err)
	}
}

func TestLoad_TakesEveryTokenInTurn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	reads, total := map[string]int{}, 0
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		reads[r.Header.Get("X-Vault-Token")]++
		total++
	})
	round := newTour(address, "kv/orders", "a", "b", "c")
	for range 3 { // slices: each goes on where the one before ended
		if _, _, err := load(t.Context(), address, round, 4, 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, token := range []string{"a", "b", "c"} {
		if n := reads[token]; n < total/3 || n > total/3+1 {
			t.Errorf("of %d reads %d were made with token %q, want a third", total, n, token)
		}
	}
}

func TestLoad_RefusesATargetWithoutTokens(t *testing.T) {
	t.Parallel()
	_, _, err := load(t.Context(), "127.0.0.1:1", newTour("127.0.0.1:1", "kv/orders"), 1, time.Second)
	if !errors.Is(err, errNoToken) || !strings.Contains(err.Error(), "reading kv/orders") {
		t.Errorf("error %v, want that there is no token for kv/orders", err)
	}
}
