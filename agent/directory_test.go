package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/agent/api"
	"gitdag/bench/agenttest"
	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/local"
	"gitdag/engine/params"
)

// newDirectoryRig makes a rig whose agent runs a directory, which it reads when
// it is told to.
func newDirectoryRig(t *testing.T, files map[string]string) *rig {
	t.Helper()
	r := newRig(t)
	r.config.Repos = nil
	r.directory = &Directory{Dir: t.TempDir(), Environ: []string{"PATH=" + os.Getenv("PATH")}, Secrets: local.Secrets{}, Every: time.Hour}
	r.edit(files)
	return r
}

// edit changes files of the directory.
func (r *rig) edit(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		file := filepath.Join(r.directory.Dir, name)
		var err error
		if text == agenttest.Removed {
			err = os.Remove(file)
		} else if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// reread has the directory read and waits until that is done.
func (r *rig) reread() {
	r.t.Helper()
	before := r.reading()
	r.agent.Sync("")
	r.eventually("the directory is read", func() bool {
		now := r.reading()
		return now.LastPoll.After(before.LastPoll) && (now.LastSuccess.Equal(now.LastPoll) || now.Failures > before.Failures)
	})
}

// reading says how the reading is doing.
func (r *rig) reading() api.Syncing { return r.agent.source.Syncing()[0] }

// runOf runs a workflow of the directory and tells whether it succeeded.
func (r *rig) runOf(workflow string) bool {
	r.t.Helper()
	r.sessions++
	id, err := r.agent.engine.StartAttempt(context.Background(), engine.StartRequest{
		Project: directoryProject, Workflow: workflow, Session: time.Unix(1_700_000_000+r.sessions, 0), Params: params.NewMap(0),
	})
	if err != nil {
		r.t.Fatalf("start %s: %v\n%s", workflow, err, r.log)
	}
	return r.ended(id)
}

func (r *rig) wantRevision(want string) {
	r.t.Helper()
	if got := r.revision(directoryProject); got != want {
		r.t.Errorf("got revision %q, want %q\n%s", got, want, r.log)
	}
}

// A change of a workflow, also of what it includes, is a new revision with new
// schedules; a change of other files is none.
func TestDirectoryRevisions(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{
		"load.dig": daily("04:00:00"), "report.dig": "+a: {!include : lib/a.yml}\n", "lib/a.yml": "echo>: a\n", "lib/x.sh": "true\n",
	})
	r.start()
	r.wantRevision("1")
	r.wantSchedules("default/load")

	r.edit(map[string]string{"lib/x.sh": "false\n", "data/out": "x", "lib/unused.yml": "x: y\n"})
	r.reread()
	r.wantRevision("1")

	r.edit(map[string]string{"load.dig": daily("04:30:00"), "more.dig": daily("05:00:00")})
	r.reread()
	r.wantRevision("2")
	r.wantSchedules("default/load", "default/more")
	if at := r.next(directoryProject, "load"); at.Hour() != 4 || at.Minute() != 30 {
		t.Errorf("load runs next at %v, want 04:30", at)
	}

	r.edit(map[string]string{"lib/a.yml": "echo>: b\n", "more.dig": agenttest.Removed})
	r.reread()
	r.wantRevision("3")
	r.wantSchedules("default/load")

	if r.agent.Sync("flows") {
		t.Error("an unknown source can be read")
	}
}

// It is read without being told to.
func TestDirectoryIsReadAgain(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{"load.dig": daily("04:00:00")})
	r.directory.Every = 10 * time.Millisecond
	r.start()
	r.edit(map[string]string{"load.dig": daily("04:30:00")})
	r.eventually("the second revision is live", func() bool { return r.revision(directoryProject) == "2" })
}

