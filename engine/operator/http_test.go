package operator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// web is a server that notes what it is asked.
type web struct {
	*httptest.Server
	mu    sync.Mutex
	asked []asked
}

type asked struct {
	line   string // method and URI
	header http.Header
	host   string
	body   string
}

// newWeb starts a server, with TLS or without; a nil answer is an empty 200.
func newWeb(t testing.TB, answer http.HandlerFunc) *web {
	t.Helper()
	w := &web{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.asked = append(w.asked, asked{r.Method + " " + r.RequestURI, r.Header, r.Host, string(body)})
		w.mu.Unlock()
		if answer != nil {
			answer(rw, r)
		}
	}))
	w.Config.ErrorLog = quiet
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// lines returns what was asked since the last time.
func (w *web) requests() []asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.asked
	w.asked = nil
	return list
}

func (w *web) lines() string {
	var lines []string
	for _, a := range w.requests() {
		lines = append(lines, strings.TrimSpace(a.line+" "+a.body))
	}
	return strings.Join(lines, ", ")
}

// only runs a task and returns the one request that it made.
func (w *web) only(t *testing.T, task *operator.Task) asked {
	t.Helper()
	w.requests()
	mustRun(t, task)
	list := w.requests()
	if len(list) != 1 {
		t.Fatalf("got %d requests, want 1", len(list))
	}
	return list[0]
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// polled runs a task that is to ask for another run, and returns when.
func polled(t *testing.T, task *operator.Task) time.Duration {
	t.Helper()
	_, err := run(t, task)
	var poll *operator.Poll
	if !errors.As(err, &poll) {
		t.Fatalf("got %v, want a poll", err)
	}
	task.State = poll.State
	return poll.After
}

func TestHTTPStoresWhatItGot(t *testing.T) {
	var kind, body string
	server := newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, body)
	})
	p := newProject(t)
	got := mustRun(t, p.task("http>", server.URL))
	if diff := cmp.Diff(`{"http":{"last_status":202}} [http.last_status]`, fmt.Sprint(encoded(got.Store), " ", got.Reset)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	largest := strings.Repeat("x", 65536-2) + "\U0001f600" // two characters of Java's
	for _, tt := range []struct{ kind, body, want string }{
		{"", "", ""},
		{"application/json", `{"a": "${1 + 1}"}`, `{"a": "${1 + 1}"}`},
		{"text/plain; charset=iso-8859-1", "gr\xfc\xdfe", "grüße"},
		{"text/plain; charset=Shift_JIS", "\x93\xfa\x96{", "日本"},
		{"text/plain; charset=none-such", "ü", "ü"},
		{"text/plain; charset", "a\xffb", "a\ufffdb"},
		{"text/plain", largest, largest},
	} {
		kind, body = tt.kind, tt.body
		got := mustRun(t, p.task("http>", server.URL, "store_content", true))
		want := params.Of("http", params.Of("last_status", 202, "last_content", tt.want))
		if !got.Store.Equal(want) || !slices.Equal(got.Reset, []string{"http.last_status", "http.last_content"}) {
			t.Errorf("%s: got %.200s and %v, want %.200s", tt.kind, encoded(got.Store), got.Reset, encoded(want))
		}
	}
	for _, tooLarge := range []string{largest + "x", strings.Repeat("x", 1<<20)} {
		body = tooLarge
		wantFailure(t, p.task("http>", server.URL, "store_content", "true"),
			"HTTP request failed: GET "+server.URL+": the answer is too large to be stored: it has more than 65536 characters")
	}
	client := operator.HTTPClient{MaxStored: 3, UserAgent: "robot"}
	for body, ok := range map[string]bool{"abc": true, "abcd": false} {
		kind = ""
		h := newWeb(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := operator.HTTP(client).Operator.Run(t.Context(), p.task("http>", h.URL, "store_content", true))
		if (err == nil) != ok {
			t.Errorf("%s: got %v, want success: %v", body, err, ok)
		}
		if got := h.requests()[0].header.Get("User-Agent"); got != "robot" {
			t.Errorf("got user agent %q, want robot", got)
		}
	}
}

// What is repeated, by the method, the status and what the task says (O13).
func TestHTTPRepeatsWhatMayBeRepeated(t *testing.T) {
	const once, again = false, true
	for _, tt := range []struct {
		method string
		status int
		retry  any
		want   bool
	}{
		{"GET", 500, nil, again},
		{"head", 503, nil, again},
		{"OPTIONS", 502, nil, again},
		{"TRACE", 500, nil, again},
		{"POST", 500, nil, once},
		{"PUT", 503, nil, once},
		{"DELETE", 500, nil, once},
		{"PATCH", 500, nil, once},
		{"POST", 500, true, again},
		{"POST", 502, "true", again},
		{"GET", 500, false, once},
		{"GET", 404, nil, once},
		{"GET", 400, true, once},
		{"POST", 409, true, once},
		{"GET", 408, nil, again},
		{"GET", 429, nil, again},
		{"POST", 429, nil, again},
		{"POST", 408, nil, again},
		{"GET", 429, false, once},
		{"POST", 408, false, once},
		{"POST", 429, "false", once},
		{"GET", 600, nil, again},
		{"GET", 999, false, once},
	} {
		server := newWeb(t, status(tt.status))
		_, err := run(t, newProject(t).task("http>", server.URL, "method", tt.method, "retry", tt.retry))
		var poll *operator.Poll
		if got := errors.As(err, &poll); err == nil || got != tt.want {
			t.Errorf("%s, %d, retry: %v: got %v, want another try: %v", tt.method, tt.status, tt.retry, err, tt.want)
		}
		if got := len(server.requests()); got != 1 {
			t.Errorf("%s, %d: got %d requests in one run, want 1", tt.method, tt.status, got)
		}
	}
	for _, code := range []int{200, 204, 299, 300, 304} {
		mustRun(t, newProject(t).task("http>", newWeb(t, status(code)).URL))
	}
}

// A request that is repeated waits without a worker, longer each time, and
// gives up in the end (O13).
func TestHTTPGivesUp(t *testing.T) {
	p := newProject(t)
	server := newWeb(t, status(503))
	task := p.task("http>", server.URL)
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		if got := polled(t, task); got != want*time.Second {
			t.Errorf("try %d: got %v, want %v", i, got, want*time.Second)
		}
	}
	const failed = ": 503 Service Unavailable"
	wantFailure(t, task, "HTTP request failed: GET "+server.URL+": after 7 retries"+failed)
	if got := len(server.requests()); got != 8 {
		t.Errorf("got %d requests, want 8", got)
	}
	if got, want := p.logged(), "GET "+server.URL+failed+": retry 1 of 7 in 1s\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got the log %s, want it to begin with %s", got, want)
	}
	task = p.task("http>", server.URL, "retry_limit", 1)
	polled(t, task)
	wantFailure(t, task, "HTTP request failed: GET "+server.URL+": after 1 retries"+failed)
	wantFailure(t, p.task("http>", server.URL, "retry_limit", 0), "HTTP request failed: GET "+server.URL+": after 0 retries"+failed)
	wantFailure(t, p.task("http>", server.URL, "retry_limit", -1), "Parameter 'retry_limit' must be 0 or more, not -1 (config)")
}

