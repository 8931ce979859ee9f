package gitsync

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// TestMain lets the test binary be the child that a Syncer starts, and the
// agent that TestKilledAtEveryStep kills.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		os.Exit(FetchChild(os.Stdin, os.Stdout, os.Stderr))
	}
	if dir := os.Getenv("GITSYNC_TEST_AGENT"); dir != "" {
		os.Exit(runTestAgent(dir))
	}
	// A child under the race detector would sleep for a second before it ends.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

func self(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// testRepo is a bare repository that is written object by object, so that it
// can hold what git would refuse to make.
type testRepo struct {
	t    testing.TB
	dir  string
	s    *filesystem.Storage
	tick int
}

func newTestRepo(t testing.TB) *testRepo {
	t.Helper()
	r := &testRepo{t: t, dir: filepath.Join(t.TempDir(), "flows.git")}
	r.s = filesystem.NewStorage(osfs.New(r.dir), cache.NewObjectLRUDefault())
	must(t, r.s.Init())
	must(t, r.s.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, "refs/heads/main")))
	must(t, os.WriteFile(filepath.Join(r.dir, "config"), []byte(
		"[core]\n\trepositoryformatversion = 0\n\tbare = true\n[http]\n\treceivepack = true\n"), 0o644))
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *testRepo) object(typ plumbing.ObjectType, b []byte) plumbing.Hash {
	r.t.Helper()
	h, err := r.s.SetEncodedObject(memoryObject(typ, b))
	must(r.t, err)
	return h
}

func (r *testRepo) blob(s string) plumbing.Hash { return r.object(plumbing.BlobObject, []byte(s)) }

// entry is one line of a raw tree.
type entry struct {
	mode filemode.FileMode
	name string
	hash plumbing.Hash
}

func (r *testRepo) file(name, content string) entry {
	return entry{filemode.Regular, name, r.blob(content)}
}

func (r *testRepo) link(name, target string) entry {
	return entry{filemode.Symlink, name, r.blob(target)}
}

func (r *testRepo) dirEntry(name string, entries ...entry) entry {
	return entry{filemode.Dir, name, r.tree(entries...)}
}

// tree writes the entries as they are given, without order or rules.
func (r *testRepo) tree(entries ...entry) plumbing.Hash {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%o %s\x00", uint32(e.mode), e.name)
		b.Write(e.hash[:])
	}
	return r.object(plumbing.TreeObject, b.Bytes())
}

// files is a tree by paths.
type files map[string]string

func (r *testRepo) treeOf(f files) plumbing.Hash {
	dirs := map[string]files{}
	var entries []entry
	for p, content := range f {
		if dir, rest, ok := strings.Cut(p, "/"); ok {
			if dirs[dir] == nil {
				dirs[dir] = files{}
			}
			dirs[dir][rest] = content
			continue
		}
		entries = append(entries, r.file(p, content))
	}
	for dir, sub := range dirs {
		entries = append(entries, entry{filemode.Dir, dir, r.treeOf(sub)})
	}
	sort.Slice(entries, func(i, j int) bool { return sortName(entries[i]) < sortName(entries[j]) })
	return r.tree(entries...)
}

func sortName(e entry) string {
	if e.mode == filemode.Dir {
		return e.name + "/"
	}
	return e.name
}

func (r *testRepo) commitTree(tree plumbing.Hash, subject string, parents ...plumbing.Hash) plumbing.Hash {
	r.tick++
	when := time.Unix(1_700_000_000+int64(r.tick)*60, 0).UTC()
	sig := object.Signature{Name: "Ada", Email: "ada@example.com", When: when}
	c := object.Commit{Author: sig, Committer: sig, Message: subject + "\n", TreeHash: tree, ParentHashes: parents}
	o := &plumbing.MemoryObject{}
	must(r.t, c.Encode(o))
	h, err := r.s.SetEncodedObject(o)
	must(r.t, err)
	return h
}

// setRef is atomic, as with git: go-git writes references in place.
func (r *testRepo) setRef(name string, h plumbing.Hash) {
	p := filepath.Join(r.dir, name)
	must(r.t, os.MkdirAll(filepath.Dir(p), 0o755))
	must(r.t, os.WriteFile(p+".new", []byte(h.String()+"\n"), 0o644))
	must(r.t, os.Rename(p+".new", p))
}

