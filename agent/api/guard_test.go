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

func (n nothing) Backfill(context.Context, Backfill) (Backfilled, error) { return Backfilled{}, n.err }

func (n nothing) Skip(context.Context, Skip) (flow.TickFacts, error) { return flow.TickFacts{}, n.err }
func (n nothing) SetSchedule(context.Context, SetSchedule) error     { return n.err }
func (n nothing) Push(_ context.Context, p Push) error {
	if _, err := io.Copy(io.Discard, p.Archive); err != nil {
		return err
	}
	return n.err
}
func (n nothing) Delete(context.Context, uint64) error { return n.err }
func (n nothing) Archive(context.Context, uint64, string) (io.ReadCloser, int64, error) {
	return nil, 0, n.err
}

// keyring is the secrets of a [nothing].
type keyring struct{ err error }

func (k keyring) Keys(uint64) ([]string, error)    { return nil, k.err }
func (k keyring) Set(uint64, string, string) error { return k.err }
func (k keyring) Delete(uint64, string) error      { return k.err }

// gate lets in whoever bears the right token.
type gate struct{ token string }

func (g gate) Authenticate(r *http.Request) (Identity, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return Identity{}, &Unauthorized{"Missing Authorization header", []string{`Basic realm="x"`, `Bearer realm="x"`}}
	case "Bearer " + g.token:
		return Identity{Name: "mara"}, nil
	case "Bearer admin":
		return Identity{Name: "root", Admin: true}, nil
	case "Bearer busy":
		return Identity{}, fmt.Errorf("the file is being replaced: %w", ErrUnavailable)
	}
	return Identity{}, errors.New("no line of /etc/htpasswd matches")
}

// options are those of a server without content.
func options(err error, log io.Writer, token string) Options {
	n := nothing{err}
	o := Options{
		Engine: n, History: n, Logs: n, Schedules: n, Projects: n, Secrets: keyring(n), Version: "1",
		Log:      slog.New(slog.NewTextHandler(log, nil)),
		Webhooks: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
	}
	if token != "" {
		o.Auth = gate{token}
	}
	return o
}

func newServer(err error, log io.Writer, token string) http.Handler {
	return New(options(err, log, token))
}

func ask(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	in := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		in.Header.Set(headers[i], headers[i+1])
	}
	return record(h, in)
}

func record(h http.Handler, in *http.Request) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	h.ServeHTTP(out, in)
	return out
}

// paths are those of all routes, and some that are none.
func paths(admin bool) []string {
	list := []string{"/", "/api", "/api/nothing", "/api/version/", "/%61pi/version", "/%61pi/projects", "/api%2Fprojects", "/API/projects", "//api/projects", "/livez/x"}
	for _, r := range (&server{admin: admin, Options: Options{Swagger: true}}).routes() {
		list = append(list, strings.NewReplacer("{id}", "1", "{name}", "x", "{key}", "x").Replace(r.path))
	}
	return list
}

var allMethods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "TRACE", "OPTIONS"}

// Each route is asked by each method without credentials, with wrong ones and with
// the right ones. Only the open ones answer without.
// All others are challenged (Q1), be the header absent or malformed (Q37).
func TestToken(t *testing.T) {
	o := options(fmt.Errorf("attempt 1: %w", ErrNotFound), io.Discard, "s3cret")
	h := NewAdmin(o)
	open := map[string]bool{
		"GET /api/version": true, "HEAD /api/version": true, "GET /%61pi/version": true, "HEAD /%61pi/version": true,
	}
	for _, path := range paths(true) {
		for _, method := range allMethods {
			outside := path == "/" || strings.HasPrefix(path, "/livez") || path == "/readyz" || strings.HasPrefix(path, "/API") || strings.HasPrefix(path, "//")
			free := outside || open[method+" "+strings.TrimSuffix(path, "/")] || method == "OPTIONS" || method == "TRACE"
			for _, given := range []string{"", "Bearer wrong", "Bearer", "Basic s3cret", "s3cret", "Bearer s3cret2", "Bearer s3cre"} {
				answer := ask(h, method, path, "Authorization", given)
				if got := answer.Code != http.StatusUnauthorized; got != free {
					t.Errorf("%s %s with %q: got %d", method, path, given, answer.Code)
				}
				if !free && len(answer.Header().Values("WWW-Authenticate")) == 0 {
					t.Errorf("%s %s: no challenge", method, path)
				}
				if strings.Contains(answer.Body.String(), "htpasswd") {
					t.Errorf("%s %s tells of our disk: %s", method, path, answer.Body)
				}
			}
			for _, given := range []string{"Bearer s3cret", "Bearer admin"} {
				if answer := ask(h, method, path, "Authorization", given); answer.Code == http.StatusUnauthorized {
					t.Errorf("%s %s with %q: got 401", method, path, given)
				}
			}
		}
	}
	if answer := ask(h, "POST", "/webhooks/github"); answer.Code != http.StatusTeapot {
		t.Errorf("a webhook without credentials: got %d, want the answer of its handler", answer.Code)
	}
	if answer := ask(h, "GET", "/api/projects", "Authorization", "Bearer busy"); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("credentials that cannot be checked now: got %d, want 503", answer.Code)
	}
	if got := ask(h, "GET", "/api/projects").Header().Values("WWW-Authenticate"); len(got) != 2 {
		t.Errorf("challenges: got %q, want those of the authenticator", got)
	}
}

