package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
)

// fakeAgent is a server that answers what a test says and notes what it is
// asked. It has no objection to the client, and does not note that question.
type fakeAgent struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	answers map[string][]string // by method and path; the last one again and again
	asked   []string
	token   string
}

// newFakeAgent answers pairs of a request, such as "GET /api/status", and a
// body: JSON, or after a status and a space another one.
func newFakeAgent(t *testing.T, pairs ...string) *fakeAgent {
	t.Helper()
	a := &fakeAgent{t: t, answers: map[string][]string{}}
	for i := 0; i < len(pairs); i += 2 {
		a.answers[pairs[i]] = append(a.answers[pairs[i]], pairs[i+1])
	}
	a.server = httptest.NewServer(http.HandlerFunc(a.answer))
	t.Cleanup(a.server.Close)
	return a
}

// dies is the answer of an agent that ends in the middle of it, for good.
const dies = "dies"

var statusPrefix = regexp.MustCompile(`(?s)^([2-5]\d\d) (.*)$`)

func (a *fakeAgent) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/api/version/check" && a.answers["GET /api/version/check"] == nil {
		_, _ = io.WriteString(w, `{"serverVersion":"1","upgradeRecommended":false,"apiCompatible":true}`)
		return
	}
	a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
	a.token = r.Header.Get("Authorization")
	list := a.answers[r.Method+" "+r.URL.Path]
	if len(list) == 0 {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"message":"Resource does not exist: %s","status":404}`, r.URL.Path)
		return
	}
	if len(list) > 1 {
		a.answers[r.Method+" "+r.URL.Path] = list[1:]
	}
	status, text := http.StatusOK, list[0]
	if text == dies {
		_ = a.server.Listener.Close()
		panic(http.ErrAbortHandler)
	}
	if m := statusPrefix.FindStringSubmatch(text); m != nil {
		status, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	if strings.HasSuffix(r.URL.Path, ".log.gz") && status == http.StatusOK {
		var offset int
		_, _ = fmt.Sscanf(r.URL.Query().Get("offset"), "%d", &offset)
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, text[offset:])
		_ = z.Close()
		return
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// requests returns what the server has been asked.
func (a *fakeAgent) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// outcome is what a command line did.
type outcome struct {
	status         int
	stdout, stderr string
}

// gitdag runs a command line against the server, with an environment of its own.
func (a *fakeAgent) gitdag(args ...string) outcome {
	return gitdag(a.t, []string{"GITDAG_ENDPOINT=" + a.server.URL}, args...)
}

func gitdag(t *testing.T, environ []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	environ = append(environ, "XDG_CONFIG_HOME="+t.TempDir())
	c := &cli{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, environ: func() []string { return environ }, version: "1.2.3"}
	status := c.main(args)
	return outcome{status, stdout.String(), stderr.String()}
}

// local shows an instant as this machine does.
func here(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t.Local().Format(clockFormat)
}

func (a *fakeAgent) want(got, want outcome) {
	a.t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		a.t.Errorf("(-want +got):\n%s", diff)
	}
}

const (
	anAttempt = `{"status":"error","id":"9021","index":1,"project":{"id":"12","name":"tide_tables"},"workflow":{"name":"harbor_report","id":"903"},` +
		`"sessionId":"7710","sessionUuid":"5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11","sessionTime":"2031-04-05T00:00:00+12:00","retryAttemptName":null,` +
		`"done":true,"success":false,"cancelRequested":false,"params":{"a":"<&>","n":1.50},"createdAt":"2031-04-04T17:15:01Z","finishedAt":"2031-04-04T17:19:40Z"}`
	aLiveAttempt = `{"status":"running","id":"9022","index":2,"project":{"id":"12","name":"tide_tables"},"workflow":{"name":"harbor_report","id":"903"},` +
		`"sessionId":"7710","sessionUuid":"5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11","sessionTime":"2031-04-05T00:00:00+12:00","retryAttemptName":"second-try",` +
		`"done":false,"success":false,"cancelRequested":true,"params":{},"createdAt":"2031-04-04T18:00:00Z","finishedAt":null}`
)

// begunBlock is what commands show of an attempt of the session above, from its
// ids to the time when it was made.
func begunBlock(ids, name, params, created string) string {
	return ids + `  uuid: 5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11
  project: tide_tables
  workflow: harbor_report
  session time: 2031-04-05 00:00:00 +1200
  retry attempt name: ` + name + `
  params: ` + params + `
  created at: ` + here(created) + "\n"
}

// The newest attempt is at the bottom of the screen.
// The size of a page is sent to the agent (Q14).
func TestAttempts(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts", `{"attempts":[`+aLiveAttempt+`,`+anAttempt+`]}`)
	a.want(a.gitdag("attempts", "-i", "9999", "-s", "2"), outcome{0, `Session attempts:
