package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gitdag/engine/archive"
)

// aFlow makes a project with a workflow and a link.
func aFlow(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"daily.dig": "+a: {echo>: a}\n", "lib/load.sh": "echo\n", ".hidden": "x"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("lib/load.sh", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

const uploaded = `Uploaded:
  id: 12
  name: tide_tables
  revision: rel-2031.04.05
  archive type: db
  project created at: 2031-01-09T03:12:44Z
  revision updated at: 2031-04-05T22:01:09Z

`

func TestPush(t *testing.T) {
	dir := aFlow(t)
	a := newFakeAgent(t, "PUT /api/projects", aPushedProject)
	const said = "  Archiving daily.dig\n  Archiving lib/load.sh\n  Archiving link -> lib/load.sh\nWorkflows:\n  daily.dig\n\n"
	const hint = "hint: gitdag workflows tide_tables lists its workflows\n"
	a.want(a.gitdag("push", "tide_tables", "--project", dir, "-r", "rel 1", "--schedule-from", "2031-04-05 09:00:00 +0900"), outcome{0, said + uploaded, hint})
	parts := strings.SplitN(a.requests()[0], " ", 3)
	question, packed := parts[0]+" "+parts[1], parts[2]
	if want := "PUT /api/projects?project=tide_tables&revision=rel+1&schedule_from=2031-04-05T00%3A00%3A00Z"; question != want {
		t.Errorf("asked %q, want %s", question, want)
	}
	to := t.TempDir()
	if err := archive.Unpack(strings.NewReader(packed), to, archive.Limits{}); err != nil {
		t.Fatalf("what was sent: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "daily.dig")); err != nil || !bytes.Equal(got, []byte("+a: {echo>: a}\n")) {
		t.Errorf("what was sent: got %q, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, ".digdag", "tmp")); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want no archive left", left, err)
	}

	// Without a name a revision has a random one.
	if got := a.gitdag("push", "tide_tables", "--project", dir, "--json"); got.status != 0 || !strings.HasPrefix(got.stdout, "{\n  \"id\": \"12\"") || got.stderr != "" {
		t.Errorf("as JSON: got %+v, want the project alone", got)
	}
	if got := a.requests()[1]; !regexp.MustCompile(`^PUT /api/projects\?project=tide_tables&revision=[0-9a-f-]{36} `).MatchString(got) {
		t.Errorf("asked %.100q, want a random revision", got)
	}
}

func TestPushRefused(t *testing.T) {
	dir := aFlow(t)
	a := newFakeAgent(t, "PUT /api/projects", `409 {"message":"Resource already exists: revision=r in project id=12","status":409}`)
	got := a.gitdag("push", "p", "--project", dir)
	if got.status != 1 || got.stderr != "error: Resource already exists: revision=r in project id=12\n" || strings.Contains(got.stdout, "Uploaded") {
		t.Errorf("a known revision: got %+v, want the agent's words", got)
	}
	if err := os.Symlink("../elsewhere", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if got := a.gitdag("push", "p", "--project", dir); got.status != 1 || !strings.Contains(got.stderr, "hint: --copy-outgoing-symlinks") {
		t.Errorf("a link that leads out: got %+v, want a hint", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.dig"), []byte("sh>: x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.gitdag("push", "p", "--project", dir); got.status != 1 || !strings.Contains(got.stderr, "bad.dig:1:1: error: ") || got.stdout != "" {
		t.Errorf("a broken workflow: got %+v, want its place (L4)", got)
	}
	nowhere := filepath.Join(dir, "nowhere")
	if got := a.gitdag("push", "p", "--project", nowhere); got.status != 1 {
		t.Errorf("no project: got %+v, want an error", got)
	}
	if _, err := os.Lstat(nowhere); err == nil {
		t.Error("no project: it was made")
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("got %d questions, want that of the first push", n)
	}
	if got := a.gitdag("push", "p", "--project", dir, "--schedule-from", "soon"); got.status != 2 {
		t.Errorf("a bad time: got %+v, want a usage error", got)
	}
}

// A project that cannot be written to can be pushed.
func TestPushOfAReadOnlyProject(t *testing.T) {
	dir := aFlow(t)
	if err := os.WriteFile(filepath.Join(dir, ".digdag"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := newFakeAgent(t, "PUT /api/projects", aPushedProject)
	if got := a.gitdag("push", "p", "--project", dir); got.status != 0 {
		t.Errorf("got %+v, want success", got)
	}
}

func TestUpload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.tar.gz")
	if err := os.WriteFile(file, []byte("bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newFakeAgent(t, "PUT /api/projects", aPushedProject)
	a.want(a.gitdag("upload", file, "tide_tables", "-r", "r"), outcome{0, uploaded, "hint: gitdag workflows tide_tables lists its workflows\n"})
	a.gitdag("upload", file, "tide_tables")
	asked := a.requests()
	if asked[0] != "PUT /api/projects?project=tide_tables&revision=r bytes" {
		t.Errorf("asked %q", asked[0])
	}
	u, err := url.Parse(strings.Fields(asked[1])[1])
	if err != nil || len(u.Query().Get("revision")) != 36 {
		t.Errorf("asked %q, want a random revision", asked[1])
	}
	for _, name := range []string{file + ".none", filepath.Dir(file)} {
		if got := a.gitdag("upload", name, "p"); got.status != 1 || !strings.HasPrefix(got.stderr, "error: read the archive: ") {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestDownload(t *testing.T) {
	var packed bytes.Buffer
	if _, err := archive.Pack(&packed, aFlow(t), archive.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	a := newFakeAgent(t, "GET /api/projects", `{"projects":[`+aPushedProject+`]}`, "GET /api/projects/12/archive", packed.String())
	dir := filepath.Join(t.TempDir(), "a", "b")
	want := outcome{0, "  " + dir + "/daily.dig\n  " + dir + "/lib/load.sh\n  " + dir + "/link -> lib/load.sh\n" +
		"Downloaded revision rel-2031.04.05 of project tide_tables into " + dir + "\n", ""}
	a.want(a.gitdag("download", "tide_tables", "-o", dir), want)
	// What is there is overwritten, and else stays.
	for name, text := range map[string]string{"daily.dig": "old", "mine": "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.want(a.gitdag("download", "tide_tables", "-o", dir), want)
	for name, want := range map[string]string{"daily.dig": "+a: {echo>: a}\n", "mine": "mine", "lib/load.sh": "echo\n", "link": "echo\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("got %v, %v, want those and nothing else", left, err)
	}
	got := a.gitdag("download", "tide_tables", "-o", dir, "-r", "old", "--json")
	if got.status != 0 || got.stderr != "" || !strings.Contains(got.stdout, `"target": "lib/load.sh"`) || !strings.Contains(got.stdout, `"revision": "old"`) {
		t.Errorf("as JSON: got %+v, want what was fetched", got)
	}
	asked := a.requests()
	if asked[1] != "GET /api/projects/12/archive?revision=rel-2031.04.05" || asked[5] != "GET /api/projects/12/archive?revision=old" {
		t.Errorf("asked %q", asked)
	}
}

// An archive that breaks off, or whose names lead out, changes nothing; nor does
// a link in the directory lead a file out of it.
func TestDownloadRefused(t *testing.T) {
	var packed bytes.Buffer
	if _, err := archive.Pack(&packed, aFlow(t), archive.PackOptions{}); err != nil {
		t.Fatal(err)
	}
	project := []string{"GET /api/projects", `{"projects":[` + aPushedProject + `]}`}
	half := packed.String()[:packed.Len()/2]
	dir := t.TempDir()
	a := newFakeAgent(t, append(project, "GET /api/projects/12/archive", half)...)
	if got := a.gitdag("download", "tide_tables", "-o", dir); got.status != 1 || !strings.HasPrefix(got.stderr, "error: download revision rel-2031.04.05 of project tide_tables: ") {
		t.Errorf("cut off: got %+v, want an error", got)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("cut off: got %v, %v, want nothing", left, err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "lib")); err != nil {
		t.Fatal(err)
	}
	a = newFakeAgent(t, append(project, "GET /api/projects/12/archive", packed.String())...)
	if got := a.gitdag("download", "tide_tables", "-o", dir); got.status != 1 {
		t.Errorf("a link in the way: got %+v, want an error", got)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("a link in the way: got %v, %v outside", left, err)
	}
	a = newFakeAgent(t, append(project, "GET /api/projects/12/archive", `404 {"message":"Resource does not exist: revision","status":404}`)...)
	a.want(a.gitdag("download", "tide_tables", "-o", dir), outcome{1, "", "error: Resource does not exist: revision\n"})
}
