package client

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
)

// agent is a server that notes what it is asked and answers what it is told.
type agent struct {
	*httptest.Server

	mu      sync.Mutex
	asked   []string
	headers http.Header
	answers []func(http.ResponseWriter) // the last one again and again
}

// requests returns what the server has been asked.
func (a *agent) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func newAgent(t *testing.T, answers ...func(http.ResponseWriter)) (*agent, *Client) {
	t.Helper()
	a := &agent{answers: answers}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
		a.headers = r.Header
		next := a.answers[0]
		if len(a.answers) > 1 {
			a.answers = a.answers[1:]
		}
		a.mu.Unlock()
		next(w)
	}))
	t.Cleanup(a.Close)
	c, err := New(Options{Endpoint: a.URL, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	c.wait = func(context.Context, time.Duration) error { return nil }
	return a, c
}

func answer(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func hangUp(w http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "http://127.0.0.1:65432",
		"example.com":                   "http://example.com",
		"example.com:8080":              "http://example.com:8080",
		"127.0.0.1:1":                   "http://127.0.0.1:1",
		"[::1]:65432":                   "http://[::1]:65432",
		"http://example.com":            "http://example.com",
		"https://example.com:8443/api/": "https://example.com:8443",
		"https://example.com?x=y#z":     "https://example.com",
		"ftp://example.com":             "",
		"user:pass@example.com":         "",
		"http://":                       "",
		":65432":                        "",
		"exa mple.com":                  "",
		"example.com:port":              "",
	} {
		c, err := New(Options{Endpoint: text})
		if (err == nil) != (want != "") || err == nil && c.Endpoint() != want {
			t.Errorf("endpoint %q: got %v, %v, want %q", text, c, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pass") && !strings.Contains(err.Error(), "password") {
			t.Errorf("endpoint %q: the error tells the password: %v", text, err)
		}
	}
}

func TestToken(t *testing.T) {
	a, _ := newAgent(t, answer(200, `{}`))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Endpoint: a.URL, TokenFile: file, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.headers.Get("Authorization"); got != "Bearer s3cret" {
		t.Errorf("got %q, want the bearer token", got)
	}
	if got := a.headers.Get("User-Agent"); got != "gitdag/1.2.3" {
		t.Errorf("got user agent %q, want gitdag/1.2.3", got)
	}
	if err := os.WriteFile(file, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + ".none"} {
		if _, err := New(Options{TokenFile: name}); err == nil {
			t.Errorf("token file %s: got no error", name)
		}
	}
}

// Each call asks what it should.
func TestCalls(t *testing.T) {
	name := "second"
	day := api.Instant{Time: time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		call func(*Client, context.Context) error
		want string
	}{
		{func(c *Client, ctx context.Context) error { _, err := c.Status(ctx); return err }, "GET /api/status"},
		{func(c *Client, ctx context.Context) error { return c.Ready(ctx) }, "GET /readyz"},
		{func(c *Client, ctx context.Context) error { _, err := c.Sync(ctx, ""); return err }, "POST /api/sync {}"},
		{func(c *Client, ctx context.Context) error { _, err := c.Sync(ctx, "a b"); return err }, "POST /api/sync?repo=a+b {}"},
		{func(c *Client, ctx context.Context) error { _, err := c.Project(ctx, "etl/daily"); return err }, "GET /api/projects?name=etl%2Fdaily"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Workflow(ctx, api.Named{ID: 12}, "w&x", "")
			return err
		}, "GET /api/projects/12/workflows?name=w%26x"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Workflow(ctx, api.Named{ID: 12}, "w", "r 1")
			return err
		}, "GET /api/projects/12/workflows?name=w&revision=r+1"},
		{func(c *Client, ctx context.Context) error { _, err := c.ProjectWorkflows(ctx, 12); return err }, "GET /api/projects/12/workflows"},
		{func(c *Client, ctx context.Context) error { _, err := c.Workflows(ctx, Filter{}); return err }, "GET /api/workflows?count=100&order=asc"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Workflows(ctx, Filter{Page: Page{LastID: 7, Size: 5}, Pattern: "a b", Order: "desc"})
			return err
		}, "GET /api/workflows?count=5&last_id=7&name_pattern=a+b&order=desc"},
		{func(c *Client, ctx context.Context) error { _, err := c.Projects(ctx, Filter{}); return err }, "GET /api/projects?count=100"},
		{func(c *Client, ctx context.Context) error { _, err := c.DeleteProject(ctx, 12); return err }, "DELETE /api/projects/12"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Push(ctx, Push{Project: "a b", Revision: "r", ScheduleFrom: day.Time, Archive: strings.NewReader("archive"), Size: 7})
			return err
		}, "PUT /api/projects?project=a+b&revision=r&schedule_from=2031-04-05T00%3A00%3A00Z archive"},
		{func(c *Client, ctx context.Context) error { _, err := c.Sessions(ctx, Page{Size: 2}); return err }, "GET /api/sessions?page_size=2"},
		{func(c *Client, ctx context.Context) error { _, err := c.Session(ctx, 3); return err }, "GET /api/sessions/3"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.ProjectSessions(ctx, 12, "", Page{})
			return err
		}, "GET /api/projects/12/sessions"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.ProjectSessions(ctx, 12, "w", Page{9, 0})
			return err
		}, "GET /api/projects/12/sessions?last_id=9&workflow=w"},
		{func(c *Client, ctx context.Context) error { _, err := c.Schedule(ctx, 5); return err }, "GET /api/schedules/5"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.ScheduleOf(ctx, api.Named{ID: 12}, "w")
			return err
		}, "GET /api/projects/12/schedules?workflow=w"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.ProjectSchedules(ctx, 12, Page{LastID: 5})
			return err
		}, "GET /api/projects/12/schedules?last_id=5"},
		{func(c *Client, ctx context.Context) error { _, err := c.Disable(ctx, 5); return err }, "POST /api/schedules/5/disable {}"},
		{func(c *Client, ctx context.Context) error { _, err := c.Enable(ctx, 5); return err }, "POST /api/schedules/5/enable {}"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Skip(ctx, 5, api.SkipRequest{FromTime: day, Count: new(3)})
			return err
		}, `POST /api/schedules/5/skip {"fromTime":"2031-04-05T00:00:00Z","count":3,"nextTime":null,"nextRunTime":null,"dryRun":false}`},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Backfill(ctx, 5, api.BackfillRequest{FromTime: day, AttemptName: "n", DryRun: true})
			return err
		}, `POST /api/schedules/5/backfill {"fromTime":"2031-04-05T00:00:00Z","attemptName":"n","count":null,"dryRun":true}`},
		{func(c *Client, ctx context.Context) error {
			_, err := c.SessionTime(ctx, 7, "2031-04-05T00:00", "")
			return err
		}, "GET /api/workflows/7/truncated_session_time?session_time=2031-04-05T00%3A00"},
		{func(c *Client, ctx context.Context) error { _, err := c.SessionTime(ctx, 7, "t", "day"); return err }, "GET /api/workflows/7/truncated_session_time?mode=day&session_time=t"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Start(ctx, api.StartRequest{WorkflowID: 7, SessionTime: day, Params: struct{}{}, RetryAttemptName: &name})
			return err
		}, `PUT /api/attempts {"workflowId":"7","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":"second","resume":null}`},
		{func(c *Client, ctx context.Context) error { _, err := c.Kill(ctx, 9); return err }, "POST /api/attempts/9/kill {}"},
		{func(c *Client, ctx context.Context) error { _, err := c.Attempts(ctx, Page{}); return err }, "GET /api/attempts"},
		{func(c *Client, ctx context.Context) error {
			_, err := c.SessionAttempts(ctx, 3, Page{9, 5})
			return err
		}, "GET /api/sessions/3/attempts?last_id=9&page_size=5"},
		{func(c *Client, ctx context.Context) error { _, err := c.Attempt(ctx, 9); return err }, "GET /api/attempts/9"},
		{func(c *Client, ctx context.Context) error { _, err := c.Tasks(ctx, 9); return err }, "GET /api/attempts/9/tasks"},
		{func(c *Client, ctx context.Context) error { _, err := c.Logs(ctx, 9, "+w+a^sub"); return err }, "GET /api/logs/9/files?task=%2Bw%2Ba%5Esub"},
		{func(c *Client, ctx context.Context) error {
			r, err := c.Log(ctx, 9, "+w/^sub@5%2f.log.gz", 6)
			if err == nil {
				err = r.Close()
			}
			return err
		}, "GET /api/logs/9/files/+w%2F%5Esub@5%252f.log.gz?offset=6"},
	} {
		body := `{"projects":[{"id":"1"}],"workflows":[{"id":"2"}],"schedules":[{"id":"3"}]}`
		if strings.HasPrefix(c.want, "GET /api/logs/9/files/") {
			body = ""
		}
		a, client := newAgent(t, answer(200, body))
		if err := c.call(client, t.Context()); err != nil {
			t.Errorf("%s: %v", c.want, err)
		}
		if diff := cmp.Diff([]string{c.want}, a.requests()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Questions are asked again, what changes something is not.
func TestRetries(t *testing.T) {
	ok := answer(200, `{"id":"9","status":"running"}`)
	for name, bad := range map[string]func(http.ResponseWriter){
		"500": answer(500, "{}"), "503": answer(503, `{"message":"no space","status":503}`), "429": answer(429, ""), "408": answer(408, ""),
		"hang-up": hangUp, "cut off": answer(200, `{"id":"9`),
	} {
		a, c := newAgent(t, bad, bad, ok)
		if got, err := c.Attempt(t.Context(), 9); err != nil || got.ID != 9 || len(a.requests()) != 3 {
			t.Errorf("question after %s: got %v, %v after %d tries, want attempt 9 after 3", name, got.ID, err, len(a.requests()))
		}
		a, c = newAgent(t, bad, ok)
		if _, err := c.Kill(t.Context(), 9); err == nil || len(a.requests()) != 1 {
			t.Errorf("kill after %s: got %v after %d tries, want an error after 1", name, err, len(a.requests()))
		}
		a, c = newAgent(t, bad)
		if _, err := c.Attempt(t.Context(), 9); err == nil || len(a.requests()) != tries {
			t.Errorf("only %s: got %v after %d tries, want an error after %d", name, err, len(a.requests()), tries)
		}
	}
	a, c := newAgent(t, answer(404, `{"message":"Resource does not exist: session attempt id=9","status":404}`))
	_, err := c.Attempt(t.Context(), 9)
	if !NotFound(err) || err.Error() != "Resource does not exist: session attempt id=9" || len(a.requests()) != 1 {
		t.Errorf("unknown attempt: got %v after %d tries, want the agent's words after 1", err, len(a.requests()))
	}
}

// The waits between tries double, and an agent that asks for more gets it, up to
// a limit.
func TestWaits(t *testing.T) {
	asksFor := func(seconds string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", seconds)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	_, c := newAgent(t, answer(500, ""), answer(500, ""), asksFor("2"), asksFor("3600"), answer(200, "{}"))
	var waits []time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, maxWait}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stop := errors.New("stopped")
	_, c = newAgent(t, answer(500, ""))
	c.wait = func(context.Context, time.Duration) error { return stop }
	if _, err := c.Status(t.Context()); !errors.Is(err, stop) {
		t.Errorf("stopped while it waits: got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if err := wait(ctx, time.Hour); !errors.Is(err, stop) {
		t.Errorf("wait: got %v, want %v", err, stop)
	}
	if _, err := c.Status(ctx); !errors.Is(err, stop) {
		t.Errorf("stopped before it began: got %v, want %v", err, stop)
	}
}

// Nobody there is said at once, with what to do about it.
func TestNobodyThere(t *testing.T) {
	a, c := newAgent(t, answer(200, ""))
	a.Close()
	c.wait = func(context.Context, time.Duration) error { t.Error("it was tried again"); return nil }
	_, err := c.Status(t.Context())
	var gone *Unreachable
	if !errors.As(err, &gone) || gone.Endpoint != a.URL || !strings.Contains(gone.Hint(), "-e HOST:PORT") {
		t.Errorf("got %v, want that no agent answers at %s and a hint", err, a.URL)
	}
}

func TestRefusals(t *testing.T) {
	_, c := newAgent(t, answer(401, `{"message":"Missing Authorization header","status":401}`))
	_, err := c.Status(t.Context())
	var refused *Refused
	if !errors.As(err, &refused) || !strings.Contains(refused.Hint(), "--api-token-file") {
		t.Errorf("without a token: got %v, want a hint at the token", err)
	}
	_, c = newAgent(t, answer(409, `{"id":"9","sessionId":"4","status":"success"}`))
	_, err = c.Start(t.Context(), api.StartRequest{})
	var conflict *Conflict
	if !errors.As(err, &conflict) || conflict.Attempt.ID != 9 || conflict.Attempt.SessionID != 4 {
		t.Errorf("repeated start: got %v, want a conflict with attempt 9", err)
	}
	_, c = newAgent(t, answer(409, `{"message":"Session attempt already killed or finished","status":409}`))
	if _, err := c.Kill(t.Context(), 9); !errors.As(err, &refused) || refused.Hint() != "" || refused.Status != 409 {
		t.Errorf("kill of a finished attempt: got %v, want the agent's words", err)
	}
	for _, bad := range []func(http.ResponseWriter){answer(404, "<html>"), answer(302, "")} {
		_, c = newAgent(t, bad)
		if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "the agent answered") {
			t.Errorf("no agent at all: got %v, want the status", err)
		}
	}
	_, c = newAgent(t, answer(503, ""))
	if err := c.Ready(t.Context()); err == nil {
		t.Error("not ready: got no error")
	}
	_, c = newAgent(t, answer(200, `{"projects":[],"workflows":[],"schedules":[]}`))
	if _, err := c.Project(t.Context(), "ghost"); !NotFound(err) {
		t.Errorf("no project: got %v", err)
	}
	if _, err := c.Workflow(t.Context(), api.Named{}, "ghost", ""); !NotFound(err) {
		t.Errorf("no workflow: got %v", err)
	}
	if _, err := c.ScheduleOf(t.Context(), api.Named{}, "ghost"); !NotFound(err) {
		t.Errorf("no schedule: got %v", err)
	}
}

// Several gzip members are one log, and one that is cut off ends early.
func TestLogs(t *testing.T) {
	member := func(text string) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text)
		_ = z.Close()
		return b.String()
	}
	long := strings.Repeat("a line that is long enough\n", 1000)
	for name, c := range map[string]struct {
		body, want string
		fails      bool
	}{
		"one": {member("a\n"), "a\n", false}, "two": {member("a\n") + member("b\n"), "a\nb\n", false},
		"none": {"", "", false}, "cut off": {member(long)[:len(member(long))-9], long, false}, "cut header": {member("a")[:5], "", false},
		"no gzip": {"plain text, long enough", "", true},
	} {
		_, client := newAgent(t, func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/gzip")
			_, _ = io.WriteString(w, c.body)
		})
		r, err := client.Log(t.Context(), 9, "x.log.gz", 0)
		if (err != nil) != c.fails {
			t.Errorf("%s: got %v, want an error: %v", name, err, c.fails)
		}
		if err != nil {
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || !strings.HasPrefix(c.want, string(got)) || name != "cut off" && string(got) != c.want {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, len(c.want))
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}
