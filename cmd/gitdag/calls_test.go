package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gitdag/agent/client"
)

// recorder stands between a client and a server and notes what is asked.
type recorder struct {
	*httptest.Server

	mu    sync.Mutex
	calls []string
}

func newRecorder(t *testing.T, server string) *recorder {
	t.Helper()
	r := &recorder{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server})
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Errorf("%s %s: %v", request.Method, request.RequestURI, err)
		}
		r.mu.Lock()
		r.calls = append(r.calls, noted(request, body))
		r.mu.Unlock()
		request.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

// noted is a request as tables show it: without /api/, its body behind it.
func noted(r *http.Request, body []byte) string {
	text := r.Method + " " + strings.TrimPrefix(r.RequestURI, "/api/")
	switch {
	case r.Header.Get("Content-Type") == "application/gzip" && r.ContentLength == int64(len(body)) && bytes.HasPrefix(body, []byte("\x1f\x8b")):
		return text + " <archive>"
	case len(body) > 0 && r.Header.Get("Content-Type") == "application/json":
		return text + " " + string(body)
	case len(body) > 0:
		return text + " of type " + r.Header.Get("Content-Type")
	}
	return text
}

// taken returns the calls since the last time.
func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func matchCalls(calls, patterns []string) bool {
	for i := range patterns {
		if i == len(calls) || !pattern(patterns[i]).MatchString(calls[i]) {
			return false
		}
	}
	return len(calls) == len(patterns)
}

// versionQuestion is what every command begins with, but version and status.
const versionQuestion = "GET version/check?client=" + client.ProtocolVersion