` + begunBlock("  session id: 7710\n  attempt id: 9021\n", "", `{"a":"<&>","n":1.50}`, "2031-04-04T17:15:01Z") + `  finished at: ` + here("2031-04-04T17:19:40Z") + `
  kill requested: false
  status: error

` + begunBlock("  session id: 7710\n  attempt id: 9022\n", "second-try", `{}`, "2031-04-04T18:00:00Z") + `  finished at: ` + `
  kill requested: true
  status: running

`, "hint: there may be older ones: --last-id 9021 lists them\n"})
	if diff := cmp.Diff([]string{"GET /api/attempts?last_id=9999&page_size=2"}, a.requests()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAttemptsOfASession(t *testing.T) {
	a := newFakeAgent(t, "GET /api/sessions/7710/attempts", `{"attempts":[]}`)
	got := a.gitdag("attempts", "7710")
	if got.status != 0 || got.stdout != "Session attempts:\n" || !strings.HasPrefix(got.stderr, "hint: ") {
		t.Errorf("no attempts: got %+v, want an empty list and a hint", got)
	}
}

func TestTasks(t *testing.T) {
	const list = `{"tasks":[{"id":"1","fullName":"+w","parentId":null,"config":{},"upstreams":[],"state":"group_error","cancelRequested":false,"exportParams":{"x":1},` +
		`"storeParams":{},"stateParams":{},"updatedAt":"2031-04-04T17:19:40Z","retryAt":null,"startedAt":null,"error":{},"isGroup":true},` +
		`{"id":"4","fullName":"+w+b","parentId":"1","config":{"sh>":"exit 1 > /dev/null"},"upstreams":["2","3"],"state":"error","cancelRequested":false,"exportParams":{},` +
		`"storeParams":{},"stateParams":{},"updatedAt":"2031-04-04T17:19:40Z","retryAt":null,"startedAt":"2031-04-04T17:19:38Z","error":{"message":"Command failed"},"isGroup":false}]}`
	a := newFakeAgent(t, "GET /api/attempts/9/tasks", list)
	a.want(a.gitdag("tasks", "9"), outcome{0, `   id: 1
   name: +w
   state: group_error
   started: ` + `
   updated: ` + here("2031-04-04T17:19:40Z") + `
   config: {}
   parent: null
   upstreams: []
   export params: {"x":1}
   store params: {}
   state params: {}

   id: 4
   name: +w+b
   state: error
   started: ` + here("2031-04-04T17:19:38Z") + `
   updated: ` + here("2031-04-04T17:19:40Z") + `
   config: {"sh>":"exit 1 > /dev/null"}
   parent: 1
   upstreams: [2 3]
   export params: {}
   store params: {}
   state params: {}
   error: {"message":"Command failed"}

