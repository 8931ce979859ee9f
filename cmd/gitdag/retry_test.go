package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	aRetry   = `{"id":"9021","sessionId":"7710","sessionUuid":"u","project":{"id":"12","name":"tide_tables"},"workflow":{"name":"harbor_report","id":"850"},"sessionTime":"2031-04-05T00:00:00+12:00","done":true,"success":false,"params":{"day":"2031","a":{"b":1,"c":2}},"createdAt":"2031-04-04T17:15:01Z"}`
	aRetried = `{"status":"running","id":"9030","index":2,"sessionId":"7710","sessionUuid":"5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11","project":{"id":"12","name":"tide_tables"},"workflow":{"name":"harbor_report","id":"903"},"sessionTime":"2031-04-05T00:00:00+12:00","retryAttemptName":"again","params":{"day":"2031"},"createdAt":"2031-04-04T18:15:01Z"}`
)

func newRetryingAgent(t *testing.T, started string) *fakeAgent {
	return newFakeAgent(t,
		"GET /api/attempts/9021", aRetry, "GET /api/projects/12/workflows", aWorkflow, "PUT /api/attempts", started)
}

// The output is that of start. The sequence of requests is that of Digdag's
// client (server.md 1.11), which sends the mode twice.
func TestRetry(t *testing.T) {
	a := newRetryingAgent(t, aRetried)
	a.want(a.gitdag("retry", "9021", "--name", "again"), outcome{0, `Started a session attempt:
` + begunBlock("  session id: 7710\n  attempt id: 9030\n", "again", `{"day":"2031"}`, "2031-04-04T18:15:01Z") + `
`, "hint: gitdag log 9030 -f follows what its tasks print, gitdag tasks 9030 shows them\n"})
	want := []string{
		"GET /api/attempts/9021",
		"GET /api/projects/12/workflows?name=harbor_report",
		`PUT /api/attempts {"workflowId":"903","sessionTime":"2031-04-04T12:00:00Z","params":{"day":"2031","a":{"b":1,"c":2}},"retryAttemptName":"again","resume":{"mode":"failed","attemptId":"9021"}}`,
	}
	if diff := cmp.Diff(want, a.requests()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := a.gitdag("retry", "9021", "--json"); got.status != 0 || got.stderr != "" || !strings.Contains(got.stdout, `"id": "9030"`) {
		t.Errorf("as JSON: got %+v, want the attempt", got)
	}
}

func TestRetryOptions(t *testing.T) {
	latest, failed := "GET /api/projects/12/workflows?name=harbor_report", `"resume":{"mode":"failed","attemptId":"9021"}`
	for _, c := range []struct {
		args   []string
		lookup string // of the definition; "" for none
		body   []string
	}{
		{nil, latest, []string{`"workflowId":"903"`, failed}},
		{[]string{"--latest-revision", "--resume"}, latest, []string{`"workflowId":"903"`, failed}},
		{[]string{"--all"}, latest, []string{`"workflowId":"903"`, `"resume":null`}},
		{[]string{"--resume-from", "+load"}, latest, []string{`"resume":{"mode":"from","attemptId":"9021","from":"+load"}`}},
		{[]string{"--keep-revision"}, "", []string{`"workflowId":"850"`, failed}},
		{[]string{"--keep-revision", "--all"}, "", []string{`"workflowId":"850"`, `"resume":null`}},
		{[]string{"--revision", "c0ff ee"}, latest + "&revision=c0ff+ee", []string{`"workflowId":"903"`, failed}},
		{[]string{"-p", "a.b=7", "-p", "new=${day}"}, latest, []string{`"params":{"day":"2031","a":{"b":"7","c":2},"new":"${day}"}`}},
	} {
		a := newRetryingAgent(t, aRetried)
		if got := a.gitdag(append([]string{"retry", "9021"}, c.args...)...); got.status != 0 {
			t.Errorf("%q: got %+v", c.args, got)
			continue
		}
		asked := a.requests()
		lookups := strings.Join(asked[1:len(asked)-1], "\n")
		if lookups != c.lookup {
			t.Errorf("%q: asked %s, want %s", c.args, lookups, c.lookup)
		}
		for _, want := range c.body {
			if !strings.Contains(asked[len(asked)-1], want) {
				t.Errorf("%q: sent %s, want %s", c.args, asked[len(asked)-1], want)
			}
		}
		if !regexp.MustCompile(`"retryAttemptName":"[0-9a-f-]{36}"`).MatchString(asked[len(asked)-1]) {
			t.Errorf("%q: sent %s, want a random name", c.args, asked[len(asked)-1])
		}
	}
}

func TestRetryUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "accepts 1 arg(s), received 0"},
		{[]string{"x"}, `ATTEMPT must be a number: "x"`},
		{[]string{"7", "--latest-revision", "--keep-revision"}, "--latest-revision and --keep-revision exclude each other"},
		{[]string{"7", "--revision", "r", "--keep-revision"}, "--keep-revision and --revision exclude each other"},
		{[]string{"7", "--all", "--resume"}, "--resume and --all exclude each other"},
		{[]string{"7", "--resume-from", "+a", "--all"}, "--resume-from and --all exclude each other"},
		{[]string{"7", "--resume-from", ""}, "--resume-from needs a value"},
		{[]string{"7", "--revision", ""}, "--revision needs a value"},
		{[]string{"7", "--name", ""}, "--name needs a value"},
		{[]string{"7", "-p", "x"}, `-p needs KEY=VALUE, not "x"`},
	} {
		a := newFakeAgent(t)
		got := a.gitdag(append([]string{"retry"}, c.args...)...)
		if got.status != 2 || !strings.HasSuffix(got.stderr, "error: "+c.want+"\n") || len(a.requests()) != 0 {
			t.Errorf("%q: got %+v after %q, want status 2 and %s", c.args, got, a.requests(), c.want)
		}
	}
}