// callsOfCommands is server.md 1.11, in an order in which each has something to
// work on. Queries are in the order of their keys.
var callsOfCommands = []struct {
	command string
	status  int
	calls   []string
}{
	{"push tide --project flows -r r1 --schedule-from 2303424000", 0, []string{"PUT projects?project=tide&revision=r1&schedule_from=2042-12-29T00%3A00%3A00Z <archive>"}},
	{"push tide --project flows", 0, []string{"PUT projects?project=tide&revision=<uuid> <archive>"}},
	{"start tide w --session daily", 0, []string{
		"GET projects?name=tide", "GET projects/1/workflows?name=w", "GET workflows/4/truncated_session_time?mode=day&session_time=<now>",
		`PUT attempts {"workflowId":"4","sessionTime":"<instant>","params":{},"retryAttemptName":null,"resume":null}`,
	}},
	{"start tide w --session hourly --dry-run", 0, []string{
		"GET projects?name=tide", "GET projects/1/workflows?name=w", "GET workflows/4/truncated_session_time?mode=hour&session_time=<now>",
	}},
	{"start tide w --session now --revision r1 --dry-run", 0, []string{
		"GET projects?name=tide", "GET projects/1/workflows?name=w&revision=r1", "GET workflows/2/truncated_session_time?session_time=<now>",
	}},
	{"start tide w --session 2031-04-05 -p a=1", 0, []string{
		"GET projects?name=tide", "GET projects/1/workflows?name=w", "GET workflows/4/truncated_session_time?session_time=2031-04-05T00%3A00",
		`PUT attempts {"workflowId":"4","sessionTime":"2031-04-05T00:00:00Z","params":{"a":"1"},"retryAttemptName":null,"resume":null}`,
	}},
	{"start tide w --session 2031-04-05 --retry again", 0, []string{
		"GET projects?name=tide", "GET projects/1/workflows?name=w", "GET workflows/4/truncated_session_time?session_time=2031-04-05T00%3A00",
		`PUT attempts {"workflowId":"4","sessionTime":"2031-04-05T00:00:00Z","params":{},"retryAttemptName":"again","resume":null}`,
	}},
	{"start tide ghost --session now", 1, []string{"GET projects?name=tide", "GET projects/1/workflows?name=ghost"}},
	{"retry 1 --latest-revision --resume", 0, []string{
		"GET attempts/1", "GET projects/1/workflows?name=w",
		`PUT attempts {"workflowId":"4","sessionTime":"<instant>","params":{},"retryAttemptName":"<uuid>","resume":{"mode":"failed","attemptId":"1"}}`,
	}},
	{"retry 1 --revision r1 --resume-from +two", 0, []string{
		"GET attempts/1", "GET projects/1/workflows?name=w&revision=r1",
		`PUT attempts {"workflowId":"2","sessionTime":"<instant>","params":{},"retryAttemptName":"<uuid>","resume":{"mode":"from","attemptId":"1","from":"+two"}}`,
	}},
	{"retry 2 --keep-revision --all -p b=2 --name last", 0, []string{
		"GET attempts/2", `PUT attempts {"workflowId":"4","sessionTime":"2031-04-05T00:00:00Z","params":{"a":"1","b":"2"},"retryAttemptName":"last","resume":null}`,
	}},
	{"log 1 +w+one", 0, []string{"GET logs/1/files?task=%2Bw%2Bone", "GET logs/1/files/<log>"}},
	{"log 1 +w+one -f", 0, []string{
		"GET logs/1/files?task=%2Bw%2Bone", "GET logs/1/files/<log>", "GET attempts/1", "GET logs/1/files?task=%2Bw%2Bone",
	}},
	{"kill 2", 1, []string{"POST attempts/2/kill {}"}},
	{"attempts", 0, []string{"GET attempts"}},
	{"attempts -s 2 -i 4", 0, []string{"GET attempts?last_id=4&page_size=2"}},
	{"attempts 2", 0, []string{"GET sessions/2/attempts"}},
	{"attempt 1", 0, []string{"GET attempts/1"}},
	{"session 1", 0, []string{"GET sessions/1"}},
	{"sessions", 0, []string{"GET sessions"}},
	{"sessions tide", 0, []string{"GET projects?name=tide", "GET projects/1/sessions"}},
	{"sessions tide w", 0, []string{"GET projects?name=tide", "GET projects/1/sessions?workflow=w"}},
	// Ours asks whether there is such a workflow, where it has no sessions.
	{"sessions tide ghost", 1, []string{"GET projects?name=tide", "GET projects/1/sessions?workflow=ghost", "GET projects/1/workflows?name=ghost"}},
	{"workflows", 0, []string{"GET workflows?count=100&order=asc"}},
	{"workflows tide", 0, []string{"GET projects?name=tide", "GET projects/1/workflows"}},
	{"workflows tide w", 0, []string{"GET projects?name=tide", "GET projects/1/workflows?name=w"}},
	{"projects", 0, []string{"GET projects?count=100"}},
	{"projects tide", 0, []string{"GET projects?name=tide"}},
	{"schedules", 0, []string{"GET schedules"}},
	{"backfill tide buoy -f 2042-12-27", 0, []string{
		"GET projects?name=tide", "GET projects/1/schedules?workflow=buoy", "GET workflows/3/truncated_session_time?session_time=2042-12-27T00%3A00",
		`POST schedules/1/backfill {"fromTime":"2042-12-26T15:00:00Z","attemptName":"<uuid>","count":null,"dryRun":false}`,
	}},
	{"backfill 1 --from 2042-12-27 --name n --count 1 --dry-run", 0, []string{
		"GET schedules/1", "GET workflows/3/truncated_session_time?session_time=2042-12-27T00%3A00",
		`POST schedules/1/backfill {"fromTime":"2042-12-26T15:00:00Z","attemptName":"n","count":1,"dryRun":true}`,
	}},
	{"reschedule tide buoy -s 3", 1, []string{
		"GET projects?name=tide", "GET projects/1/schedules?workflow=buoy",
		`POST schedules/1/skip {"fromTime":"<instant>","count":3,"nextTime":null,"nextRunTime":null,"dryRun":false}`,
	}},
	{"reschedule 1 -t now", 1, []string{`POST schedules/1/skip {"fromTime":null,"count":null,"nextTime":"<instant>","nextRunTime":null,"dryRun":false}`}},
	{"disable tide", 0, []string{
		"GET projects?name=tide", "GET projects/1/schedules", "POST schedules/1/disable {}", "GET projects/1/schedules?last_id=1",
	}},
	{"enable tide", 0, []string{
		"GET projects?name=tide", "GET projects/1/schedules", "POST schedules/1/enable {}", "GET projects/1/schedules?last_id=1",
	}},
	{"disable tide buoy", 0, []string{"GET projects?name=tide", "GET projects/1/schedules?workflow=buoy", "POST schedules/1/disable {}"}},
	{"enable tide buoy", 0, []string{"GET projects?name=tide", "GET projects/1/schedules?workflow=buoy", "POST schedules/1/enable {}"}},
	{"disable 1", 0, []string{"POST schedules/1/disable {}"}},
	{"enable 1", 0, []string{"POST schedules/1/enable {}"}},
	{"download tide -o out -r r1", 0, []string{"GET projects?name=tide", "GET projects/1/archive?revision=r1"}},
	{"download tide", 0, []string{"GET projects?name=tide", "GET projects/1/archive?revision=<uuid>"}},
	{"secrets --project tide", 0, []string{"GET projects?name=tide", "GET projects/1/secrets"}},
	// There is no key to keep it with.
	{"secrets --project tide --set k=v", 1, []string{"GET projects?name=tide", `PUT projects/1/secrets/k {"value":"v"}`}},
	{"secrets --project tide --delete k", 0, []string{"GET projects?name=tide", "DELETE projects/1/secrets/k"}},
	{"tasks 1", 0, []string{"GET attempts/1/tasks"}},
	{"tasks 99", 1, []string{"GET attempts/99/tasks"}},
	{"delete tide --force", 0, []string{"GET projects?name=tide", "DELETE projects/1"}},
	{"delete tide --force", 1, []string{"GET projects?name=tide"}},
}