func (r *testRepo) head() plumbing.Hash {
	ref, err := r.s.Reference("refs/heads/main")
	if err != nil {
		return plumbing.ZeroHash
	}
	return ref.Hash()
}

// push commits the files on top of main.
func (r *testRepo) push(f files) plumbing.Hash { return r.pushTree(r.treeOf(f)) }

func (r *testRepo) pushTree(tree plumbing.Hash) plumbing.Hash {
	var parents []plumbing.Hash
	if h := r.head(); !h.IsZero() {
		parents = append(parents, h)
	}
	h := r.commitTree(tree, fmt.Sprintf("change %d", r.tick+1), parents...)
	r.setRef("refs/heads/main", h)
	return h
}

// forcePush replaces main by a commit without the last ones.
func (r *testRepo) forcePush(f files, parents ...plumbing.Hash) plumbing.Hash {
	h := r.commitTree(r.treeOf(f), "rewritten", parents...)
	r.setRef("refs/heads/main", h)
	return h
}

// git runs the program, where a test wants what only it does.
func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// serveHTTP is a real Git server; wrap may change or refuse requests.
func (r *testRepo) serveHTTP(wrap func(http.Handler) http.Handler) string {
	r.t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	must(r.t, err)
	backend := filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend")
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := &cgi.Handler{
			Path: backend, Root: "/",
			Env: []string{
				"GIT_PROJECT_ROOT=" + filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL=" + req.Header.Get("Git-Protocol"),
				"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
			},
			Stderr: &bytes.Buffer{},
		}
		c.ServeHTTP(w, req)
	})
	var handler http.Handler = h
	if wrap != nil {
		handler = wrap(h)
	}
	srv := httptest.NewServer(handler)
	r.t.Cleanup(srv.Close)
	return srv.URL + "/flows.git"
}

// fakeTarget is an engine that remembers.
type fakeTarget struct {
	mu          sync.Mutex
	live        map[string]Live
	deployments []Deployment
	events      []Event
	inUse       []string
	failDeploy  error
	changed     chan struct{} // one token after each deployment or event
}

func newFakeTarget() *fakeTarget {
	return &fakeTarget{live: map[string]Live{}, changed: make(chan struct{}, 1000)}
}

func (f *fakeTarget) Live(_ context.Context, repo string) (Live, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.live[repo]
	l.Taken = map[string]string{}
	for other, o := range f.live {
		for _, p := range o.Projects {
			if other != repo {
				l.Taken[p.Name] = fmt.Sprintf("a project of repository %q", other)
			}
		}
	}
	return l, nil
}

func (f *fakeTarget) Deploy(_ context.Context, d Deployment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failDeploy != nil {
		return f.failDeploy
	}
	f.deployments = append(f.deployments, d)
	l := Live{Commit: d.Commit, Scope: d.Scope, Since: time.Now(), Rejected: d.Rejected, Failing: f.live[d.Repo].Failing}
	l.Projects = slices.Clone(d.Kept)
	for _, p := range d.Projects {
		l.Projects = append(l.Projects, p.LiveProject)
	}
	f.live[d.Repo] = l
	f.changed <- struct{}{}
	return nil
}

func (f *fakeTarget) Report(_ context.Context, e Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
	l := f.live[e.Repo]
	switch e.Kind {
	case SyncFailed:
		l.Failing = true
	case SyncRecovered:
		l.Failing = false
	}
	f.live[e.Repo] = l
	f.changed <- struct{}{}
	return nil
}

func (f *fakeTarget) InUse(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	used := slices.Clone(f.inUse)
	for _, l := range f.live {
		for _, p := range l.Projects {
			used = append(used, p.Tree)
		}
	}
	return used, nil
}

func (f *fakeTarget) last() Deployment {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.deployments) == 0 {
		return Deployment{}
	}
	return f.deployments[len(f.deployments)-1]
}

func (f *fakeTarget) kinds() []EventKind {
	f.mu.Lock()
	defer f.mu.Unlock()
	var k []EventKind
	for _, e := range f.events {
		k = append(k, e.Kind)
	}
	return k
}

// fakeChecker compiles a project to its files. A .dig file with BROKEN in it is
// an error where that stands; one with ODD is a warning.
type fakeChecker struct{}

