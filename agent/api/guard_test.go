package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gitdag/engine/flow"
	"gitdag/engine/tasklog"
)

// nothing is an engine, a history, logs and repositories without content, which
// answer every change with an error.
type nothing struct{ err error }

func (n nothing) View(read func(*flow.State))                  { read(flow.New(flow.Config{})) }
func (n nothing) Definition(string) (*Definition, error)       { return nil, n.err }
func (n nothing) Full() bool                                   { return true }
func (n nothing) Start(context.Context, Start) (uint64, error) { return 0, n.err }
func (n nothing) Kill(context.Context, uint64) error           { return n.err }
func (n nothing) Attempt(context.Context, uint64) (*flow.Record, error) {
	return &flow.Record{Attempt: flow.AttemptFacts{ID: 1, Timezone: "Nowhere/Else"}}, nil
}
func (n nothing) Session(context.Context, uint64) (*flow.Record, error) { return nil, n.err }
func (n nothing) Record(context.Context, uint64) (*flow.Record, error)  { return nil, n.err }
func (n nothing) Attempts(context.Context, Query, bool) ([]*flow.Record, error) {
	return nil, n.err
}
func (n nothing) Sessions(context.Context, Query) ([]*flow.Record, error) { return nil, n.err }
func (n nothing) SessionAttempts(context.Context, uint64, uint64, int) ([]*flow.Record, error) {
	return nil, n.err
}
func (n nothing) Ran(context.Context, uint64) (*flow.Record, error) { return nil, n.err }
func (n nothing) RanOf(context.Context, uint64, string) ([]*flow.Record, error) {
	return nil, n.err
}
func (n nothing) List(uint64) ([]tasklog.Info, error) { return nil, n.err }
func (n nothing) Open(uint64, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("begin"), brokenReader(n))), nil
}

type brokenReader struct{ err error }

func (f brokenReader) Read([]byte) (int, error) { return 0, f.err }

func newServer(err error, log io.Writer, token string) http.Handler {
	n := nothing{err}
	return New(Options{
		Engine: n, History: n, Logs: n, Version: "1", Token: func() string { return token }, Log: slog.New(slog.NewTextHandler(log, nil)),
		Webhooks: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
	})
}

func ask(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	in := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		in.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, in)
	return out
}

// Each route is asked by each method without a token, with a wrong one and with
// the right one. Only the open ones answer without.
// All others are challenged (Q1), be the header absent or malformed (Q37).
func TestToken(t *testing.T) {
	h := newServer(fmt.Errorf("attempt 1: %w", ErrNotFound), io.Discard, "s3cret")
	open := map[string]bool{
		"GET /livez": true, "HEAD /livez": true, "GET /readyz": true, "HEAD /readyz": true,
		"GET /api/version": true, "HEAD /api/version": true,
	}
	paths := []string{"/", "/api", "/api/nothing", "/api/version/", "/%61pi/version", "/livez/x"}
	for _, r := range (&server{}).routes() {
		paths = append(paths, strings.NewReplacer("{id}", "1", "{name}", "x").Replace(r.path))
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "TRACE", "OPTIONS"} {
			free := open[method+" "+strings.TrimSuffix(path, "/")] || method == "OPTIONS"
			for _, given := range []string{"", "Bearer wrong", "Bearer", "Basic s3cret", "s3cret", "Bearer s3cret2", "Bearer s3cre"} {
				answer := ask(h, method, path, "Authorization", given)
				if got := answer.Code != http.StatusUnauthorized; got != free {
					t.Errorf("%s %s with %q: got %d", method, path, given, answer.Code)
				}
				if !free && answer.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: no challenge", method, path)
				}
			}
			for _, given := range []string{"Bearer s3cret", "bearer  s3cret"} {
				if answer := ask(h, method, path, "Authorization", given); answer.Code == http.StatusUnauthorized {
					t.Errorf("%s %s with %q: got 401", method, path, given)
				}
			}
		}
	}
	if answer := ask(h, "POST", "/webhooks/github"); answer.Code != http.StatusTeapot {
		t.Errorf("a webhook without a token: got %d, want the answer of its handler", answer.Code)
	}
}