// The routes of administrators are for them, and not on the ordinary listener.
func TestAdministrators(t *testing.T) {
	o := options(nil, io.Discard, "s3cret")
	const path = "/api/admin/attempts/1/userinfo"
	for _, c := range []struct {
		h     http.Handler
		given string
		want  int
	}{
		{NewAdmin(o), "Bearer admin", 200},
		{NewAdmin(o), "Bearer s3cret", 403},
		{NewAdmin(o), "", 401},
		{NewAdmin(options(nil, io.Discard, "")), "", 403},
		{New(o), "Bearer admin", 404},
	} {
		if answer := ask(c.h, "GET", path, "Authorization", c.given); answer.Code != c.want {
			t.Errorf("with %q: got %d %s, want %d", c.given, answer.Code, answer.Body, c.want)
		}
	}
	if answer := ask(NewAdmin(o), "GET", "/api/projects", "Authorization", "Bearer s3cret"); answer.Code != 200 {
		t.Errorf("the ordinary API there: got %d, want 200", answer.Code)
	}
}

// What is configured is on every answer below /api/, and on no other.
func TestConfiguredHeaders(t *testing.T) {
	o := options(ErrNotFound, io.Discard, "s3cret")
	o.Headers = http.Header{"x-tide": {"low", "high"}}
	h := New(o)
	for path, want := range map[string]int{
		"/api/version": 2, "/api/nothing": 2, "/api/projects": 2, "/api": 2, "/livez": 0, "/": 0, "/apis": 0,
	} {
		for _, method := range []string{"GET", "OPTIONS", "POST"} {
			if got := ask(h, method, path).Header().Values("X-Tide"); len(got) != want {
				t.Errorf("%s %s: got %q, want %d values", method, path, got, want)
			}
		}
	}
}

// TRACE shows the request as it came, but not what lets a client in.
func TestTrace(t *testing.T) {
	answer := ask(newServer(ErrNotFound, io.Discard, "s3cret"), "TRACE", "/api/projects?a=b", "Authorization", "Bearer s3cret", "Cookie", "s3cret", "X-Tide", "low")
	got := answer.Body.String()
	if answer.Code != 200 || answer.Header().Get("Content-Type") != "message/http" {
		t.Errorf("got %d %s", answer.Code, answer.Header())
	}
	if !strings.HasPrefix(got, "TRACE /api/projects?a=b HTTP/1.1\r\n") || !strings.Contains(got, "X-Tide: low\r\n") || strings.Contains(got, "s3cret") {
		t.Errorf("got %q", got)
	}
}

// Longer requests than any client has are refused before anything is looked at.
func TestHugeRequests(t *testing.T) {
	h := newServer(ErrNotFound, io.Discard, "")
	long := strings.Repeat("x", maxHeaders)
	for _, c := range []struct {
		target, header string
		want           int
	}{
		{"/api/projects?name=" + long, "", http.StatusRequestURITooLong},
		{"/api/" + long, "", http.StatusRequestURITooLong},
		{"/api/projects", long, http.StatusRequestHeaderFieldsTooLarge},
		{"/api/projects?name=" + long[:maxTarget/2], long[:maxHeaders/2], http.StatusOK},
	} {
		if answer := ask(h, "GET", c.target, "X-Tide", c.header); answer.Code != c.want {
			t.Errorf("%d bytes of target, %d of headers: got %d, want %d", len(c.target), len(c.header), answer.Code, c.want)
		}
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
		{&Invalid{errors.New("no such way")}, 400, false},
		{fmt.Errorf("push: %w", &Conflicting{errors.New("taken")}), 409, false},
		{fmt.Errorf("pushes are %w", ErrForbidden), 403, false},
		{fmt.Errorf("%w: set secrets.key_file", ErrNoSecretStore), 501, false},
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
