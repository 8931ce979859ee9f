package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	aPushedProject = `{"id":"12","name":"tide_tables","revision":"rel-2031.04.05","createdAt":"2031-01-09T03:12:44Z","updatedAt":"2031-04-05T22:01:09Z",` +
		`"deletedAt":null,"archiveType":"db","archiveMd5":"q83vEjRWeJq83vEjRWeJqg=="}`
	projectHint = "hint: gitdag workflows PROJECT lists the workflows of one\n"
)

func projectBlock() string {
	return `  name: tide_tables
  id: 12
  revision: rel-2031.04.05
  archive type: db
  project created at: ` + here("2031-01-09T03:12:44Z") + `
  revision updated at: ` + here("2031-04-05T22:01:09Z") + `

`
}

func TestProjects(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", `{"projects":[`+aPushedProject+`]}`)
	a.want(a.gitdag("projects"), outcome{0, "Projects\n" + projectBlock(), projectHint})
	a.want(a.gitdag("project", "tide_tables"), outcome{0, "Projects\n" + projectBlock(), projectHint})
	a.gitdag("projects", "--count", "5", "--last-id", "3", "--name", "ti")
	a.expect("GET /api/projects?count=100", "GET /api/projects?name=tide_tables", "GET /api/projects?count=5&last_id=3&name_pattern=ti")
	if got := a.gitdag("projects", "--json"); !strings.HasPrefix(got.stdout, "[\n  {\n    \"id\": \"12\",") || got.stderr != "" {
		t.Errorf("as JSON: got %+v, want a list", got)
	}
	if got := a.gitdag("projects", "tide_tables", "--json"); !strings.HasPrefix(got.stdout, "{\n  \"id\": \"12\",") {
		t.Errorf("one as JSON: got %+v, want it alone", got)
	}
	a = newFakeAgent(t, "GET /api/projects", `{"projects":[]}`)
	a.want(a.gitdag("projects", "ghost"), outcome{1, "", "error: there is no project \"ghost\"\n"})
	a.want(a.gitdag("projects", "--json"), outcome{0, "[]\n", ""})
}

func TestWorkflows(t *testing.T) {
	const list = `{"workflows":[{"id":"1","name":"ferry","project":{"id":"3","name":"bay"}},{"id":"2","name":"pilot","project":{"id":"3","name":"bay"}},` +
		`{"id":"4","name":"buoy","project":{"id":"12","name":"tide_tables"}}]}`
	const hint = "hint: gitdag workflows PROJECT NAME shows one\n"
	a := newFakeAgent(t, "GET /api/workflows", list, "GET /api/projects", aProject, "GET /api/projects/12/workflows", aWorkflow)
	a.want(a.gitdag("workflows"), outcome{0, "  bay\n    ferry\n    pilot\n  tide_tables\n    buoy\n\n", hint})
	a.want(a.gitdag("workflow", "tide_tables"), outcome{0, "  tide_tables\n    harbor_report\n\n", hint})
	a.gitdag("workflows", "--count", "7", "--last-id", "1", "--order", "desc", "--name", "a&b")
	a.expect("GET /api/workflows?count=100&order=asc", "GET /api/projects?name=tide_tables", "GET /api/projects/12/workflows",
		"GET /api/workflows?count=7&last_id=1&name_pattern=a%26b&order=desc")
	if got := a.gitdag("workflows", "--json"); !strings.HasPrefix(got.stdout, "[\n  {\n    \"id\": \"1\",") || got.stderr != "" {
		t.Errorf("as JSON: got %+v, want a list", got)
	}
}

// A definition is shown in the order of its file.
func TestWorkflowDefinition(t *testing.T) {
	const workflow = `{"workflows":[{"id":"903","name":"harbor_report","project":{"id":"12","name":"tide_tables"},"revision":"r","timezone":"Pacific/Auckland",` +
		`"config":{"_export":{"station":"NZ-07","n":1.50},"schedule":{"daily>":"05:15:00"},"+fetch":{"sh>":"bin/fetch.sh ${session_date}"},"+a":{}}}]}`
	a := newFakeAgent(t, "GET /api/projects", aProject, "GET /api/projects/12/workflows", workflow)
	a.want(a.gitdag("workflows", "tide_tables", "harbor_report"), outcome{0, `_export:
  station: NZ-07
  n: 1.50
schedule:
  daily>: 05:15:00
+fetch:
  sh>: bin/fetch.sh ${session_date}
+a: {}
`, ""})
	a.expect("GET /api/projects?name=tide_tables", "GET /api/projects/12/workflows?name=harbor_report")
	if got := a.gitdag("workflows", "tide_tables", "harbor_report", "--json"); !strings.Contains(got.stdout, `"timezone": "Pacific/Auckland"`) {
		t.Errorf("as JSON: got %+v, want all of it", got)
	}
	a = newFakeAgent(t, "GET /api/projects", aProject, "GET /api/projects/12/workflows", `{"workflows":[]}`)
	a.want(a.gitdag("workflows", "tide_tables", "ghost"), outcome{1, "", "error: there is no workflow \"ghost\" in project \"tide_tables\"\n"})
}

// expect compares what the server has been asked so far.
func (a *fakeAgent) expect(want ...string) {
	a.t.Helper()
	if diff := cmp.Diff(want, a.requests()); diff != "" {
		a.t.Errorf("asked (-want +got):\n%s", diff)
	}
}