func TestRetryRefused(t *testing.T) {
	good := strings.Replace(aRetry, `"success":false`, `"success":true`, 1)
	unnamed := strings.Replace(aRetry, `"id":"850"`, `"id":null`, 1)
	nothing := `400 {"message":"attempt 9021 succeeded: there is nothing to resume","status":400}`
	for _, c := range []struct {
		old, started string
		args         []string
		want         string
	}{
		{"404 {}", aRetried, nil, "error: "},
		{aRetry, "409 " + aRetried, []string{"--name", "again"}, "error: session 2031-04-05 00:00:00 +1200 of harbor_report has an attempt named \"again\" already: session id 7710, attempt id 9030, running\nhint: give another --name, or none\n"},
		{good, nothing, nil, "error: attempt 9021 succeeded: there is nothing to resume\nhint: gitdag retry 9021 --all runs all tasks once more\n"},
		{aRetry, `400 {"message":"no task's name ends with \"+x\"","status":400}`, []string{"--resume-from", "+x"}, "error: no task's name ends with \"+x\"\n"},
		{aRetry, `404 {"message":"Resource does not exist: workflow id=850","status":404}`, []string{"--keep-revision"}, "error: what attempt 9021 ran of workflow harbor_report is not kept any more\nhint: gitdag retry 9021 --latest-revision runs the workflow as it is now\n"},
		{unnamed, aRetried, []string{"--keep-revision"}, "error: attempt 9021 does not tell which definition of workflow harbor_report it ran\n"},
	} {
		a := newFakeAgent(t, "GET /api/attempts/9021", c.old, "GET /api/projects/12/workflows", aWorkflow, "PUT /api/attempts", c.started)
		got := a.gitdag(append([]string{"retry", "9021"}, c.args...)...)
		if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, c.want) {
			t.Errorf("%q: got %+v, want status 1 and %s", c.args, got, c.want)
		}
	}
	a := newFakeAgent(t, "GET /api/attempts/9021", aRetry, "GET /api/projects/12/workflows", `{"workflows":[]}`)
	a.want(a.gitdag("retry", "9021"), outcome{1, "", "error: there is no workflow \"harbor_report\" in project \"tide_tables\"\n"})
	a.want(a.gitdag("retry", "9021", "--revision", "c0ffee"), outcome{1, "", "error: there is no workflow \"harbor_report\" in project \"tide_tables\" of revision c0ffee\n"})
}

// Default parameters come from the configuration that -c or GITDAG_CONFIG
// names, for start as for retry.
func TestParametersOfAConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("params.harbor = bergen\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"retry", "9021"}, {"start", "p", "w", "--session", "daily"}} {
		for _, c := range []struct {
			env  string
			args []string
		}{
			{"GITDAG_CONFIG=" + file, nil},
			{"GITDAG_CONFIG=/nowhere", []string{"-c", file}},
			{"DIGDAG_CONFIG=params.harbor = bergen", nil},
		} {
			a := newFakeAgent(t, "GET /api/attempts/9021", aRetry, "GET /api/projects", aProject, "GET /api/projects/12/workflows", aWorkflow,
				"GET /api/workflows/903/truncated_session_time", aTime, "PUT /api/attempts", aRetried)
			got := gitdag(t, []string{"GITDAG_ENDPOINT=" + a.server.URL, c.env}, append(command, c.args...)...)
			asked := a.requests()
			if got.status != 0 || !strings.Contains(asked[len(asked)-1], `"harbor":"bergen"`) {
				t.Errorf("%q with %s: got %+v after %q, want the parameter", append(command, c.args...), c.env, got, asked)
			}
		}
	}
}