func TestHTTPWaitsAsLongAsItIsTold(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": time.Second, "0": time.Second, "17": 17 * time.Second, "-3": time.Second, "soon": time.Second,
		began.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		began.Add(-time.Hour).Format(http.TimeFormat):  time.Second,
		"99999999999999999999":                         time.Second, "999999999": 24 * time.Hour, "Fri, 01 Jan 9999 00:00:00 GMT": 24 * time.Hour,
	} {
		server := newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		if got := polled(t, newProject(t).task("http>", server.URL)); got != want {
			t.Errorf("Retry-After: %s: got %v, want %v", header, got, want)
		}
	}
}

func TestHTTPTellsWhatFailed(t *testing.T) {
	var body string
	server := newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, body)
	})
	p := newProject(t)
	for _, tt := range []struct{ body, want string }{
		{"", ""},
		{"no ${rows}", ": no ${rows}"},
		{strings.Repeat("ü", 200), ": " + strings.Repeat("ü", 200)},
		{strings.Repeat("ü", 201), ": " + strings.Repeat("ü", 197) + "..."},
		{strings.Repeat("x", 100<<10), ""},
	} {
		body = tt.body
		wantFailure(t, p.task("http>", server.URL+"/a?b=c", "method", "put"),
			"HTTP request failed: PUT "+server.URL+"/a?b=c: 409 Conflict"+tt.want)
	}
}

func TestHTTPEndsWithItsContext(t *testing.T) {
	killed := errors.New("attempt killed")
	ctx, cancel := context.WithCancelCause(t.Context())
	server := newWeb(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(killed)
		<-r.Context().Done()
	})
	_, err := operator.Builtin()["http"].Operator.Run(ctx, newProject(t).task("http>", server.URL))
	var failure *operator.Error
	var poll *operator.Poll
	if !errors.Is(err, killed) || errors.As(err, &failure) || errors.As(err, &poll) {
		t.Errorf("got %T %v, want the cause, and no failure of the task", err, err)
	}
}
