package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	aProject  = `{"projects":[{"id":"12","name":"tide_tables"}]}`
	aWorkflow = `{"workflows":[{"id":"903","name":"harbor_report","project":{"id":"12","name":"tide_tables"},"timezone":"Pacific/Auckland"}]}`
	aTime     = `{"project":{"id":"12","name":"tide_tables"},"revision":"r","sessionTime":"2031-04-05T00:00:00+12:00","timezone":"Pacific/Auckland"}`
)

func newStartingAgent(t *testing.T, started string) *fakeAgent {
	return newFakeAgent(t,
		"GET /api/projects", aProject, "GET /api/projects/12/workflows", aWorkflow,
		"GET /api/workflows/903/truncated_session_time", aTime, "PUT /api/attempts", started)
}

// The sequence of requests is that of Digdag's client (server.md 1.11).
func TestStart(t *testing.T) {
	a := newStartingAgent(t, strings.Replace(anAttempt, `"error"`, `"running"`, 1))
	a.want(a.gitdag("start", "tide_tables", "harbor_report", "--session", "2031-04-05", "-p", "station.code=NZ-07", "-p", "x=1,2"), outcome{0, `Started a session attempt:
` + begunBlock("  session id: 7710\n  attempt id: 9021\n", "", `{"a":"<&>","n":1.50}`, "2031-04-04T17:15:01Z") + `
`, "hint: gitdag log 9021 -f follows what its tasks print, gitdag tasks 9021 shows them\n"})
	want := []string{
		"GET /api/projects?name=tide_tables",
		"GET /api/projects/12/workflows?name=harbor_report",
		"GET /api/workflows/903/truncated_session_time?session_time=2031-04-05T00%3A00",
		`PUT /api/attempts {"workflowId":"903","sessionTime":"2031-04-04T12:00:00Z","params":{"station":{"code":"NZ-07"},"x":"1,2"},"retryAttemptName":null,"resume":null}`,
	}
	if diff := cmp.Diff(want, a.requests()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStartSessions(t *testing.T) {
	now := regexp.MustCompile(`session_time=20\d\d-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{9}Z$`)
	for session, want := range map[string]string{
		"now": "?", "hourly": "?mode=hour&", "daily": "?mode=day&", "2031-04-05": "", "2031-04-05 01:02:03": "",
	} {
		a := newStartingAgent(t, anAttempt)
		a.gitdag("start", "p", "w", "--session", session, "--json")
		asked := a.requests()[2]
		if want == "" {
			if !strings.Contains(asked, "?session_time=2031-04-05T0") || strings.Contains(asked, "mode") {
				t.Errorf("--session %s: asked %s", session, asked)
			}
			continue
		}
		if !strings.Contains(asked, "truncated_session_time"+want) || !now.MatchString(asked) {
			t.Errorf("--session %s: asked %s, want %s and now", session, asked, want)
		}
	}
}

func TestStartDryRun(t *testing.T) {
	a := newStartingAgent(t, "500 {}")
	a.want(a.gitdag("start", "tide_tables", "harbor_report", "--session", "daily", "-d", "--retry", "again"), outcome{0, `Session attempt:
  session id: (dry run)
  attempt id: (dry run)
  uuid: (dry run)
  project: tide_tables
  workflow: harbor_report
  session time: 2031-04-04 12:00:00 +0000
  retry attempt name: again
  params: {}

`, ""})
	if got := a.gitdag("start", "p", "w", "--session", "daily", "-d", "--json"); !strings.Contains(got.stdout, `"workflowId": "903"`) {
		t.Errorf("as JSON: got %+v, want the request", got)
	}
	for _, r := range a.requests() {
		if strings.HasPrefix(r, "PUT") {
			t.Errorf("a dry run asked %s", r)
		}
	}
}

// A session that has been run gives a command to paste.
func TestStartOfATakenSession(t *testing.T) {
	a := newStartingAgent(t, "409 "+anAttempt)
	a.want(a.gitdag("start", "tide_tables", "harbor_report", "--session", "daily"), outcome{
		1, "",
		"error: session 2031-04-05 00:00:00 +1200 of harbor_report has an attempt without a retry name already: session id 7710, attempt id 9021, error\n" +
			"hint: to run it once more: gitdag retry 9021 --latest-revision --all\n",
	})
	got := a.gitdag("start", "p", "w", "--session", "now", "--retry", "x")
	for _, want := range []string{`has an attempt named "x" already`, "session times are whole seconds"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("with a name: got %q, want %q", got.stderr, want)
		}
	}
}

func TestStartOfNothing(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", `{"projects":[]}`)
	a.want(a.gitdag("start", "ghost", "w", "--session", "now"), outcome{1, "", "error: there is no project \"ghost\"\n"})
	a = newFakeAgent(t, "GET /api/projects", aProject, "GET /api/projects/12/workflows", `{"workflows":[]}`)
	a.want(a.gitdag("start", "tide_tables", "ghost", "--session", "now"), outcome{1, "", "error: there is no workflow \"ghost\" in project \"tide_tables\"\n"})
	a = newStartingAgent(t, `400 {"message":"Too many tasks. Limit: 6, Current: 1, Adding: 6","status":400}`)
	a.want(a.gitdag("start", "tide_tables", "w", "--session", "now"), outcome{1, "", "error: Too many tasks. Limit: 6, Current: 1, Adding: 6\n"})
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{"etl/daily": "etl/daily", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'", "täglich": "täglich"} {
		if got := quote(text); got != want {
			t.Errorf("quote(%q): got %s, want %s", text, got, want)
		}
	}
}
