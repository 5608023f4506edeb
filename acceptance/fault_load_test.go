package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

const (
	loadReadsEvery = 300 * time.Millisecond // of one reader
	// readPatience is longer than the plugin lets any reader wait, so that a read that ends by it hangs.
	readPatience = 60 * time.Second
	// leastLife is what every session that is handed out has left, less what a busy machine loses on the way.
	leastLife = time.Minute - 5*time.Second
)

// rawVault asks a server as it is, so that a test sees the whole answer, whatever it is.
type rawVault struct {
	address, token string
	extra          http.Header // sent with every request
	http           *http.Client
}

// newRawVault keeps connections, unlike the harness's client: hundreds of reads a second would use up the ports.
func newRawVault(t *testing.T, vault *harness.Vault) *rawVault {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &rawVault{address: vault.Address(), token: vault.Token(), http: &http.Client{Transport: transport}}
}

// answer is one exchange; err means that there was no answer.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (v *rawVault) ask(ctx context.Context, method, path, body string) answer {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.address+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	maps.Copy(req.Header, v.extra)
	if v.token != "" {
		req.Header.Set("X-Vault-Token", v.token)
	}
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text), err: err}
}

// vended is what creds/ and sdk/ answer, as far as these tests look at it.
type vended struct {
	accessKey  string
	expiration time.Time
}

func (a answer) vended() (vended, error) {
	var body struct {
		Data struct {
			AccessKey  string    `json:"access_key"`
			Expiration time.Time `json:"expiration"`
		} `json:"data"`
		AccessKeyId string
		Expiration  time.Time
	}
	if a.err != nil {
		return vended{}, a.err
	}
	if a.status != http.StatusOK {
		return vended{}, fmt.Errorf("HTTP %d: %s", a.status, strings.TrimSpace(a.body))
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		return vended{}, fmt.Errorf("parsing the credentials: %w", err)
	}
	v := vended{body.Data.AccessKey, body.Data.Expiration}
	if body.AccessKeyId != "" {
		v = vended{body.AccessKeyId, body.Expiration}
	}
	if v.accessKey == "" {
		return vended{}, fmt.Errorf("the credentials are empty: HTTP %d", a.status)
	}
	if left := time.Until(v.expiration); left < leastLife {
		return vended{}, fmt.Errorf("the credentials have only %s left", left)
	}
	return v, nil
}

// tally is what one reader or several met since the last reset.
type tally struct {
	reads, failed int
	longest       time.Duration // one read took
	last          vended
	lastFailure   time.Time // when it came back
	lastSuccess   time.Time
	says          string // of the last failure
}

func (c *tally) add(other tally) {
	c.reads += other.reads
	c.failed += other.failed
	c.longest = max(c.longest, other.longest)
	if other.lastFailure.After(c.lastFailure) {
		c.lastFailure, c.says = other.lastFailure, other.says
	}
	if other.lastSuccess.After(c.lastSuccess) {
		c.lastSuccess, c.last = other.lastSuccess, other.last
	}
}

// reader reads one path on and on.
type reader struct {
	path string
	mu   sync.Mutex
	seen tally
}

func (r *reader) note(started time.Time, a answer) {
	got, err := a.vended()
	ended := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.reads++
	r.seen.longest = max(r.seen.longest, ended.Sub(started))
	if err != nil {
		r.seen.failed++
		r.seen.lastFailure, r.seen.says = ended, err.Error()
		return
	}
	r.seen.last, r.seen.lastSuccess = got, ended
}

func (r *reader) take() tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

func (r *reader) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = tally{}
}

// load is a steady load of readers, that ends with stop or with the test.
type load struct {
	readers []*reader
	stop    func()
}

// startLoad reads each path, each with a reader of its own.
func startLoad(t *testing.T, vault *rawVault, paths ...string) *load {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	l := &load{stop: func() { cancel(); wg.Wait() }}
	for i, path := range paths {
		r := &reader{path: path}
		l.readers = append(l.readers, r)
		wg.Go(func() {
			// One after the other, so that some reader meets whatever lasts for a part of the interval.
			if !waitUntil(ctx, time.Now().Add(loadReadsEvery*time.Duration(i)/time.Duration(len(paths)))) {
				return
			}
			tick := time.NewTicker(loadReadsEvery)
			defer tick.Stop()
			for ctx.Err() == nil {
				started := time.Now()
				a := vault.ask(ctx, http.MethodGet, path, "")
				if ctx.Err() != nil {
					return // the end of the load is no failure
				}
				r.note(started, a)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) take() tally {
	var all tally
	for _, r := range l.readers {
		all.add(r.take())
	}
	return all
}

func (l *load) reset() {
	for _, r := range l.readers {
		r.reset()
	}
}

// served reports whether every reader has had credentials since the last reset, after its last failure.
func (l *load) served() bool {
	for _, r := range l.readers {
		if seen := r.take(); seen.lastSuccess.IsZero() || !seen.lastSuccess.After(seen.lastFailure) {
			return false
		}
	}
	return true
}

// waitServed waits until every reader has credentials that it asked for after the call.
func (l *load) waitServed(ctx context.Context, within time.Duration) bool {
	called := time.Now()
	return eventually(ctx, within, func() bool {
		for _, r := range l.readers {
			if seen := r.take(); !seen.lastSuccess.After(called.Add(loadReadsEvery)) ||
				seen.lastFailure.After(seen.lastSuccess) {
				return false
			}
		}
		return true
	})
}

// eventually polls in real time: what it waits for is other processes' doing.
func eventually(ctx context.Context, within time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// breath is what a reader leaves to the other tests between two reads: the machine is shared.
const breath = 5 * time.Millisecond

// waitUntil returns at the time, or false when the test ends before.
func waitUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// write is ask for what has to succeed.
func (v *rawVault) write(ctx context.Context, path string, data map[string]any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	a := v.ask(ctx, http.MethodPost, path, string(body))
	if a.err == nil && a.status >= http.StatusBadRequest {
		a.err = fmt.Errorf("HTTP %d: %s", a.status, a.body)
	}
	if a.err != nil {
		return fmt.Errorf("writing %s: %w", path, a.err)
	}
	return nil
}

// shortly is what a table says of a failure.
func shortly(says string) string {
	_, after, found := strings.Cut(says, "CreateSession: ")
	if found {
		says = after
	}
	says, _, _ = strings.Cut(strings.NewReplacer("\n", " ", "|", "/", `\n`, " ").Replace(says), " (HTTP ")
	says, _, _ = strings.Cut(says, `","`)
	if len(says) > 100 {
		says = says[:100] + "..."
	}
	return says
}
