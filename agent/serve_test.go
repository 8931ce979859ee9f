package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitdag/agent/api"
	"gitdag/engine/flow"
)

// The interface of a server as it may be configured: a second listener with the
// administrator's routes, headers, the file of addresses, the access log.
func TestServerInterface(t *testing.T) {
	r := newPushRig(t)
	dir := t.TempDir()
	r.server = Server{
		AdminListen: "127.0.0.1:0", User: BasicUser{Name: "mara", Password: "s3a", Admin: true},
		Headers: http.Header{"X-Harbour": {"blue"}}, RuntimeInfo: filepath.Join(dir, "addresses.json"),
		AccessLog: AccessLog{Dir: filepath.Join(dir, "log"), Format: "combined"},
	}
	r.start()
	var info struct {
		Local []struct {
			Host string
			Port int
		} `json:"local_addresses"`
		Admin []struct {
			Host string
			Port int
		} `json:"local_admin_addresses"`
	}
	text, err := os.ReadFile(r.server.RuntimeInfo)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &info); err != nil || len(info.Local) != 1 || len(info.Admin) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	ask := func(port int, path, user string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", `probe "1"`)
		if user != "" {
			req.SetBasicAuth(user, "s3a")
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res
	}
	local, admin := info.Local[0].Port, info.Admin[0].Port
	if addr := fmt.Sprintf("127.0.0.1:%d", local); addr != r.agent.Addr() {
		t.Errorf("the file has %s, want %s", addr, r.agent.Addr())
	}
	for _, c := range []struct {
		port       int
		path, user string
		want       int
	}{
		{local, "/api/version", "", http.StatusOK},
		{local, "/api/projects", "", http.StatusUnauthorized},
		{local, "/api/projects", "mara", http.StatusOK},
		{admin, "/api/projects", "mara", http.StatusOK},
		{local, "/api/admin/attempts/1/userinfo", "mara", http.StatusNotFound},
		{admin, "/api/admin/attempts/1/userinfo", "", http.StatusUnauthorized},
		{admin, "/api/admin/attempts/1/userinfo", "mara", http.StatusNotFound}, // no such attempt
	} {
		res := ask(c.port, c.path, c.user)
		if res.StatusCode != c.want || res.Header.Get("X-Harbour") != "blue" {
			t.Errorf("%s by %q: got %d, header %q, want %d and blue", c.path, c.user, res.StatusCode, res.Header.Get("X-Harbour"), c.want)
		}
	}
	r.stop()
	files, err := filepath.Glob(filepath.Join(dir, "log", "access.????-??-??.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no access log: %v", err)
	}
	var lines []string
	for _, f := range files { // two at midnight
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	line := regexp.MustCompile(`^127\.0\.0\.1 - (-|mara) \[[^\]]+ [+-]\d{4}\] "GET /api/[a-z0-9/]+ HTTP/1\.1" (200|401|404) \d+ "-" "probe \\"1\\""$`)
	if len(lines) != 7 {
		t.Errorf("%d lines, want one of each request", len(lines))
	}
	for _, l := range lines {
		if !line.MatchString(l) {
			t.Errorf("unexpected line %s", l)
		}
	}
}

// A line is one line, whatever a client sends.
func TestAccessLogFormats(t *testing.T) {
	a := &access{at: time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC), took: 1234567 * time.Microsecond, status: 404, size: 17}
	var err error
	if a.request, err = http.NewRequest(http.MethodGet, "http://flows.example.com/x", nil); err != nil {
		t.Fatal(err)
	}
	a.request.RemoteAddr, a.request.RequestURI = "192.0.2.1:1234", "/x?a=\"b\"\n"
	a.request.Header.Set("X-Forwarded-For", "198.51.100.1")
	a.request.SetBasicAuth("a b", "")
	for got, want := range map[string]string{
		a.common():   `192.0.2.1 - a_b [05/Apr/2031:06:07:08 +0000] "GET /x?a=\"b\"\n HTTP/1.1" 404 17`,
		a.combined(): `192.0.2.1 - a_b [05/Apr/2031:06:07:08 +0000] "GET /x?a=\"b\"\n HTTP/1.1" 404 17 "-" "-"`,
		a.json(): `{"time":"05/Apr/2031:06:07:08 +0000","host":"192.0.2.1","forwardedfor":"198.51.100.1","method":"GET","uri":"/x?a=\"b\"\n",` +
			`"protocol":"HTTP/1.1","status":404,"size":17,"referer":"","ua":"","vhost":"flows.example.com","reqtime":"1.235"}`,
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if _, err := openAccessLog(AccessLog{Dir: t.TempDir(), Format: "fancy"}, nil); err == nil {
		t.Error("an unknown format is accepted")
	}
}

// Whoever sends half a request does not keep its connection.
func TestSlowClientIsCutOff(t *testing.T) {
	r := newPushRig(t)
	r.server.Timeouts = Timeouts{Header: 50 * time.Millisecond, Idle: 50 * time.Millisecond}
	r.start()
	for _, sent := range []string{"GET /api/vers", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"} {
		conn, err := net.Dial("tcp", r.agent.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("after %q: got %v, want the connection closed", sent, err)
		}
	}
}

// Polls that change nothing, and those that fail, leave nothing in the journal.
func TestPollsThatChangeNothing(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00")})
	polled := func(what string, want func(time.Time) bool) {
		t.Helper()
		last := r.agent.source.Syncing()[0].LastPoll
		for range 3 {
			r.agent.Sync("")
			r.eventually(what, func() bool { return want(last) })
			last = r.agent.source.Syncing()[0].LastPoll
		}
	}
	r.eventually("the poll is over", func() bool { return r.agent.source.Syncing()[0].Phase == "waiting" })
	before := r.agent.store.journal.Last()
	polled("the poll has succeeded", func(last time.Time) bool { return r.agent.source.Syncing()[0].LastSuccess.After(last) })
	if err := os.Rename(r.repo.Path(), r.repo.Path()+".away"); err != nil {
		t.Fatal(err)
	}
	polled("the poll has failed", func(last time.Time) bool {
		s := r.agent.source.Syncing()[0]
		return s.Failures > 0 && s.LastPoll.After(last)
	})
	if after := r.agent.store.journal.Last(); after != before {
		t.Errorf("%d records were added by polls, want none", after-before)
	}
}

// While the agent stops, running tasks have their time and requests are
// answered; no task begins (Q39).
func TestRequestsWhileStopping(t *testing.T) {
	r := newPushRig(t)
	r.start()
	gate := filepath.Join(t.TempDir(), "gate")
	r.pushed("flows", "r1", map[string]string{
		"slow.dig": "+a: {sh>: 'while [ ! -e " + gate + " ]; do sleep 0.02; done'}\n+b: {echo>: b}\n",
	})
	id := r.begin("slow", time.Unix(1_700_000_000, 0))
	r.eventually("the task runs", func() bool { return r.states()[flow.Running] == 1 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.agent.Stop(t.Context())
	}()
	if got := r.ask(http.MethodGet, fmt.Sprintf("/api/attempts/%d", id), "", "", nil); got != http.StatusOK {
		t.Errorf("a request meanwhile: got %d, want 200", got)
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-stopped
	r.start()
	if !r.ended(id) {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
}

// The name of an agent, its process and its host, may come again, as in
// containers, and nothing is decided by it: what ran under it before has another
// lease and a log of its own (Q20).
func TestANameThatComesAgain(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "go")
	r := newRig(t)
	r.config.Drain = Duration(10 * time.Millisecond)
	r.start()
	r.push("wait", map[string]string{"w.dig": "+a: {sh>: 'echo begun; until [ -e " + gate + " ]; do sleep 0.02; done'}\n"})
	id := r.begin("w", time.Unix(1_700_000_000, 0))
	var old flow.Lease
	begun := func(executions int) func() bool {
		return func() bool {
			r.view(func(s *flow.State) {
				for task := range s.Attempt(id).Tasks {
					if task.State() == flow.Running {
						old = flow.Lease{Attempt: id, Task: task.ID(), Execution: 1}
					}
				}
			})
			return old.Attempt == id && len(r.logs(id)) == executions
		}
	}
	r.eventually("the task runs", begun(1))
	r.stop()
	r.start()
	r.eventually("the task runs again", begun(2))
	if _, err := r.agent.engine.Submit(t.Context(), &flow.TaskSucceeded{Lease: old}); err == nil {
		t.Error("a result under the lease of the former agent is accepted")
	}
	list := r.logs(id)
	if list[0].AgentID != list[1].AgentID || list[0].FileName == list[1].FileName {
		t.Errorf("got logs %+v, want two of one agent", list)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !r.ended(id) {
		t.Error("the attempt has failed")
	}
}

// logs are what the API lists of an attempt.
func (r *rig) logs(attempt uint64) []api.LogFile {
	var answer struct{ Files []api.LogFile }
	r.ask(http.MethodGet, fmt.Sprintf("/api/logs/%d/files", attempt), "", "", &answer)
	return answer.Files
}
