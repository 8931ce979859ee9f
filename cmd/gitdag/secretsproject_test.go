package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const secretProject = `{"projects":[{"id":"12","name":"etl","revision":"r1"}]}`

func aSecret(key string) string {
	return `{"key":"` + key + `","project":{"id":"12","name":"etl"}}`
}

func (a *fakeAgent) wantRequests(want ...string) {
	a.t.Helper()
	if diff := cmp.Diff(want, a.requests()); diff != "" {
		a.t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// The requests are those of server.md 1.11.
func TestSecretsOfAProject(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", secretProject,
		"GET /api/projects/12/secrets", `{"secrets":[{"key":"a"},{"key":"pg.password"}]}`,
		"PUT /api/projects/12/secrets/a", aSecret("a"), "PUT /api/projects/12/secrets/pg.password", aSecret("pg.password"),
		"DELETE /api/projects/12/secrets/a", aSecret("a"))
	a.want(a.gitdag("secrets", "--project", "etl"), outcome{0, "a\npg.password\n", ""})
	a.want(a.gitdag("secrets", "--project", "etl", "--set", "pg.password=a=b", "a="), outcome{0, "", "Secret 'a' set\nSecret 'pg.password' set\nwarning: the value of pg.password has less than 6 characters: it is too short to be masked in logs\n"})
	a.want(a.gitdag("secret", "--delete", "a", "--project", "etl"), outcome{0, "", "Secret 'a' deleted\n"})
	a.wantRequests(
		"GET /api/projects?name=etl", "GET /api/projects/12/secrets",
		"GET /api/projects?name=etl", `PUT /api/projects/12/secrets/a {"value":""}`, `PUT /api/projects/12/secrets/pg.password {"value":"a=b"}`,
		"GET /api/projects?name=etl", "DELETE /api/projects/12/secrets/a",
	)
}

func TestSecretsAsJSON(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", secretProject, "GET /api/projects/12/secrets", `{"secrets":[]}`,
		"PUT /api/projects/12/secrets/a", aSecret("a"), "DELETE /api/projects/12/secrets/a", aSecret("a"))
	a.want(a.gitdag("secrets", "--project", "etl", "--json"), outcome{0, "[]\n", ""})
	const one = `[
  {
    "key": "a",
    "project": {
      "id": "12",
      "name": "etl"
    }
  }
]
`
	a.want(a.gitdag("secrets", "--project", "etl", "--set", "a=x", "--json"), outcome{0, one, "warning: the value of a has less than 6 characters: it is too short to be masked in logs\n"})
	a.want(a.gitdag("secrets", "--project", "etl", "--delete", "a", "--json"), outcome{0, one, ""})
}

// What was set before a refusal stays set and is told; the value is in no text.
func TestSecretsThatAnAgentRefuses(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", secretProject, "PUT /api/projects/12/secrets/a", aSecret("a"),
		"PUT /api/projects/12/secrets/b", `501 {"message":"no key for secrets is configured","status":501}`)
	a.want(a.gitdag("secrets", "--project", "etl", "--set", "a=hunter2", "b=hunter2", "c=hunter2"),
		outcome{1, "", "Secret 'a' set\nerror: set secret b: no key for secrets is configured\n"})
	got := a.gitdag("secrets", "--project", "etl", "--set", "a=hunter2", "b=hunter2", "--json")
	if got.status != 1 || strings.Contains(got.stdout+got.stderr, "hunter2") || !strings.Contains(got.stdout, `"key": "a"`) || strings.Contains(got.stdout, `"key": "b"`) {
		t.Errorf("got %+v, want an error and what was set", got)
	}
	for _, args := range [][]string{{}, {"--delete", "a"}} {
		got := a.gitdag(append([]string{"secrets", "--project", "etl"}, args...)...)
		if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "error: ") {
			t.Errorf("%q: got %+v, want an error", args, got)
		}
	}
	nobody := newFakeAgent(t, "GET /api/projects", `{"projects":[]}`)
	nobody.want(nobody.gitdag("secrets", "--project", "etl"), outcome{1, "", "error: there is no project \"etl\"\n"})
}

// A wrong argument is found before anything is asked, the project included.
func TestSecretsThatAreWrongAskNobody(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", secretProject)
	file := filepath.Join(t.TempDir(), "map.yml")
	if err := os.WriteFile(file, []byte("good: x\n-bad: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--set", "a=x", "b..c=x"}, {"--set", "a=x", "a=y"}, {"--set", "a=x", "--delete", "a"}, {"--delete", "../a"}, {"--delete", "a", "a/b"}, {"--set", "@" + file}, {"a"},
	} {
		if got := a.gitdag(append([]string{"secrets", "--project", "etl"}, args...)...); got.status != 2 || got.stdout != "" {
			t.Errorf("%q: got %+v, want a usage error", args, got)
		}
	}
	if got := a.requests(); len(got) != 0 {
		t.Errorf("asked %q, want nothing", got)
	}
}