// The commands make the calls of Digdag's client, in its order.
func TestCallsOfCommands(t *testing.T) {
	r := newRecorder(t, newServing(t).address)
	run := newCaller(t, r)
	if run("version"); !matchCalls(r.taken(), []string{"GET version"}) {
		t.Error("version asks more than the version")
	}
	for _, c := range callsOfCommands {
		out, status := run(strings.Fields(c.command)...)
		calls := r.taken()
		if status != c.status {
			t.Errorf("gitdag %s: got status %d, want %d:\n%s", c.command, status, c.status, out)
		}
		if want := append([]string{versionQuestion}, c.calls...); !matchCalls(calls, want) {
			t.Errorf("gitdag %s asked\n  %s\nwant\n  %s", c.command, strings.Join(calls, "\n  "), strings.Join(want, "\n  "))
		}
		if strings.HasPrefix(c.command, "start") || strings.HasPrefix(c.command, "retry") {
			followed(t, run, r)
		}
	}
}

// writeFlows makes a project with a workflow that fails and one with a schedule.
func writeFlows(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{
		"w.dig":    "+one: {echo>: one}\n+two: {fail>: broken}\n",
		"buoy.dig": "timezone: Asia/Tokyo\nschedule:\n  daily>: 07:00:00\n+tide: {echo>: tide}\n",
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// newCaller returns what runs the real program through the recorder.
func newCaller(t *testing.T, r *recorder) func(args ...string) (out string, status int) {
	t.Helper()
	home := t.TempDir()
	writeFlows(t, filepath.Join(home, "flows"))
	bin := program(t)
	return func(args ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home, "GITDAG_ENDPOINT="+r.URL)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatalf("gitdag %q: %v", args, err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
}

// followed waits for the end of the first attempt as log -f does: each round
// asks for the logs, for those that have grown, and for the attempt; the last
// thing is a look.
func followed(t *testing.T, run func(...string) (string, int), r *recorder) {
	t.Helper()
	if out, status := run("log", "1", "-f"); status != 0 && !strings.Contains(out, "Resource does not exist") {
		t.Errorf("gitdag log 1 -f: got status %d:\n%s", status, out)
	}
	calls := strings.Join(r.taken(), "\n")
	round := `GET logs/1/files(\nGET logs/1/files/\+w[^\n]*)*`
	if want := regexp.MustCompile(`^` + regexp.QuoteMeta(versionQuestion) + `\n(` + round + `\nGET attempts/1\n)+` + round + `$`); !want.MatchString(calls) &&
		calls != versionQuestion+"\nGET logs/1/files" {
		t.Errorf("gitdag log 1 -f asked\n%s", calls)
	}
}
