package source

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// stalled is a TLS service that lets nobody in until so many have knocked, and refuses every request.
type stalled struct {
	net.Listener
	server *httptest.Server
	await  int
	inside chan net.Conn

	mu       sync.Mutex
	arrivals []time.Time
}

// Accept is called by one goroutine.
func (s *stalled) Accept() (net.Conn, error) {
	for ; s.await > 0; s.await-- {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s.inside <- conn
	}
	select {
	case conn := <-s.inside:
		return conn, nil
	default:
		return s.Listener.Accept()
	}
}

func (s *stalled) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals = append(s.arrivals, time.Now())
	w.WriteHeader(http.StatusForbidden)
}

const stalledCalls = 12

func newStalled(t *testing.T) *stalled {
	t.Helper()
	s := &stalled{await: stalledCalls, inside: make(chan net.Conn, stalledCalls)}
	s.server = httptest.NewUnstartedServer(s)
	s.Listener, s.server.Listener = s.server.Listener, s
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	return s
}

// caCert is the service's certificate, which is its own authority.
func (s *stalled) caCert() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw}))
}

// check makes the calls, whose turns lie apart and whose connections come about at the same moment. Half a second is
// far more than such requests need if nothing holds them back, and leaves room for a busy machine.
func (s *stalled) check(t *testing.T, call func()) {
	t.Helper()
	var all sync.WaitGroup
	for range stalledCalls {
		all.Go(call)
	}
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.arrivals) != stalledCalls {
		t.Fatalf("%d requests, want %d", len(s.arrivals), stalledCalls)
	}
	slices.SortFunc(s.arrivals, time.Time.Compare)
	if span := s.arrivals[8].Sub(s.arrivals[0]); span < 500*time.Millisecond {
		t.Errorf("the service saw nine requests within %s, and eight a second are allowed", span)
	}
}

func TestObtain_RequestsDoNotPileUpWhereConnectionsStall(t *testing.T) {
	t.Parallel()
	l, s := newLab(t, rolesanywheretest.Options{}), newStalled(t)
	l.Turns = turnsAt(t, 8)
	l.conn.RolesAnywhereEndpoint, l.conn.CACert = s.server.URL, s.caCert()
	s.check(t, func() { _, _ = l.Obtain(t.Context(), &l.conn, budget.First) })
}

func TestSTSObtain_RequestsDoNotPileUpWhereConnectionsStall(t *testing.T) {
	t.Parallel()
	c, s := newChain(t, awstest.Options{}), newStalled(t)
	rate := budget.Rate{PerSecond: 8, Floor: 8}
	turns, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.STS: rate})
	if err != nil {
		t.Fatal(err)
	}
	c.assume.Turns = turns
	c.conn.STSEndpoint, c.conn.CACert = s.server.URL, s.caCert()
	s.check(t, func() { _, _ = c.obtain(t, narrowed(nil)) })
}