// Errors keep the last good revision. They are told once, with file, line and
// column, however often the directory is read.
func TestDirectoryWithErrorsKeepsItsRevision(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{"load.dig": daily("04:00:00"), "other.dig": "+a: {echo>: a}\n"})
	r.start()
	r.edit(map[string]string{"load.dig": "timezone: Nowhere\n", "other.dig": "sh>: x\n"})
	r.reread()
	r.reread()
	r.wantRevision("1")
	r.wantSchedules("default/load")
	if !r.runOf("other") {
		t.Error("the last good revision does not run")
	}
	for _, pattern := range []string{`its last revision stays.* diagnostic="load\.dig:1:11: error: `, `its last revision stays.* diagnostic="other\.dig:1:1: error: .*; an operator belongs into a task`} {
		if n := r.log.Count(pattern); n != 1 {
			t.Errorf("%d lines with %s, want 1:\n%s", n, pattern, r.log)
		}
	}
	if s := r.reading(); s.Failures != 2 || s.FailingSince.IsZero() || !strings.Contains(s.LastError, "load.dig:1:") || s.LastSuccess.IsZero() {
		t.Errorf("got %+v, want two failures and their reason", s)
	}

	r.edit(map[string]string{"load.dig": daily("04:00:00"), "other.dig": "+a: {echo>: a}\n"})
	r.reread()
	r.wantRevision("1")
	if s := r.reading(); s.Failures != 0 || s.LastError != "" || !s.FailingSince.IsZero() {
		t.Errorf("got %+v, want no failure", s)
	}
	r.log.Await(t, "the project can be read again")

	// A directory that is gone is an error, not a project without workflows.
	away := r.directory.Dir + ".away"
	if err := os.Rename(r.directory.Dir, away); err != nil {
		t.Fatal(err)
	}
	r.reread()
	r.wantSchedules("default/load")
	if err := os.Rename(away, r.directory.Dir); err != nil {
		t.Fatal(err)
	}
}

// Tasks run in the directory itself, with the environment, the parameters and
// the secrets that were given, and leave nothing of ours behind.
func TestDirectoryIsTheWorkspace(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{
		"w.dig": "+a:\n  sh>: |\n    echo \"$FOO $HOME ${given.x} ${secret:k}\" > out\n    cat lib/in >> out\n",
		"v.dig": "+a: {sh>: cat out}\n", "lib/in": "from the directory\n",
	})
	r.directory.Environ = append(r.directory.Environ, "FOO=own")
	r.directory.Params = params.Of("given", params.Of("x", params.Template("1")))
	r.directory.Secrets = local.Secrets{Config: map[string]string{"k": "s3cret"}}
	r.directory.Logs = filepath.Join(t.TempDir(), "logs")
	r.start()
	if !r.runOf("w") || !r.runOf("v") {
		t.Fatalf("a workflow failed:\n%s", r.log)
	}
	out, err := os.ReadFile(filepath.Join(r.directory.Dir, "out"))
	if got, want := string(out), "own  1 s3cret\nfrom the directory\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	infos, err := r.agent.logs.List(2)
	if err != nil || len(infos) != 1 {
		t.Fatalf("got %v, %v, want the log of the second attempt", infos, err)
	}
	log, err := r.agent.logs.Open(2, infos[0].Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if text, err := io.ReadAll(log); err != nil || len(text) == 0 {
		t.Errorf("got %q, %v, want a log", text, err)
	}
	r.stop()
	if entries, err := os.ReadDir(filepath.Join(r.directory.Dir, ".digdag", "tmp")); err != nil || len(entries) != 0 {
		t.Errorf("left in the scratch directory: %v, %v", entries, err)
	}
	if entries, err := os.ReadDir(r.directory.Logs); err != nil || len(entries) == 0 {
		t.Errorf("got %v, %v, want the logs where they were wanted", entries, err)
	}
	for _, name := range []string{"logs", "workspaces", "checkouts"} {
		if _, err := os.Stat(filepath.Join(r.config.Data, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s in the data directory: got %v, want none", name, err)
		}
	}
}

// With a data directory, revisions and attempts are counted on; what changed
// meanwhile is one revision.
func TestDirectoryGoesOnWithItsData(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{"load.dig": daily("04:00:00")})
	r.start()
	if !r.runOf("load") {
		t.Fatalf("the workflow failed:\n%s", r.log)
	}
	r.stop()
	r.start()
	r.wantRevision("1")
	r.stop()

	r.edit(map[string]string{"load.dig": daily("05:00:00")})
	r.start()
	r.wantRevision("2")
	if !r.runOf("load") {
		t.Fatalf("the workflow failed:\n%s", r.log)
	}
	var last uint64
	r.view(func(s *flow.State) { last = s.Last().Attempt })
	if last != 2 {
		t.Errorf("the last attempt is %d, want 2", last)
	}
	r.stop()

	r.directory.Params = params.Of("x", "other parameters")
	r.start()
	r.wantRevision("3")
}

