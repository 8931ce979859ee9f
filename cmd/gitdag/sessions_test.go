package main

import (
	"strings"
	"testing"
)

const aSession = `{"id":"7710","project":{"id":"12","name":"tide_tables"},"workflow":{"name":"harbor_report","id":"903"},` +
	`"sessionUuid":"5e0c4b1e-02d7-4b7b-9f0e-8f6a2f0d9c11","sessionTime":"2031-04-05T00:00:00+12:00",` +
	`"lastAttempt":{"id":"9021","retryAttemptName":null,"done":true,"success":false,"cancelRequested":true,"params":{"a":1.0},` +
	`"createdAt":"2031-04-04T17:15:01Z","finishedAt":"2031-04-04T17:19:40Z"}}`

func sessionBlock() string {
	return begunBlock("  session id: 7710\n  attempt id: 9021\n", "", `{"a":1.0}`, "2031-04-04T17:15:01Z") + `  kill requested: true
  status: error

`
}

// The newest session is at the bottom of the screen, and the size of the page
// goes with every list, that of all sessions too (Q14).
func TestSessions(t *testing.T) {
	const pending = `{"id":"7711","project":{"id":"12","name":"tide_tables"},"workflow":{"name":"w","id":null},"sessionUuid":"u","sessionTime":"2031-04-05T00:00:00+00:00","lastAttempt":null}`
	all := `{"sessions":[` + pending + `,` + aSession + `]}`
	a := newFakeAgent(t, "GET /api/sessions", all, "GET /api/sessions/7710", aSession, "GET /api/projects", aProject, "GET /api/projects/12/sessions", `{"sessions":[]}`)
	a.want(a.gitdag("sessions", "-s", "2"), outcome{0, "Sessions:\n" + sessionBlock() + `  session id: 7711
  attempt id: ` + `
  uuid: u
  project: tide_tables
  workflow: w
  session time: 2031-04-05 00:00:00 +0000
  retry attempt name: ` + `
  params: {}
  created at: ` + `
  kill requested: false
  status: pending

`, "hint: there may be older ones: --last-id 7710 lists them\n"})
	a.want(a.gitdag("session", "7710"), outcome{0, sessionBlock(), ""})
	const hint = "hint: nothing has run yet; start a workflow with: gitdag start PROJECT WORKFLOW --session now\n"
	a.want(a.gitdag("sessions", "tide_tables"), outcome{0, "Sessions:\n", hint})
	a.want(a.gitdag("sessions", "tide_tables", "w", "-i", "9"), outcome{0, "Sessions:\n", ""})
	a.expect("GET /api/sessions?page_size=2", "GET /api/sessions/7710", "GET /api/projects?name=tide_tables", "GET /api/projects/12/sessions",
		"GET /api/projects?name=tide_tables", "GET /api/projects/12/sessions?last_id=9&workflow=w")
	if got := a.gitdag("sessions", "--json"); !strings.HasPrefix(got.stdout, "[\n  {\n    \"id\": \"7710\"") {
		t.Errorf("as JSON: got %+v, want a list", got)
	}
	a.want(a.gitdag("session", "8"), outcome{1, "", "error: Resource does not exist: /api/sessions/8\n"})
}

func TestStatusOfASession(t *testing.T) {
	for replace, want := range map[string]string{`"success":true`: "success", `"success":false`: "error"} {
		a := newFakeAgent(t, "GET /api/sessions/7710", strings.Replace(aSession, `"success":false`, replace, 1))
		if got := a.gitdag("session", "7710"); !strings.HasSuffix(got.stdout, "\n  status: "+want+"\n\n") {
			t.Errorf("%s: got %+v, want %s", replace, got, want)
		}
	}
	a := newFakeAgent(t, "GET /api/sessions/7710", strings.Replace(aSession, `"done":true`, `"done":false`, 1))
	if got := a.gitdag("session", "7710"); !strings.HasSuffix(got.stdout, "\n  status: running\n\n") {
		t.Errorf("not done: got %+v, want running", got)
	}
}

func TestAttempt(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts/9021", anAttempt)
	got := a.gitdag("attempt", "9021")
	if got.status != 0 || !strings.HasPrefix(got.stdout, "  session id: 7710\n  attempt id: 9021\n") || !strings.HasSuffix(got.stdout, "  status: error\n\n") {
		t.Errorf("got %+v, want a block", got)
	}
	a.want(a.gitdag("attempt", "9"), outcome{1, "", "error: Resource does not exist: /api/attempts/9\n"})
	if got := a.gitdag("attempt", "9021", "--json"); !strings.Contains(got.stdout, `"sessionId": "7710"`) {
		t.Errorf("as JSON: got %+v, want it", got)
	}
}
