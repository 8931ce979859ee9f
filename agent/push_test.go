package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/bench/agenttest"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// newPushRig makes a rig whose agent follows no repository and takes pushes.
func newPushRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.config.Repos, r.config.AllowPush = nil, true
	return r
}

// packed is a tar.gz of files.
func packed(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var entries []tar.Header
	var content []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(files[name]))})
		content = append(content, files[name])
	}
	return packedEntries(t, entries, content)
}

func packedEntries(t *testing.T, entries []tar.Header, content []string) []byte {
	t.Helper()
	return zipped(t, string(packedTar(t, entries, content)))
}

// packedTar is a tar of entries; those beyond the content have none.
func packedTar(t *testing.T, entries []tar.Header, content []string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range entries {
		if err := w.WriteHeader(&entries[i]); err != nil {
			t.Fatal(err)
		}
		if i < len(content) {
			if _, err := io.WriteString(w, content[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// answer is what a push, or another request about a project, is answered with.
type answer struct {
	status  int
	ID      string
	Message string
	Project string `json:"name"`
}

// upload pushes an archive.
func (r *rig) upload(project, revision string, archive []byte) answer {
	r.t.Helper()
	q := url.Values{"project": {project}, "revision": {revision}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPut, "http://"+r.agent.Addr()+"/api/projects?"+q.Encode(), bytes.NewReader(archive))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/gzip")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return answer{}
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		r.t.Errorf("push of %s %s: status %d: %v", project, revision, res.StatusCode, err)
	}
	return a
}

// pushed pushes files, which must succeed, and returns the project's id.
func (r *rig) pushed(project, revision string, files map[string]string) string {
	r.t.Helper()
	a := r.upload(project, revision, packed(r.t, files))
	if a.status != http.StatusOK || a.Project != project {
		r.t.Fatalf("push of %s %s: got %+v\n%s", project, revision, a, r.log)
	}
	return a.ID
}

// download asks for the archive of a revision, and of the live one if that is
// empty.
func (r *rig) download(project, revision string) (int, []byte) {
	r.t.Helper()
	path := "/api/projects/" + project + "/archive"
	if revision != "" {
		path += "?revision=" + url.QueryEscape(revision)
	}
	res, err := http.Get("http://" + r.agent.Addr() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, data
}

// definition returns the id of a workflow of a project's live revision.
func (r *rig) definition(project, workflow string) uint64 {
	r.t.Helper()
	var id uint64
	r.view(func(s *flow.State) { id = s.ProjectNamed(project).Workflow(workflow).ID })
	return id
}

// startByID starts a definition over HTTP and waits for its end.
func (r *rig) startByID(definition uint64, params string) (attempt uint64, succeeded bool) {
	r.t.Helper()
	r.sessions++
	var a struct{ ID, Message string }
	session := time.Unix(1_700_000_000+r.sessions, 0).UTC().Format(time.RFC3339)
	body := fmt.Sprintf(`{"workflowId": "%d", "sessionTime": %q, "params": %s}`, definition, session, params)
	if got := r.ask(http.MethodPut, "/api/attempts", body, "", &a); got != http.StatusOK {
		r.t.Fatalf("start: got %d %s\n%s", got, a.Message, r.log)
	}
	if _, err := fmt.Sscan(a.ID, &attempt); err != nil {
		r.t.Fatal(err)
	}
	return attempt, r.ended(attempt)
}

// What is pushed runs on schedule, is there after a restart, and its files are
// made again from its archive when they are lost.
func TestPushedProject(t *testing.T) {
	r := newPushRig(t)
	r.start()
	out := filepath.Join(t.TempDir(), "out")
	files := map[string]string{
		"w.dig": daily("04:00:00") + "+b: {sh>: bin/append}\n", "bin/append": "#!/bin/sh\necho one >> " + out + "\n",
		"sub/callee.dig": "not: a workflow of this project\n", ".hidden.dig": "neither: this\n",
	}
	archive := packed(t, files)
	if a := r.upload("etl", "r1", archive); a.status != http.StatusOK || a.ID != "1" {
		t.Fatalf("got %+v, want project 1\n%s", a, r.log)
	}
	r.wantSchedules("etl/w")
	if status, got := r.download("1", ""); status != http.StatusOK || !bytes.Equal(got, archive) {
		t.Errorf("download: status %d, %d bytes, want the %d that came", status, len(got), len(archive))
	}
	if _, ok := r.startByID(r.definition("etl", "w"), "{}"); !ok {
		t.Errorf("the attempt has failed\n%s", r.log)
	}

	r.stop()
	if err := os.RemoveAll(filepath.Join(r.config.Data, "checkouts")); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.wantSchedules("etl/w")
	if _, ok := r.startByID(r.definition("etl", "w"), "{}"); !ok {
		t.Errorf("the attempt after the loss has failed\n%s", r.log)
	}
	if data, _ := os.ReadFile(out); string(data) != "one\none\n" {
		t.Errorf("got %q, want a line of each attempt", data)
	}
	if n := r.log.Count("the files of a revision were gone and are unpacked again"); n != 1 {
		t.Errorf("told %d times, want once\n%s", n, r.log)
	}

	// An older revision is still known, shown, started and given back.
	old := r.definition("etl", "w")
	r.pushed("etl", "r2", map[string]string{"v.dig": "+a: {echo>: a}\n"})
	r.wantSchedules()
	if status, got := r.download("1", "r1"); status != http.StatusOK || !bytes.Equal(got, archive) {
		t.Errorf("download of r1: status %d, %d bytes, want the %d that came", status, len(got), len(archive))
	}
	if err := os.RemoveAll(filepath.Join(r.config.Data, "checkouts")); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.startByID(old, "{}"); !ok {
		t.Errorf("the attempt of the older revision has failed\n%s", r.log)
	}
	if status, _ := r.download("1", "r3"); status != http.StatusNotFound {
		t.Errorf("an unknown revision: status %d, want 404", status)
	}
}

// A project belongs to where it came from: one of a repository is not pushed
// over nor deleted, and a commit does not replace one that was pushed.
func TestPushAndGit(t *testing.T) {
	r := newRig(t)
	r.config.AllowPush = true
	r.start()
	r.push("first", map[string]string{"w.dig": daily("04:00:00"), "run.sh": "true\n"})
	simple := packed(t, map[string]string{"w.dig": "+a: {echo>: a}\n"})
	want := `project "flows" comes from the Git repository "flows" and cannot be pushed over: change it there, or push under another name`
	if a := r.upload("flows", "r1", simple); a.status != http.StatusConflict || a.Message != want {
		t.Errorf("a push over it: got %+v, want 409 %s", a, want)
	}
	var refused answer
	if got := r.ask(http.MethodDelete, "/api/projects/1", "", "", &refused); got != http.StatusConflict || !strings.Contains(refused.Message, `repository "flows"`) {
		t.Errorf("delete: got %d %+v, want 409", got, refused)
	}
	status, archive := r.download("1", "")
	if names := namesIn(t, archive); status != http.StatusOK || !slices.Equal(names, []string{"run.sh", "w.dig"}) {
		t.Errorf("the archive of a repository's project: %d, %q", status, names)
	}

	r.pushed("etl", "r1", map[string]string{"v.dig": daily("05:00:00")})
	r.wantSchedules("etl/v", "flows/w")
	commit := r.push("take its name", map[string]string{
		"w.dig": agenttest.Removed, "run.sh": agenttest.Removed, "etl/v.dig": daily("06:00:00"), "gitdag.yaml": "projects: [{path: etl, name: etl}]\n",
	})
	if r.revision("etl") != "r1" || r.revision("etl") == commit {
		t.Errorf("etl has revision %s, want what was pushed", r.revision("etl"))
	}
	r.log.Await(t, `the name \\"etl\\" is taken by a project that was pushed`)

	// Neither a configuration without the repository nor a restart touches it.
	changed := r.config
	changed.Repos = nil
	if err := r.agent.Reload(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	r.wantSchedules("etl/v")
	r.stop()
	r.config = changed
	r.start()
	r.wantSchedules("etl/v")

	// Without pushes what was pushed stays live, and nothing is added.
	r.stop()
	r.config.Repos, r.config.AllowPush = []Repo{{URL: r.repo.Path(), Poll: Duration(time.Hour)}}, false
	r.start()
	r.wantSchedules("etl/v")
	if a := r.upload("etl", "r2", simple); a.status != http.StatusForbidden || !strings.Contains(a.Message, "allow_push") {
		t.Errorf("a push where none are taken: got %+v, want 403", a)
	}
}

// namesIn lists the entries of a tar.gz.
func namesIn(t *testing.T, archive []byte) []string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// A deleted project frees its name; what ran stays readable, and the secrets go
// with it.
func TestDeletePushed(t *testing.T) {
	r := newPushRig(t)
	key, err := secret.ParseKey([]byte("MDEyMzQ1Njc4OWFiY2RlZg=="))
	if err != nil {
		t.Fatal(err)
	}
	r.server.SecretKey = key
	r.start()
	files := map[string]string{"w.dig": "+a: {sh>: 'test \"$v\" = s3cret', _env: {v: '${secret:db.password}'}}\n"}
	first := r.pushed("etl", "r1", files)
	var set answer
	if got := r.ask(http.MethodPut, "/api/projects/"+first+"/secrets/db.password", `{"value": "s3cret"}`, "", &set); got != http.StatusOK {
		t.Fatalf("set a secret: got %d %+v", got, set)
	}
	definition := r.definition("etl", "w")
	if _, ok := r.startByID(definition, "{}"); !ok {
		t.Errorf("the attempt with the secret has failed\n%s", r.log)
	}
	var was answer
	if got := r.ask(http.MethodDelete, "/api/projects/"+first, "", "", &was); got != http.StatusOK || was.ID != first {
		t.Errorf("delete: got %d %+v, want the project", got, was)
	}
	if got := r.ask(http.MethodDelete, "/api/projects/"+first, "", "", nil); got != http.StatusNotFound {
		t.Errorf("delete again: got %d, want 404", got)
	}
	if got := r.ask(http.MethodGet, fmt.Sprintf("/api/workflows/%d", definition), "", "", nil); got != http.StatusOK {
		t.Errorf("its definition: got %d, want 200", got)
	}
	if err := r.agent.sweepSecrets(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(r.config.Data, "secrets", "*")); len(left) != 0 {
		t.Errorf("secrets are left: %q", left)
	}
	if second := r.pushed("etl", "r1", files); second == first {
		t.Errorf("the new project has the id %s of the old one", second)
	}
	if _, ok := r.startByID(r.definition("etl", "w"), "{}"); ok {
		t.Error("the new project has the secret of the old one")
	}
	r.log.Await(t, "Secret not found for key: 'db.password'")
}

// Of pushes at once each is whole: of one revision one succeeds, of several the
// last one is live and all are known.
func TestPushesAtOnce(t *testing.T) {
	r := newPushRig(t)
	r.start()
	var mu sync.Mutex
	statuses := map[int]int{}
	var all sync.WaitGroup
	for i := range 8 {
		revision := "same"
		if i >= 4 {
			revision = fmt.Sprintf("r%d", i)
		}
		archive := packed(t, map[string]string{"w.dig": fmt.Sprintf("+a: {echo>: %d}\n", i)})
		all.Go(func() {
			a := r.upload("etl", revision, archive)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[int]int{http.StatusOK: 5, http.StatusConflict: 3}, statuses); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	r.view(func(s *flow.State) {
		p := s.ProjectNamed("etl")
		if n := len(p.Revisions()); n != 5 || p.Revision != p.Revisions()[0].Name {
			t.Errorf("%d revisions, %s is live, want 5 and the newest", n, p.Revision)
		}
	})
	if _, ok := r.startByID(r.definition("etl", "w"), "{}"); !ok {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
}

// Only so many revisions are kept. What goes, goes whole: its definitions, its
// archive, and its checkout once it is not among the newest.
func TestRevisionsArePruned(t *testing.T) {
	r := newPushRig(t)
	r.config.Retention.Revisions = 2
	r.start()
	var archives []string
	for i := range 4 {
		if i == 3 { // a new version begins a segment; the old one names what was deployed
			r.stop()
			r.version = "next"
			r.start()
		}
		r.pushed("etl", fmt.Sprintf("r%d", i), map[string]string{"w.dig": fmt.Sprintf("+a: {echo>: %d}\n", i)})
		r.view(func(s *flow.State) { archives = append(archives, s.ProjectNamed("etl").Checkout) })
	}
	used, err := r.agent.target().InUse(t.Context())
	slices.Sort(used)
	if want := slices.Sorted(slices.Values(archives[2:])); err != nil || !slices.Equal(used, want) {
		t.Errorf("in use are %q, %v, want %q", used, err, want)
	}
	var list struct{ Revisions []struct{ Revision string } }
	r.ask(http.MethodGet, "/api/projects/1/revisions", "", "", &list)
	if len(list.Revisions) != 2 || list.Revisions[0].Revision != "r3" {
		t.Errorf("revisions %+v, want r3 and r2", list.Revisions)
	}
	r.tidyAll()
	for i, name := range archives {
		r.wantKept(fmt.Sprintf("r%d", i), name, i >= 2)
	}
}

// An attempt keeps the revision that it runs for as long as it may be retried,
// whatever is pushed meanwhile.
func TestRevisionInUseIsKept(t *testing.T) {
	r := newPushRig(t)
	r.config.Retention.Revisions = 1
	r.start()
	gate := filepath.Join(t.TempDir(), "gate")
	wait := func(then string) map[string]string {
		return map[string]string{"w.dig": "+a: {sh>: 'while [ ! -e " + gate + " ]; do sleep 0.02; done'}\n+b: {sh>: bin/b}\n", "bin/b": then}
	}
	var ids []uint64
	var archives []string
	for i, then := range []string{"exit 0\n", "exit 1\n"} {
		r.pushed("flows", fmt.Sprintf("r%d", i), wait("#!/bin/sh\n"+then))
		r.view(func(s *flow.State) { archives = append(archives, s.ProjectNamed("flows").Checkout) })
		ids = append(ids, r.begin("w", time.Unix(1_700_000_000+int64(i), 0)))
	}
	r.pushed("flows", "r2", map[string]string{"v.dig": "+a: {echo>: a}\n"})
	r.tidyAll()
	for i, name := range archives {
		r.wantKept(fmt.Sprintf("r%d, running", i), name, true)
	}
	// Lost files are made again from the archive, for a task that begins later too.
	if err := os.RemoveAll(filepath.Join(r.config.Data, "checkouts")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if good, bad := r.ended(ids[0]), r.ended(ids[1]); !good || bad {
		t.Errorf("the attempts succeeded: %v, %v, want the first alone\n%s", good, bad, r.log)
	}
	var retried struct{ ID string }
	body := fmt.Sprintf(`{"workflowId": "%d", "sessionTime": "2023-11-14T22:13:21Z", "retryAttemptName": "again",
		"resume": {"mode": "failed", "attemptId": "%d"}, "params": {}}`, r.definitionOf(ids[1]), ids[1])
	if got := r.ask(http.MethodPut, "/api/attempts", body, "", &retried); got != http.StatusOK {
		t.Fatalf("retry: got %d\n%s", got, r.log)
	}
	r.ended(ids[1] + 1)
	r.stop()
	r.version = "next" // begins a segment with what comes now; the old one names the archive
	r.start()
	r.pushed("other", "r1", map[string]string{"v.dig": "+a: {echo>: a}\n"})
	r.tidyAll()
	r.wantKept("r0, over", archives[0], false)
	r.wantKept("r1, may be retried", archives[1], true)
}

// definitionOf returns the id of the definition that an attempt of the history
// has run.
func (r *rig) definitionOf(attempt uint64) uint64 {
	r.t.Helper()
	past, err := r.agent.store.history.Attempt(r.t.Context(), attempt)
	if err != nil {
		r.t.Fatal(err)
	}
	return past.Attempt.Definition
}

// tidyAll removes all that nothing needs: what has been written lately is spared
// by the first round.
func (r *rig) tidyAll() {
	r.t.Helper()
	r.snapshot()
	for range 2 {
		r.agent.tidy(r.t.Context(), time.Now())
	}
}

// wantKept checks whether the archive of a revision and its files are there.
func (r *rig) wantKept(what, archive string, want bool) {
	r.t.Helper()
	_, err := r.agent.store.objects.Read(archive)
	if (err == nil) != want {
		r.t.Errorf("archive of %s: %v, want it kept: %v", what, err, want)
	}
	if _, err := os.Stat(r.agent.source.dir(archive)); (err == nil) != want {
		r.t.Errorf("checkout of %s: %v, want it kept: %v", what, err, want)
	}
}

// Tasks find the operators that the agent is given.
func TestOperatorsOfTheAgent(t *testing.T) {
	entries := operator.Builtin()
	entries["hail"] = entries["echo"]
	for _, known := range []bool{true, false} {
		r := newPushRig(t)
		if known {
			r.operators = operator.NewRegistry(entries)
		}
		r.start()
		r.pushed("etl", "r1", map[string]string{"w.dig": "+a: {hail>: the tide}\n"})
		if _, ok := r.startByID(r.definition("etl", "w"), "{}"); ok != known {
			t.Errorf("the attempt succeeded: %v, want %v\n%s", ok, known, r.log)
		}
		if warned := r.log.Count("project has a warning") > 0; warned == known {
			t.Errorf("a push warns of the operator: %v, want %v\n%s", warned, !known, r.log)
		}
	}
}

// Parameters of the server lie below all others.
func TestServerParams(t *testing.T) {
	r := newPushRig(t)
	r.params = params.Of("a", params.Template("low"), "b", params.Template("${a}!"))
	r.start()
	r.pushed("etl", "r1", map[string]string{"w.dig": "+a: {sh>: 'test \"${a} ${b}\" = \"high high!\"'}\n"})
	if _, ok := r.startByID(r.definition("etl", "w"), `{"a": "high"}`); !ok {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
}
