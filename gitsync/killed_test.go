package gitsync

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// agentPlan tells the test agent what to do: one sync, and where to stand still
// until it is killed.
type agentPlan struct {
	URL    string
	Data   string
	StopAt string
}

// runTestAgent is a process that makes one sync against a Target in a file.
func runTestAgent(dir string) int {
	var p agentPlan
	b, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		fmt.Println(err)
		return 2
	}
	exe, _ := os.Executable()
	stop := stopper{at: p.StopAt}
	o := Options{
		Repos: []Repo{{Name: "flows", URL: p.URL}}, Data: p.Data, Self: exe,
		Checker: stoppingChecker{stop}, Target: &fileTarget{file: filepath.Join(dir, "state.json"), stop: stop},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Rand: func() float64 { return 0.5 },
	}
	o.Remote = func(r Repo) Remote {
		full, err := o.complete()
		if err != nil {
			panic(err)
		}
		return stoppingRemote{newGitRemote(r, full, make(chan struct{}, 1)), stop}
	}
	s, err := New(o)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	if _, err := s.repos[0].sync(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("done")
	return 0
}

type stopper struct{ at string }

// here stands still for ever if this is the place.
func (s stopper) here(place string) {
	if s.at == place {
		fmt.Println("at " + place)
		_, _ = os.Stdin.Read(make([]byte, 1))
		select {}
	}
}

type stoppingRemote struct {
	Remote
	stop stopper
}

func (r stoppingRemote) List(ctx context.Context) (Tip, error) {
	tip, err := r.Remote.List(ctx)
	r.stop.here("listed")
	return tip, err
}

func (r stoppingRemote) Fetch(ctx context.Context, q Query) (Fetched, error) {
	report := q.Phase
	q.Phase = func(p string) {
		report(p)
		r.stop.here(p)
	}
	got, err := r.Remote.Fetch(ctx, q)
	r.stop.here("fetched")
	return got, err
}

type stoppingChecker struct{ stop stopper }

func (c stoppingChecker) Check(ctx context.Context, name, dir string) (Checked, error) {
	c.stop.here("published")
	return fakeChecker{}.Check(ctx, name, dir)
}

// fileTarget is a Target that survives its process.
type fileTarget struct {
	file string
	stop stopper
}

type fileState struct {
	Live        Live
	Deployments int
}

func (f *fileTarget) state() (fileState, error) {
	var s fileState
	b, err := os.ReadFile(f.file)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

func (f *fileTarget) Live(context.Context, string) (Live, error) {
	s, err := f.state()
	return s.Live, err
}

func (f *fileTarget) Deploy(ctx context.Context, d Deployment) error {
	f.stop.here("before deploy")
	s, err := f.state()
	if err != nil {
		return err
	}
	mem := newFakeTarget()
	mem.live[d.Repo] = s.Live
	if err := mem.Deploy(ctx, d); err != nil {
		return err
	}
	b, err := json.Marshal(fileState{mem.live[d.Repo], s.Deployments + 1})
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.file+".tmp", b, 0o644); err != nil {
		return err
	}
	if err := os.Rename(f.file+".tmp", f.file); err != nil {
		return err
	}
	f.stop.here("after deploy")
	return nil
}

func (f *fileTarget) Report(context.Context, Event) error     { return nil }
func (f *fileTarget) InUse(context.Context) ([]string, error) { return nil, nil }

// startAgent runs the test agent until it says where it is.
func startAgent(t *testing.T, dir string, p agentPlan) (*exec.Cmd, string) {
	t.Helper()
	b, err := json.Marshal(p)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "plan.json"), b, 0o644))
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), "GITSYNC_TEST_AGENT="+dir)
	_, err = cmd.StdinPipe() // held open, so that it stands still
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the agent said nothing: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}

// SIGKILL at every step of a sync: the next one recovers by itself, deploys the
// commit once and leaves nothing behind.
func TestKilledAtEveryStep(t *testing.T) {
	steps := []string{
		"listed", "connect", "fetch", "index objects", "find projects", "export projects", "fetched", "published", "before deploy", "after deploy",
	}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			r := newTestRepo(t)
			r.push(manyProjects(8))
			dir := t.TempDir()
			p := agentPlan{URL: r.serveHTTP(nil), Data: filepath.Join(dir, "data"), StopAt: step}
			cmd, at := startAgent(t, dir, p)
			if at != "at "+step {
				t.Fatalf("the agent is %q, want it at %q", at, step)
			}
			must(t, cmd.Process.Kill())
			_ = cmd.Wait()

			p.StopAt = ""
			cmd, at = startAgent(t, dir, p)
			if err := cmd.Wait(); err != nil || at != "done" {
				t.Fatalf("after the kill: %q, %v", at, err)
			}
			s, err := (&fileTarget{file: filepath.Join(dir, "state.json")}).state()
			must(t, err)
			if s.Deployments != 1 || s.Live.Commit.Hash != r.head().String() || len(s.Live.Projects) != 8 {
				t.Errorf("got %d deployments, %d projects of %s", s.Deployments, len(s.Live.Projects), s.Live.Commit.Hash)
			}
			checkStore(t, p.Data, s.Live)
		})
	}
}

// checkStore fails unless the checkouts are the live ones, whole, and nothing
// else is there.
func checkStore(t *testing.T, data string, live Live) {
	t.Helper()
	want := manyProjects(len(live.Projects))
	got := files{}
	for _, p := range live.Projects {
		f, err := readFiles(filepath.Join(data, "checkouts", p.Tree, projectDir))
		must(t, err)
		for name, content := range f {
			got[p.Path+"/"+name] = content
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checkouts (-want +got):\n%s", diff)
	}
	left, err := os.ReadDir(filepath.Join(data, "tmp", "gitsync"))
	must(t, err)
	all, err := os.ReadDir(filepath.Join(data, "checkouts"))
	must(t, err)
	if len(left) != 0 || len(all) != len(live.Projects) {
		t.Errorf("left in tmp: %v; checkouts: %d, want %d", left, len(all), len(live.Projects))
	}
}

// Killed between the renames: some checkouts are there already.
func TestHalfPublished(t *testing.T) {
	r := newTestRepo(t)
	r.push(manyProjects(4))
	g := newRig(t, Repo{URL: r.dir})
	g.sync()
	for _, p := range g.target.last().Projects[:2] {
		must(t, os.RemoveAll(filepath.Join(g.opts.Data, "checkouts", p.Tree)))
	}
	g.target.live = map[string]Live{}
	g.reopen()
	g.sync()
	if got := len(g.liveFiles()); got != 4 {
		t.Errorf("got %d projects, want 4", got)
	}
}
