package rolesanywheretest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFault_Answer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  Fault
		status int
		code   string
		body   string
	}{
		"error": {Fault{Status: 429, Code: "ThrottlingException", Message: "Rate exceeded"}, 429,
			"ThrottlingException", `{"message":"Rate exceeded"}`},
		"code alone": {Fault{Code: "ValidationException", Message: "no"}, 400, "ValidationException",
			`{"message":"no"}`},
		"status":      {Fault{Status: 503}, 503, "", `{"message":""}`},
		"garbage":     {Fault{Body: []byte("<html>")}, 201, "", "<html>"},
		"empty body":  {Fault{Body: []byte{}}, 201, "", ""},
		"redirect":    {Fault{Redirect: "http://127.0.0.1:1/"}, 307, "", `{"message":""}`},
		"permanently": {Fault{Status: 301, Redirect: "http://127.0.0.1:1/"}, 301, "", `{"message":""}`},
		"huge":        {Fault{Status: 500, HugeBody: 15}, 500, "", `{"message":"aaa`},
		"tiny huge":   {Fault{HugeBody: 3}, 201, "", `{"m`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{})
			w.Inject(c.fault)
			got := w.call(t, nil)
			if got.Code != c.status || got.Header().Get("X-Amzn-ErrorType") != c.code || got.Body.String() != c.body ||
				got.Header().Get("Location") != c.fault.Redirect {
				t.Errorf("status %d, header %v, body %q", got.Code, got.Header(), got.Body)
			}
			if got.Header().Get("X-Amzn-RequestId") == "" {
				t.Error("no request id")
			}
			if recorded := w.Requests()[0]; recorded.Status != c.status || recorded.Code != c.code ||
				recorded.Reason != "injected fault" ||
				recorded.RoleARN != testRole {
				t.Errorf("recorded %+v", recorded)
			}
			if w.Sessions() != 0 {
				t.Error("a fault was counted as a session")
			}
		})
	}
}

func TestFault_Header(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.Inject(Fault{Status: 503, Header: http.Header{"retry-after": {"7"}, "Content-Type": {"text/html"}}})
	got := w.call(t, nil).Header()
	if got.Get("Retry-After") != "7" || got.Get("Content-Type") != "text/html" {
		t.Errorf("header %v", got)
	}
}

