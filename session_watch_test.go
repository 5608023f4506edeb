package s3conn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

// eventLog is a server that takes events.
type eventLog struct {
	mu   sync.Mutex
	sent []health.Event
	err  error
}

func (l *eventLog) Send(_ context.Context, event health.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, event)
	return l.err
}

// kinds are the types of the events about one connection.
func (l *eventLog) kinds(name string) []health.EventType {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []health.EventType
	for _, event := range l.sent {
		if event.Metadata["connection"] == name {
			kinds = append(kinds, event.Type)
		}
	}
	return kinds
}

// logged are the log's lines of at least the level of information that say the text.
func (m *mount) logged(text string) (lines []string) {
	for line := range strings.Lines(m.log.String()) {
		if strings.Contains(line, text) && !strings.Contains(line, "[DEBUG]") && !strings.Contains(line, "[TRACE]") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestWatch_LogsAndSendsEachChangeOnce(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		server := &eventLog{}
		m.monitor.events = health.NewEvents(t.Context(), server)
		m.writeConnections(1)
		read := func(n int, every time.Duration) {
			for range n {
				m.readCreds(t.Context(), "orders-0")
				pass(every)
			}
		}
		read(100, time.Second)
		if lines := m.logged("orders-0"); len(lines) != 0 {
			t.Errorf("a connection that does well is logged: %q", lines)
		}
		aws.set(func(s *service) { s.err = failedCall(http.StatusForbidden, "AccessDeniedException") })
		pass(45 * time.Minute)
		read(10, time.Minute)
		if lines := m.logged("orders-0"); len(lines) != 1 || !strings.Contains(lines[0], "[WARN]") ||
			!strings.Contains(lines[0], "AccessDeniedException") {
			t.Errorf("ten refreshes that fail are logged as %q, want one warning", lines)
		}
		read(30, time.Minute)
		lines := m.logged("orders-0")
		if len(lines) != 2 || !strings.Contains(lines[1], "[ERROR]") {
			t.Errorf("with the session ended the log has %q, want one error more", lines)
		}
		aws.set(func(s *service) { s.err = nil })
		read(10, time.Minute)
		lines = m.logged("orders-0")
		if len(lines) != 3 || !strings.Contains(lines[2], "[INFO]") || !strings.Contains(lines[2], "again") {
			t.Errorf("with the service back the log has %q, want one line more", lines)
		}
		want := []health.EventType{
			health.SessionObtained,
			health.SessionFailed,
			health.SessionFailed,
			health.SessionObtained,
		}
		if got := server.kinds("orders-0"); !slices.Equal(got, want) {
			t.Errorf("the events are %q, want %q", got, want)
		}
	})
}

// A connection that fails is read all the time; the log says so once, and once that it works again.
func TestWatch_ThousandReadsOfAFailingConnectionAreOneLine(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) { s.err = failedCall(http.StatusForbidden, "AccessDeniedException") })
		for i := range 1000 {
			path := []string{"creds/orders-0", "sdk/orders-0"}[i%2]
			_, _ = m.do(t.Context(), logical.ReadOperation, path, nil)
			pass(time.Second)
		}
		if calls := aws.count(); calls < 10 {
			t.Errorf("%d calls, want one after each pause", calls)
		}
		if lines := m.logged(""); len(lines) != 1 || !strings.Contains(lines[0], "[ERROR]") ||
			!strings.Contains(lines[0], "orders-0") || !strings.Contains(lines[0], "AccessDeniedException") {
			t.Errorf("1,000 failed reads are logged as %q, want one error that names the connection and why", lines)
		}
		aws.set(func(s *service) { s.err = nil })
		pass(time.Minute)
		for range 1000 {
			m.readCreds(t.Context(), "orders-0")
		}
		if lines := m.logged(""); len(lines) != 2 || !strings.Contains(lines[1], "[INFO]") {
			t.Errorf("then the log has %q, want one line more", lines)
		}
	})
}