2 entries.
`, ""})
}

func TestSchedules(t *testing.T) {
	next := time.Now().Add(50*time.Hour + 3*time.Minute).UTC().Truncate(time.Second)
	a := newFakeAgent(t, "GET /api/schedules", `{"schedules":[{"id":"5","project":{"id":"12","name":"tide_tables"},"workflow":{"id":"903","name":"harbor_report"},`+
		`"nextRunTime":"`+next.Format(time.RFC3339)+`","nextScheduleTime":"2031-04-06T00:00:00+12:00","disabledAt":"2031-04-05T09:30:00Z"}]}`)
	got := a.gitdag("schedules")
	want := "Schedules:\n  id: 5\n  project: tide_tables\n  workflow: harbor_report\n  disabled at: " + here("2031-04-05T09:30:00Z") +
		"\n  next session time: 2031-04-06 00:00:00 +1200\n  next scheduled to run at: " + next.Local().Format(clockFormat) + " (in 2d 2h "
	if got.status != 0 || !strings.HasPrefix(got.stdout, want) || !strings.HasSuffix(got.stdout, ")\n\n1 entries.\n") {
		t.Errorf("got %+v, want it to begin with %q", got, want)
	}
}

func TestKill(t *testing.T) {
	a := newFakeAgent(t, "POST /api/attempts/9022/kill", aLiveAttempt)
	a.want(a.gitdag("kill", "9022"), outcome{0, "Kill requested: attempt 9022\n", ""})
	a = newFakeAgent(t, "POST /api/attempts/9/kill", `409 {"message":"Session attempt already killed or finished","status":409}`)
	a.want(a.gitdag("kill", "9"), outcome{1, "", "error: Session attempt already killed or finished\n"})
}

func TestSync(t *testing.T) {
	a := newFakeAgent(t, "POST /api/sync", `202 {"repositories":["flows","other"]}`)
	a.want(a.gitdag("sync"), outcome{0, "Sync requested: flows\nSync requested: other\n", "hint: gitdag status shows what comes of it\n"})
	a.gitdag("sync", "flows")
	if diff := cmp.Diff([]string{"POST /api/sync {}", "POST /api/sync?repo=flows {}"}, a.requests()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each command prints JSON that a program can read, and nothing else.
func TestJSON(t *testing.T) {
	a := newFakeAgent(t,
		"GET /api/attempts", `{"attempts":[`+anAttempt+`]}`,
		"GET /api/attempts/9/tasks", `{"tasks":[]}`, "GET /api/attempts/9", anAttempt,
		"GET /api/schedules", `{"schedules":[]}`,
		"POST /api/attempts/9/kill", anAttempt,
		"POST /api/sync", `202 {"repositories":["flows"]}`,
		"GET /api/status", `{"version":"1"}`,
	)
	for _, args := range []string{"attempts", "tasks 9", "schedules", "kill 9", "sync", "status"} {
		got := a.gitdag(append(strings.Fields(args), "--json")...)
		if got.status != 0 || got.stderr != "" || !json.Valid([]byte(got.stdout)) {
			t.Errorf("%s --json: got %+v, want JSON alone", args, got)
		}
	}
	got := a.gitdag("attempts", "--json")
	var list []api.Attempt
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || len(list) != 1 || list[0].ID != 9021 {
		t.Errorf("attempts: got %s, %v, want a list of one", got.stdout, err)
	}
	if !strings.Contains(got.stdout, `"n": 1.50`) {
		t.Errorf("attempts: got %s, want numbers as they were", got.stdout)
	}
}

func TestUsageOfClientCommands(t *testing.T) {
	for _, args := range [][]string{
		{"tasks"},
		{"tasks", "x"},
		{"tasks", "0"},
		{"tasks", "1", "2"},
		{"tasks", "--nope", "1"},
		{"kill"},
		{"kill", "-1"},
		{"log"},
		{"log", "x"},
		{"log", "1", "task"},
		{"log", "1", "+a", "+b"},
		{"attempts", "x"},
		{"attempts", "-s", "many"},
		{"attempts", "1", "2"},
		{"schedules", "1"},
		{"status", "x"},
		{"sync", "a", "b"},
		{"start"},
		{"start", "p"},
		{"start", "p", "w"},
		{"start", "p", "w", "--session", "sometime"},
		{"start", "p", "w", "--session", "2031-04-05T00:00:00"},
		{"start", "p", "w", "--session", "2031-02-30"},
		{"start", "p", "w", "--session", "now", "-p", "novalue"},
		{"start", "p", "w", "x", "--session", "now"},
		{"attempt"},
		{"attempt", "x"},
		{"attempt", "1", "2"},
		{"attempts", "-s", "0"},
		{"sessions", "1", "w", "x"},
		{"sessions", "p", ""},
		{"sessions", "-s", "-1"},
		{"session", "0"},
		{"projects", "a", "b"},
		{"projects", "--count", "0"},
		{"projects", "--last-id", "x"},
		{"workflows", "a", "b", "c"},
		{"workflows", "--order", "random"},
		{"workflows", "--count", "none"},
		{"push"},
		{"push", "p", "q"},
		{"push", "p", "--schedule-from", "2031-04-05"},
		{"upload", "file"},
		{"upload"},
		{"download"},
		{"download", "p", "q"},
		{"delete"},
		{"delete", "p", "q"},
		{"backfill", "5"},
		{"backfill", "-f", "2031-04-05"},
		{"backfill", "p", "-f", "2031-04-05"},
		{"backfill", "5", "-f", "now"},
		{"backfill", "5", "-f", "2031-04-05", "--count", "-1"},
		{"backfill", "5", "-f", "2031-04-05", "--name", ""},
		{"reschedule", "5"},
		{"reschedule", "-s", "1"},
		{"reschedule", "p", "-s", "1"},
		{"reschedule", "5", "-s", "0"},
		{"reschedule", "5", "-s", "1", "-t", "now"},
		{"reschedule", "5", "-t", "soon"},
		{"reschedule", "5", "-t", "now", "-a", "later"},
		{"disable"},
		{"enable"},
		{"disable", "p", "w", "x"},
		{"enable", "0"},
		{"version", "x"},
		{"projects", "-l", "loud"},
		{"projects", "-X", "novalue"},
		{"status", "-e", "user:pass@host"},
		{"status", "-e", "ftp://host"},
	} {
		got := gitdag(t, nil, args...)
		if got.status != 2 || got.stdout != "" || !strings.Contains(got.stderr, "Usage:") || !strings.Contains(got.stderr, "\nerror: ") {
			t.Errorf("gitdag %q: got %+v, want usage and an error, exit 2", args, got)
		}
	}
}

// An agent can want newer clients. Where only advice is given, a person is
// stopped and a script is not.
func TestVersionCheck(t *testing.T) {
	const list = "GET /api/schedules"
	const question = "GET /api/version/check?client=0.10.5.1"
	for _, c := range []struct {
		answer string
		args   []string
		want   outcome
		asked  []string
	}{
		{`{"serverVersion":"9","upgradeRecommended":false,"apiCompatible":true}`, nil, outcome{0, "[]\n", ""}, []string{question, list}},
		{
			`{"serverVersion":"9","upgradeRecommended":true,"apiCompatible":true}`, nil,
			outcome{0, "[]\n", "warning: the agent, version 9, advises against clients like Digdag 0.10.5.1, as which gitdag asks it\n"},
			[]string{question, list},
		},
		{
			`{"serverVersion":"9","upgradeRecommended":true,"apiCompatible":true}`,
			[]string{"-X", "io.digdag.cli.versionCheckMode=interactive"},
			outcome{1, "", "error: the agent, version 9, advises against clients like Digdag 0.10.5.1, as which gitdag asks it\n" +
				"hint: --disable-version-check goes on nevertheless\n"},
			[]string{question},
		},
		{
			`{"serverVersion":"9","upgradeRecommended":true,"apiCompatible":false}`,
			[]string{"-X", "io.digdag.cli.versionCheckMode=batch"},
			outcome{1, "", "error: the agent, version 9, does not speak with clients like Digdag 0.10.5.1, as which gitdag asks it\n" +
				"hint: --disable-version-check goes on nevertheless\n"},
			[]string{question},
		},
		{`500 {}`, []string{"--disable-version-check"}, outcome{0, "[]\n", ""}, []string{list}},
		{`404 {}`, nil, outcome{0, "[]\n", ""}, []string{question, list}},
	} {
		a := newFakeAgent(t, "GET /api/version/check", c.answer, list, `{"schedules":[]}`)
		a.want(a.gitdag(append([]string{"schedules", "--json"}, c.args...)...), c.want)
		a.expect(c.asked...)
	}
}

// The endpoint and the token come from flags, the environment or Digdag's
// configuration.
func TestWhichAgent(t *testing.T) {
	a := newFakeAgent(t, "GET /api/status", `{}`)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := "GITDAG_ENDPOINT=127.0.0.1:1"
	for _, c := range []struct {
		name    string
		environ []string
		args    []string
		token   string
	}{
		{"flag", []string{nobody}, []string{"-e", a.server.URL}, ""},
		{"flag without a scheme", []string{nobody}, []string{"-e", strings.TrimPrefix(a.server.URL, "http://")}, ""},
		{"variable", []string{"GITDAG_ENDPOINT=" + a.server.URL}, nil, ""},
		{"configuration", []string{"DIGDAG_CONFIG=client.http.endpoint=" + a.server.URL}, nil, ""},
		{"token flag", []string{"GITDAG_API_TOKEN_FILE=/none"}, []string{"-e", a.server.URL, "--api-token-file", token}, "Bearer s3cret"},
		{"token variable", []string{"GITDAG_API_TOKEN_FILE=" + token}, []string{"-e", a.server.URL}, "Bearer s3cret"},
	} {
		got := gitdag(t, c.environ, append([]string{"status"}, c.args...)...)
		if got.status != 0 || a.token != c.token {
			t.Errorf("%s: got %+v with token %q, want success with %q", c.name, got, a.token, c.token)
		}
	}
	got := gitdag(t, []string{nobody}, "status")
	if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "error: no agent answers at http://127.0.0.1:1: ") || !strings.Contains(got.stderr, "\nhint: is the agent running?") {
		t.Errorf("nobody there: got %+v, want an error and a hint, exit 1", got)
	}
	refusing := newFakeAgent(t, "GET /api/status", `401 {"message":"Missing Authorization header","status":401}`)
	refusing.want(refusing.gitdag("status"), outcome{1, "", "error: Missing Authorization header\nhint: give the agent's token with --api-token-file FILE (GITDAG_API_TOKEN_FILE), or --basic-auth USER:PASSWORD\n"})
}

func TestElapsed(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 9 * time.Second: "9s", 11*time.Hour + 4*time.Minute + 9*time.Second: "11h 4m 9s", 49 * time.Hour: "2d 1h", time.Minute: "1m",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("elapsed(%d): got %q, want %q", d, got, want)
		}
	}
}