func TestFault_Session(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault Fault
		want  string
	}{
		"empty set":     {Fault{EmptyCredentialSet: true}, `"credentialSet":[]`},
		"no expiration": {Fault{NoExpiration: true}, `"accessKeyId":"A","secretAccessKey"`},
		"expiration":    {Fault{Expiration: testTime()}, `"expiration":"2030-03-01T12:00:00Z"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Options{Vend: func(context.Context, SessionRequest) (Credentials, error) {
				return Credentials{AccessKeyID: "A"}, nil
			}})
			w.Inject(c.fault)
			got := w.call(t, nil)
			if got.Code != http.StatusCreated || !strings.Contains(got.Body.String(), c.want) || w.Sessions() != 1 {
				t.Errorf("status %d, %s", got.Code, got.Body)
			}
			w.Inject(c.fault)
			if got := w.call(t, func(u *unsigned) { u.serial += "1" }); got.Code != http.StatusForbidden {
				t.Errorf("status %d of a forged request, want 403: such a fault must not open the service", got.Code)
			}
		})
	}
}

func TestFault_Queue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.Inject(Fault{Times: 2, Status: 500})
	w.Inject(Fault{Status: 503, For: "other"})
	w.Inject(Fault{Times: 1, Status: 429})
	w.Inject(Fault{Status: 502})
	for i, want := range []int{500, 500, 429, 502, 502, 502} {
		if got := w.call(t, nil); got.Code != want {
			t.Errorf("call %d: status %d, want %d", i, got.Code, want)
		}
	}
	w.Clear()
	if got := w.call(t, nil); got.Code != http.StatusCreated {
		t.Errorf("status %d after Clear, want 201", got.Code)
	}
}

func TestFault_For(t *testing.T) {
	t.Parallel()
	for _, name := range []string{testProfile, testRole, testAnchor, "orders"} {
		w := newWorld(t, Options{})
		w.Inject(Fault{Status: 503, For: name})
		w.Inject(Fault{Status: 500, For: name + "x"})
		if got := w.call(t, func(u *unsigned) { u.body = with("roleSessionName", "orders") }); got.Code != 503 {
			t.Errorf("For %s: status %d, want 503", name, got.Code)
		}
	}
}

// serve runs one request in a bubble and reports when the headers and the end came, by its clock.
func serve(t *testing.T, w *world, ctx context.Context) (status int, header, end time.Duration, aborted bool) {
	t.Helper()
	began := time.Now()
	recorder := &timedRecorder{ResponseRecorder: httptest.NewRecorder(), began: began}
	func() {
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				aborted = true
			}
		}()
		w.ServeHTTP(recorder, newUnsigned(w.issued).sign(t).WithContext(ctx))
	}()
	return recorder.Code, recorder.header, time.Since(began), aborted
}

type timedRecorder struct {
	*httptest.ResponseRecorder
	began  time.Time
	header time.Duration
}

func (r *timedRecorder) WriteHeader(status int) {
	r.header = time.Since(r.began)
	r.ResponseRecorder.WriteHeader(status)
}

func TestFault_Delay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault       Fault
		cancel      time.Duration // 0: never
		closed      time.Duration // 0: never
		status      int
		header, end time.Duration
		aborted     bool
	}{
		"header": {fault: Fault{HeaderDelay: 3 * time.Second}, status: 201, header: 3 * time.Second,
			end: 3 * time.Second},
		"body": {fault: Fault{BodyDelay: 3 * time.Second}, status: 201, end: 3 * time.Second},
		"both, of an error": {fault: Fault{HeaderDelay: 2 * time.Second, BodyDelay: 3 * time.Second, Status: 500},
			status: 500, header: 2 * time.Second, end: 5 * time.Second},
		"header, client gone": {fault: Fault{HeaderDelay: time.Hour}, cancel: time.Second, status: 200,
			end: time.Second, aborted: true},
		"body, client gone": {fault: Fault{BodyDelay: time.Hour}, cancel: time.Second, status: 201, end: time.Second,
			aborted: true},
		"header, closed": {fault: Fault{HeaderDelay: time.Hour}, closed: time.Second, status: 201,
			header: time.Second, end: time.Second},
		"hang, client gone": {fault: Fault{Hang: true}, cancel: time.Minute, status: 200, end: time.Minute,
			aborted: true},
		"hang, closed": {fault: Fault{Hang: true}, closed: time.Minute, status: 200, end: time.Minute,
			aborted: true},
		"drop": {fault: Fault{Drop: true}, status: 200, aborted: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Options{})
				w.Inject(c.fault)
				ctx := context.Background()
				if c.cancel > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.cancel)
					defer cancel()
				}
				if c.closed > 0 {
					time.AfterFunc(c.closed, w.Close)
				}
				status, header, end, aborted := serve(t, w, ctx)
				if status != c.status || header != c.header || end != c.end || aborted != c.aborted {
					t.Errorf("status %d, headers after %s, end after %s, aborted %t", status, header, end, aborted)
				}
				if w.Calls() != 1 || len(w.Requests()) != 1 {
					t.Errorf("%d calls, %d requests, want 1 and 1", w.Calls(), len(w.Requests()))
				}
			})
		})
	}
}

// TestFault_OverHTTP tries what only a connection shows.
func TestFault_OverHTTP(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   Fault
		sendErr error // of Do
		readErr error // of reading the body
	}{
		"drop":     {Fault{Drop: true}, io.EOF, nil},
		"truncate": {Fault{Status: 500, Body: []byte("0123456789"), Truncate: true}, nil, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewServer(Options{})
			t.Cleanup(s.Close)
			s.Inject(c.fault)
			response, err := s.Client().Post(s.URL+"/sessions", "application/json", strings.NewReader("{}"))
			if c.sendErr != nil {
				var wrapped *url.Error
				if !errors.As(err, &wrapped) || !errors.Is(err, c.sendErr) {
					t.Errorf("error %v, want %v", err, c.sendErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got, err := io.ReadAll(response.Body); !errors.Is(err, c.readErr) || string(got) != "01234" {
				t.Errorf("read %q, error %v, want %v", got, err, c.readErr)
			}
		})
	}
}

// TestFault_KeepsItsOwn: a fault that is waiting must not change with what it was made of.
func TestFault_KeepsItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	fault := Fault{Status: 500, Body: []byte("before"), Header: http.Header{"Retry-After": {"1"}}}
	w.Inject(fault)
	copy(fault.Body, "after!")
	fault.Header.Set("Retry-After", "2")
	if got := w.call(t, nil); got.Body.String() != "before" || got.Header().Get("Retry-After") != "1" {
		t.Errorf("header %v, body %q", got.Header(), got.Body)
	}
}