// A page of another site must not be able to start or kill anything.
func TestOtherSites(t *testing.T) {
	h := newServer(errors.New("unused"), io.Discard, "")
	for _, c := range []struct {
		method, site string
		want         int
	}{
		{"POST", "cross-site", 403},
		{"POST", "same-site", 403},
		{"POST", "same-origin", 404},
		{"POST", "none", 404},
		{"POST", "", 404},
		{"GET", "cross-site", 404},
	} {
		if answer := ask(h, c.method, "/api/nothing", "Sec-Fetch-Site", c.site); answer.Code != c.want {
			t.Errorf("%s from %q: got %d, want %d", c.method, c.site, answer.Code, c.want)
		}
	}
	if answer := ask(h, "POST", "/api/attempts/1/kill", "Origin", "https://evil.example.com"); answer.Code != http.StatusForbidden {
		t.Errorf("another origin: got %d, want 403", answer.Code)
	}
}

// What the parts below answer becomes a status; a fault of ours is logged and
// not told.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
		log  bool
	}{
		{fmt.Errorf("attempt 1: %w", ErrNotFound), 404, false},
		{fmt.Errorf("no space left: %w", ErrUnavailable), 503, false},
		{&flow.TooManyTasks{Limit: 6, Current: 1, Adding: 6}, 400, false},
		{errors.New("secret path /var/lib/gitdag is broken"), 500, true},
	} {
		for _, request := range []string{
			"GET /api/sessions/1", "GET /api/attempts/1/tasks", "GET /api/attempts", "GET /api/attempts?include_retried=true",
			"GET /api/sessions", "GET /api/attempts/1/retries", "GET /api/logs/1/files", "POST /api/attempts/1/kill",
		} {
			var log bytes.Buffer
			method, target, _ := strings.Cut(request, " ")
			answer := ask(newServer(c.err, &log, ""), method, target)
			if answer.Code != c.want {
				t.Errorf("%s failing with %v: got %d %s, want %d", request, c.err, answer.Code, answer.Body, c.want)
			}
			if got := log.Len() > 0; got != c.log {
				t.Errorf("%s failing with %v: logged %v, want %v", request, c.err, got, c.log)
			}
			if strings.Contains(answer.Body.String(), "/var/lib") {
				t.Errorf("%s tells of our disk: %s", request, answer.Body)
			}
			if got := answer.Header().Get("Retry-After") != ""; got != (c.want == 503) {
				t.Errorf("%s: Retry-After %q with %d", request, answer.Header().Get("Retry-After"), answer.Code)
			}
		}
	}
}

// A client that goes away is nobody's fault.
func TestClientGone(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/sessions/1", nil)
	newServer(context.Canceled, &log, "").ServeHTTP(httptest.NewRecorder(), in)
	if log.Len() > 0 {
		t.Errorf("got %q, want nothing", &log)
	}
}

// A log that breaks off in the middle is sent as a member that is cut off.
func TestBrokenLog(t *testing.T) {
	var log bytes.Buffer
	answer := ask(newServer(fs.ErrClosed, &log, ""), http.MethodGet, "/api/logs/1/files/x.log.gz")
	if answer.Code != 200 || !strings.Contains(log.String(), "could not be sent") {
		t.Errorf("got %d, log %q, want 200 and a line that says so", answer.Code, &log)
	}
}

func TestServerWithoutRepositories(t *testing.T) {
	h := newServer(ErrNotFound, io.Discard, "")
	if answer := ask(h, http.MethodGet, "/readyz"); answer.Code != 200 {
		t.Errorf("readyz: got %d, want 200", answer.Code)
	}
	if answer := ask(h, http.MethodGet, "/api/status"); answer.Code != 200 || !strings.Contains(answer.Body.String(), `"diskFull":true`) {
		t.Errorf("status: got %d %s, want 200 and a full disk", answer.Code, answer.Body)
	}
	if answer := ask(h, http.MethodPost, "/api/sync"); answer.Code != 404 {
		t.Errorf("sync: got %d, want 404", answer.Code)
	}
}