func (fakeChecker) Check(_ context.Context, _, dir string) (Checked, error) {
	got, err := readFiles(dir)
	c := Checked{Compiled: got}
	for _, name := range slices.Sorted(mapsKeys(got)) {
		if path.Ext(name) != ".dig" {
			continue
		}
		for i, line := range strings.Split(got[name], "\n") {
			if col := strings.Index(line, "BROKEN"); col >= 0 {
				c.Diagnostics = append(c.Diagnostics, Diagnostic{name, i + 1, col + 1, Error, "it is broken"})
			}
			if col := strings.Index(line, "ODD"); col >= 0 {
				c.Diagnostics = append(c.Diagnostics, Diagnostic{name, i + 1, col + 1, Warning, "it is odd"})
			}
		}
	}
	return c, err
}

func mapsKeys(f files) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range f {
			if !yield(k) {
				return
			}
		}
	}
}

// readFiles is a directory as a map; a link is "-> target".
func readFiles(dir string) (files, error) {
	got := files{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if d.Type()&os.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			got[rel] = "-> " + target
			return err
		}
		b, err := os.ReadFile(p)
		got[rel] = string(b)
		return err
	})
	return got, err
}

// rig is a Syncer on one repository whose syncs the test makes by hand.
type rig struct {
	t      testing.TB
	target *fakeTarget
	log    *bytes.Buffer
	opts   Options
	s      *Syncer
	repo   *repository
}

func newRig(t testing.TB, r Repo, change ...func(*Options)) *rig {
	t.Helper()
	g := &rig{t: t, target: newFakeTarget(), log: &bytes.Buffer{}}
	r.Name = orDefault(r.Name, "flows")
	g.opts = Options{
		Repos: []Repo{r}, Data: t.TempDir(), Self: self(t), Checker: fakeChecker{}, Target: g.target,
		Log: slog.New(slog.NewTextHandler(g.log, nil)), Rand: func() float64 { return 0.5 },
		Timeouts: Timeouts{List: 20 * time.Second, Idle: 20 * time.Second, Fetch: 50 * time.Second},
	}
	for _, c := range change {
		c(&g.opts)
	}
	g.reopen()
	return g
}

// reopen is a restart of the process.
func (g *rig) reopen() {
	g.t.Helper()
	s, err := New(g.opts)
	must(g.t, err)
	g.s, g.repo = s, s.repos[0]
	g.t.Cleanup(s.Stop)
}

func (g *rig) trySync() error {
	_, err := g.repo.sync(context.Background())
	return err
}

func (g *rig) sync() Deployment {
	g.t.Helper()
	if err := g.trySync(); err != nil {
		g.t.Fatalf("sync: %v\n%s", err, g.log)
	}
	return g.target.last()
}

// liveFiles is what lies in the checkout of each live project, by name.
func (g *rig) liveFiles() map[string]files {
	g.t.Helper()
	l, _ := g.target.Live(context.Background(), g.repo.repo.Name)
	got := map[string]files{}
	for _, p := range l.Projects {
		f, err := readFiles(g.s.Dir(p.Tree))
		must(g.t, err)
		got[p.Name] = f
	}
	return got
}

// noLeftOvers fails if a work directory is still there.
func (g *rig) noLeftOvers() {
	g.t.Helper()
	entries, err := os.ReadDir(g.s.store.tmp)
	must(g.t, err)
	if len(entries) > 0 {
		g.t.Errorf("left in tmp: %v", entries)
	}
}

func rejectedPaths(d Deployment) []string {
	var p []string
	for _, r := range d.Rejected {
		p = append(p, r.Path)
	}
	return p
}

func messages(d Deployment) string {
	var b strings.Builder
	for _, r := range d.Rejected {
		for _, g := range r.Diagnostics {
			fmt.Fprintln(&b, g)
		}
	}
	return b.String()
}

// replaceTop is the tree of main with another folder of that name.
func (r *testRepo) replaceTop(name string, tree plumbing.Hash) plumbing.Hash {
	r.t.Helper()
	c, err := object.GetCommit(r.s, r.head())
	must(r.t, err)
	t, err := object.GetTree(r.s, c.TreeHash)
	must(r.t, err)
	var entries []entry
	for _, e := range t.Entries {
		if e.Name == name {
			e.Hash = tree
		}
		entries = append(entries, entry{e.Mode, e.Name, e.Hash})
	}
	return r.tree(entries...)
}
