package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

func TestEach_SendsEveryCallOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	clients, calls := map[string]bool{}, map[string]int{}
	var once sync.Once
	allThere := make(chan struct{})
	s := &server{address: serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		if clients[r.RemoteAddr] = true; len(clients) == 4 {
			once.Do(func() { close(allThere) })
		}
		mu.Unlock()
		<-allThere // or a client that starts late finds no call left
		mu.Lock()
		defer mu.Unlock()
		calls[fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, body, r.Header.Get("X-Vault-Token"))]++
		w.WriteHeader(http.StatusNoContent)
	})}
	const n = 50
	took, err := s.each(t.Context(), n, 4, func(i int) call {
		return call{http.MethodPost, fmt.Sprintf("s3conn/config/c%d", i), fmt.Sprintf(`{"i":%d}`, i), "t0ken"}
	})
	if err != nil || took <= 0 {
		t.Fatalf("it took %s: %v", took, err)
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		if want := fmt.Sprintf(`POST /v1/s3conn/config/c%d {"i":%d} t0ken`, i, i); calls[want] != 1 {
			t.Errorf("%q was sent %d times, want once", want, calls[want])
		}
	}
	if len(calls) != n || len(clients) != 4 {
		t.Errorf("%d calls over %d connections, want %d over 4", len(calls), len(clients), n)
	}
}

func TestEach_EndsAtARefusal(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := &server{address: serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if strings.HasSuffix(r.URL.Path, "/c3") {
			w.WriteHeader(http.StatusBadRequest)
		}
	})}
	_, err := s.each(t.Context(), 10_000, 2, func(i int) call {
		return call{http.MethodGet, fmt.Sprintf("s3conn/creds/c%d", i), "", ""}
	})
	if err == nil || !strings.HasPrefix(err.Error(), "GET s3conn/creds/c3: status 400") ||
		strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v, want the call and the status", err)
	}
	if n := calls.Load(); n == 10_000 {
		t.Errorf("%d calls were sent, want none after the refusal", n)
	}
}

// sealable is as much of Vault as seals and unseals; once unsealed, it refuses the first reads.
type sealable struct {
	sealed         atomic.Bool
	keys           atomic.Value
	refusals, read atomic.Int64
}

func (v *sealable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/sys/seal":
		v.sealed.Store(true)
		w.WriteHeader(http.StatusNoContent)
	case "/v1/sys/unseal":
		body, _ := io.ReadAll(r.Body)
		v.keys.Store(string(body))
		v.sealed.Store(false)
		fmt.Fprint(w, `{"sealed":false}`)
	case "/v1/sys/seal-status":
		fmt.Fprintf(w, `{"sealed":%v}`, v.sealed.Load())
	case "/v1/" + missing:
		v.read.Add(1)
		if v.sealed.Load() || v.refusals.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNotFound) // of a connection that is not there
	default:
		http.Error(w, r.URL.Path, http.StatusTeapot)
	}
}

func TestRestart_EndsWithAnAnswer(t *testing.T) {
	t.Parallel()
	v := &sealable{}
	v.refusals.Store(2)
	s := &server{address: serve(t, v.ServeHTTP), unsealKey: "k3y"}
	config := api.DefaultConfig()
	config.Address = "http://" + s.address
	var err error
	if s.client, err = api.NewClient(config); err != nil {
		t.Fatal(err)
	}
	took, err := s.restart(t.Context())
	if err != nil || took <= 0 || took > 30*time.Second {
		t.Errorf("it took %s: %v", took, err)
	}
	if keys, _ := v.keys.Load().(string); !strings.Contains(keys, `"k3y"`) {
		t.Errorf("unsealed with %s, want the server's key", keys)
	}
	if n := v.read.Load(); n != 3 {
		t.Errorf("%d reads, want 3: two that were refused and one that was answered", n)
	}
}

func TestReport_Scale(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	report{&text}.scale(scaleFigures{
		connections: 1000, clients: 8, write: 4 * time.Second, list: 120 * time.Millisecond,
		read:        500 * time.Millisecond,
		firstStatus: 800 * time.Millisecond, status: 40 * time.Millisecond, statusList: 90 * time.Millisecond,
		metrics: 50 * time.Millisecond, startEmpty: 90 * time.Millisecond, start: 95 * time.Millisecond,
		before: 26 << 10, after: 28 << 10,
	})
	for _, want := range []string{
		"| what | no connection | 1000 connections |",
		"| unseal until a read is answered, median of 3 | 90 ms | 95 ms |",
		"| write each once, 8 clients | - | 4.0 s (250 a second) |",
		"| LIST config/, median of 3 | - | 120 ms |",
		"| first read of status after a start | - | 800 ms |",
		"| later reads of status, median of 3 | - | 40 ms |",
		"| LIST status/, median of 3 | - | 90 ms |",
		"| read of metrics, median of 3 | - | 50 ms |",
		"| first read of each, 8 clients | - | 0.5 s (2000 a second) |",
		"| plugin's resident memory before these reads | - | 26.0 MiB |",
		"| and after them | - | 28.0 MiB |",
		"| more for each connection in use, garbage included | - | 2.0 KiB |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

func TestOptions_DoOneThing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options options
		want    string
	}{
		{options{clients: 1}, ""},
		{options{clients: 8, profile: "/tmp/p"}, ""},
		{options{clients: 8, connections: 10}, ""},
		{options{clients: 0, connections: 10}, "-clients 0"},
		{options{clients: 8, connections: -1}, "-connections -1"},
		{options{clients: 8, connections: 10, profile: "/tmp/p"}, "-profile"},
	} {
		err := c.options.check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.options, err, c.want)
		}
	}
}
