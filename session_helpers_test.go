package s3conn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// bubbleOffset moves a synctest bubble's clock, which starts in 2000, to testTime.
var bubbleOffset = testTime.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))

func bubbleNow() time.Time { return time.Now().Add(bubbleOffset) }

// firstPause is how long a failure without a live session is repeated without a call.
const firstPause = 5 * time.Second

// pass moves a bubble's clock on; nothing sleeps.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// service stands for AWS behind a mount: it counts, fails and hangs as it is set.
type service struct {
	mu       sync.Mutex
	lifetime time.Duration
	calls    []time.Time
	roles    map[string]int
	err      error
	panics   bool
	gate     chan struct{} // nil: answer at once
	deaf     bool          // wait at the gate and nowhere else, whatever becomes of the caller
}

func (s *service) createSession(ctx context.Context, conn *connection.Connection, _ budget.Lane) (session.Session,
	error) {
	s.mu.Lock()
	s.calls = append(s.calls, bubbleNow())
	if s.roles == nil {
		s.roles = map[string]int{}
	}
	s.roles[conn.RoleARN]++
	n, lifetime, err, gate, deaf, panics := len(s.calls), s.lifetime, s.err, s.gate, s.deaf, s.panics
	s.mu.Unlock()
	if panics {
		panic("CANARY")
	}
	if gate != nil && deaf {
		<-gate
	} else if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return session.Session{}, upstream.Describe(source.CreateSession, ctx.Err())
		case <-time.After(upstream.Timeout):
			return session.Session{}, upstream.Describe(source.CreateSession, context.DeadlineExceeded)
		}
	}
	if err != nil {
		return session.Session{}, err
	}
	now := bubbleNow()
	return session.Session{Issued: now,
		AccessKey:    fmt.Sprintf("ASIA%d", n),
		SecretKey:    secret.New(fmt.Sprintf("secret-%d", n)),
		SessionToken: secret.New(fmt.Sprintf("token-%d-%s", n, conn.RoleARN)),
		Expiration:   now.Add(lifetime),
		ARN:          conn.RoleARN,
	}, nil
}

func (s *service) set(change func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// sessionTest runs a test in a bubble with a mount whose sessions last an hour. The bubble fails a test that leaves a
// goroutine behind.
func sessionTest(t *testing.T, run func(t *testing.T, m *mount, aws *service)) {
	t.Parallel()
	loneSessionTest(t, run)
}

// loneSessionTest is sessionTest for work that keeps the machine busy for seconds: tests that talk to real sockets,
// with real time limits, do not run beside it.
func loneSessionTest(t *testing.T, run func(t *testing.T, m *mount, aws *service)) {
	synctest.Test(t, func(t *testing.T) {
		aws := &service{lifetime: time.Hour}
		m := &mount{t: t, storage: &brokenStorage{Storage: &logical.InmemStorage{}}, log: &lockedBuffer{},
			source: aws.createSession}
		m.start()
		run(t, m, aws)
		m.Cleanup(t.Context())
		synctest.Wait()
		if strings.Contains(m.log.String(), "CANARY") || strings.Contains(m.log.String(), "secret-") {
			t.Errorf("the log holds a secret:\n%s", m.log)
		}
	})
}

// got is what one reader got.
type got struct {
	accessKey string
	ttl       int64
	took      time.Duration
	err       error
}

func (m *mount) readCreds(ctx context.Context, name string) got {
	start := time.Now()
	resp, err := m.do(ctx, logical.ReadOperation, "creds/"+name, nil)
	if err == nil && resp.IsError() {
		err = resp.Error()
	}
	if err != nil {
		return got{err: err, took: time.Since(start)}
	}
	return got{accessKey: resp.Data["access_key"].(string), ttl: resp.Data["ttl"].(int64), took: time.Since(start)}
}

// readers starts n readers of each name and returns what they get.
func (m *mount) readers(n int, names ...string) func() []got {
	var wg sync.WaitGroup
	all := make([]got, n*len(names))
	for i := range all {
		wg.Go(func() { all[i] = m.readCreds(context.Background(), names[i%len(names)]) })
	}
	return func() []got { wg.Wait(); return all }
}

func (m *mount) writeConnections(n int) (names []string) {
	m.t.Helper()
	for i := range n {
		name := fmt.Sprintf("orders-%d", i)
		m.write(name, rolesAnywhereFields(m.t, with("role_arn",
			fmt.Sprintf("arn:aws:iam::%s:role/app-%d", testAccount, i))))
		names = append(names, name)
	}
	return names
}