// A storage that does not answer fails every read; a line a minute says so, however many connections there are.
func TestWatch_ReadsWithoutStorageAreALineAMinute(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		names := m.writeConnections(20)
		for _, name := range names {
			m.readCreds(t.Context(), name)
		}
		m.write("cold", rolesAnywhereFields(t))
		m.storage.breakOn(errStorage, "get")
		const minutes = 10
		for range minutes * 60 {
			_, _ = m.do(t.Context(), logical.ReadOperation, "sdk/cold", nil)
			for _, name := range names {
				m.readCreds(t.Context(), name)
			}
			pass(time.Second)
		}
		for _, text := range []string{"comparing the connection in use", "reading credentials for an SDK"} {
			if lines := m.logged(text); len(lines) == 0 || len(lines) > minutes+1 {
				t.Errorf("%q is logged %d times in %d minutes, want once a minute", text, len(lines), minutes)
			}
		}
	})
}

func TestWatch_AnnouncesACertificatesEndOnceADay(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		server := &eventLog{}
		m.monitor.events = health.NewEvents(t.Context(), server)
		m.writeConnections(1)
		conn, err := loadConnection(t.Context(), m.storage, "orders-0")
		if err != nil {
			t.Fatal(err)
		}
		pass(conn.CertificateEnd().NotAfter.Sub(bubbleNow()) - 20*24*time.Hour)
		for range 48 {
			m.readCreds(t.Context(), "orders-0")
			pass(time.Hour)
		}
		endings := 0
		for _, kind := range server.kinds("orders-0") {
			if kind == health.CertificateEnding {
				endings++
			}
		}
		if lines := m.logged("the certificate ends"); endings != 2 || len(lines) != 2 {
			t.Errorf("in two days the end is announced in %d events and %d lines, want 2 each", endings, len(lines))
		}
	})
}

func TestWatch_ServerThatFailsEventsFailsNoRequest(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.monitor.events = health.NewEvents(t.Context(), &eventLog{err: errors.New("no")})
		m.writeConnections(1)
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil || g.took != 0 {
			t.Errorf("a reader got %+v", g)
		}
		synctest.Wait()
		if n := m.monitor.events.Dropped(); n != 1 {
			t.Errorf("%d events are said to be lost, want 1", n)
		}
	})
}

func TestWatch_UpkeepIsLoggedWhereItBeginsToFail(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	for range 3 {
		m.monitor.upkeep(health.Rotation, "reports", failedCall(http.StatusBadRequest, "AccessDenied"), testTime)
	}
	m.monitor.upkeep(health.Rotation, "reports", nil, time.Time{})
	m.monitor.upkeep(health.Rotation, "reports", nil, time.Time{})
	if lines := m.logged("reports"); len(lines) != 2 || !strings.Contains(lines[0], "[WARN]") ||
		!strings.Contains(lines[1], "succeeds again") {
		t.Errorf("the log has %q, want a warning and a recovery", lines)
	}
	m.wantFigures(`s3conn_rotations_total{outcome="permanent"} 3`, `s3conn_rotations_total{outcome="ok"} 2`)
}

func TestEvents_ServerWithoutThemIsRecognized(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{framework.ErrNoEvents, true},
		{errors.New("rpc error: code = Unknown desc = " + framework.ErrNoEvents.Error()), true},
		{status.Error(codes.Unimplemented, "unknown service"), true},
		{errors.New("the bus is full"), false},
	} {
		if got := eventsUnsupported(tc.err); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.want)
		}
	}
	m := newMount(t)
	if err := (eventSender{m.backend}).Send(
		t.Context(),
		health.Event{Type: health.KeyRotated},
	); !errors.Is(
		err,
		health.ErrEventsUnsupported,
	) {
		t.Errorf("without a server's events: %v", err)
	}
}

func TestEvents_CarryTheirMetadata(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	sender := logical.NewMockEventSender()
	m.start()
	config := &logical.BackendConfig{
		Logger:       m.Logger(),
		System:       m.System(),
		StorageView:  m.storage,
		EventsSender: sender,
	}
	if err := m.Setup(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	event := health.Event{
		Type:     health.SessionObtained,
		Metadata: map[string]string{"connection": "orders", "expiration": "x"},
	}
	if err := (eventSender{m.backend}).Send(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if len(sender.Events) != 1 || sender.Events[0].Type != logical.EventType(health.SessionObtained) {
		t.Fatalf("the server got %+v", sender.Events)
	}
	if got := sender.Events[0].Event.Metadata.AsMap(); got["connection"] != "orders" || got["expiration"] != "x" {
		t.Errorf("the metadata is %v", got)
	}
}