// The API shows the directory as the one repository, at its revision.
func TestDirectoryOverHTTP(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{"load.dig": daily("04:00:00")})
	r.start()
	var projects struct {
		Projects []api.Project `json:"projects"`
	}
	r.ask(http.MethodGet, "/api/projects", "", "", &projects)
	if len(projects.Projects) != 1 || projects.Projects[0].Name != "default" || projects.Projects[0].Revision != "1" {
		t.Errorf("got %+v, want the project default at revision 1", projects)
	}
	var status api.Status
	r.ask(http.MethodGet, "/api/status", "", "", &status)
	if len(status.Repositories) != 1 {
		t.Fatalf("got %+v, want one source", status.Repositories)
	}
	got := status.Repositories[0]
	want := api.Repository{
		Name: "default", URL: r.directory.Dir, Phase: "waiting", Projects: 1, Workflows: 1, Rejected: []api.Rejected{},
		Commit:   &api.Commit{ID: "1", Subject: "read from " + r.directory.Dir, Time: got.Commit.Time},
		LastPoll: got.LastPoll, LastSuccess: got.LastSuccess, NextPoll: got.NextPoll, LiveSince: got.LiveSince,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !status.Ready || got.LastSuccess.IsZero() {
		t.Errorf("got %+v, want it ready", status)
	}
	r.edit(map[string]string{"load.dig": daily("05:00:00")})
	var synced api.Synced
	if code := r.ask(http.MethodPost, "/api/sync", "{}", "", &synced); code != http.StatusAccepted || len(synced.Repositories) != 1 {
		t.Errorf("got %d, %+v, want the source read", code, synced)
	}
	r.eventually("the second revision is live", func() bool { return r.revision(directoryProject) == "2" })
	// What runs and what is deployed stays as it was when a configuration is
	// taken over.
	if err := r.agent.Reload(context.Background(), r.config); err != nil {
		t.Error(err)
	}
	r.wantRevision("2")
}

func TestDirectoryIsRefused(t *testing.T) {
	r := newDirectoryRig(t, map[string]string{"bad.dig": "sh>: x\n"})
	var found dig.Diagnostics
	if err := r.tryStart(); !errors.As(err, &found) {
		t.Errorf("a project with errors: got %v, want its diagnostics", err)
	}
	// The failed start has let go of everything.
	r.edit(map[string]string{"bad.dig": "+a: {echo>: a}\n"})
	r.start()
	r.wantRevision("1")
	r.stop()

	config := r.config
	r.config.Repos = []Repo{{URL: r.repo.Path()}}
	if err := r.tryStart(); err == nil || !strings.Contains(err.Error(), "cannot have repositories") {
		t.Errorf("with a repository: got %v, want it refused", err)
	}
	r.config = config
	directory := r.directory
	r.directory = nil
	if err := r.tryStart(); err == nil || !strings.Contains(err.Error(), "no repository is configured") {
		t.Errorf("with neither: got %v, want it refused", err)
	}

	// A data directory of an agent with repositories is not for a directory.
	r.config.Data = filepath.Join(t.TempDir(), "data")
	r.config.Repos = []Repo{{URL: r.repo.Path(), Poll: Duration(time.Hour)}}
	r.start()
	r.push("one project", map[string]string{"etl/load.dig": daily("04:00:00")})
	r.stop()
	r.config.Repos, r.directory = nil, directory
	if err := r.tryStart(); err == nil || !strings.Contains(err.Error(), "is in use for project etl of repository flows") {
		t.Errorf("with other projects: got %v, want it refused", err)
	}
}
