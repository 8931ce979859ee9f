package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
)

// manyProjects is a repository of n projects of two files each.
func manyProjects(n int) files {
	f := files{}
	for i := range n {
		f[fmt.Sprintf("p%03d/a.dig", i)] = fmt.Sprintf("project %d", i)
		f[fmt.Sprintf("p%03d/sub/b.txt", i)] = fmt.Sprintf("text %d", i)
	}
	return f
}

func (r *testRepo) loose(h plumbing.Hash) string {
	s := h.String()
	return filepath.Join(r.dir, "objects", s[:2], s[2:])
}

// rewriteFile replaces what lies at p by what change makes of it. The file gets
// a new inode: handles on the old one go on reading what was there.
func rewriteFile(t testing.TB, p string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(p)
	must(t, err)
	must(t, os.Remove(p))
	must(t, os.WriteFile(p, change(b), 0o644))
}

// Fault 1: an object that cannot be read must never end a walk as a success.
// Every object of the commit is taken away in turn, or damaged, and each time
// the sync fails and what was live stays so.
func TestUnreadableObjectsFailTheSync(t *testing.T) {
	r := newTestRepo(t)
	r.push(manyProjects(3))
	g := newRig(t, Repo{URL: r.dir})
	g.sync()
	before := g.liveFiles()
	old := r.allObjects("main")
	next := manyProjects(3)
	for p := range next {
		next[p] += " changed"
	}
	r.push(next)
	for h := range r.allObjects("main") {
		if old[h] {
			continue
		}
		p := r.loose(h)
		whole, err := os.ReadFile(p)
		must(t, err)
		for damage, change := range map[string]func(){
			"missing":   func() { must(t, os.Remove(p)) },
			"truncated": func() { rewriteFile(t, p, func(b []byte) []byte { return b[:len(b)/2] }) },
			"empty":     func() { rewriteFile(t, p, func([]byte) []byte { return nil }) },
			"other": func() {
				rewriteFile(t, p, func([]byte) []byte { return mustRead(t, r.loose(r.blob("something else"))) })
			},
			"bit flip": func() { rewriteFile(t, p, func(b []byte) []byte { b[len(b)/2] ^= 8; return b }) },
		} {
			change()
			if err := g.trySync(); err == nil {
				t.Fatalf("object %s %s: the sync succeeded", h, damage)
			}
			_ = os.Remove(p)
			must(t, os.WriteFile(p, whole, 0o644))
		}
	}
	if diff := cmp.Diff(before, g.liveFiles()); diff != "" {
		t.Errorf("what is live has changed (-want +got):\n%s", diff)
	}
	if n := len(g.target.deployments); n != 1 {
		t.Errorf("got %d deployments, want the first only", n)
	}
	g.noLeftOvers()
	if d := g.sync(); len(d.Projects) != 3 {
		t.Errorf("after the repair %d projects are deployed, want 3", len(d.Projects))
	}
}

func mustRead(t testing.TB, p string) []byte {
	t.Helper()
	b, err := os.ReadFile(p)
	must(t, err)
	return b
}

func (r *testRepo) allObjects(rev string) objectSet {
	set := objectSet{}
	for line := range strings.Lines(r.git("rev-list", "--objects", "--no-walk", rev)) {
		set[plumbing.NewHash(strings.Fields(line)[0])] = true
	}
	return set
}

type objectSet map[plumbing.Hash]bool

// Fault 1 and 8: a pack that arrives cut or damaged is refused, wherever the
// damage is; it never loses projects.
func TestDamagedPacks(t *testing.T) {
	r := newTestRepo(t)
	f := manyProjects(30)
	f["p000/long.txt"] = strings.Repeat("a line of text\n", 2000)
	r.push(f)
	f["p000/long.txt"] += "and one more\n"
	r.push(f)
	r.git("repack", "-adfq", "--depth=50", "--window=50")
	packs, err := filepath.Glob(filepath.Join(r.dir, "objects/pack/*.pack"))
	must(t, err)
	whole := mustRead(t, packs[0])
	dir := t.TempDir()
	open := func(b []byte) (map[plumbing.Hash]int, error) {
		file := filepath.Join(dir, "pack")
		must(t, os.WriteFile(file, b, 0o600))
		p, err := openPack(context.Background(), file, dir, defaultPackLimits)
		if err != nil {
			return nil, err
		}
		defer p.close()
		return p.byName, nil
	}
	names, err := open(whole)
	must(t, err)
	for h := range r.allObjects("main") {
		if _, ok := names[h]; !ok {
			t.Fatalf("the index lacks %s", h)
		}
	}
	for at := 0; at < len(whole); at += 13 {
		if _, err := open(whole[:at]); err == nil {
			t.Fatalf("a pack cut at %d of %d bytes was accepted", at, len(whole))
		}
		flipped := append([]byte{}, whole...)
		flipped[at] ^= 1 << (at % 8)
		if _, err := open(flipped); err == nil {
			t.Fatalf("a pack with a flipped bit at %d was accepted", at)
		}
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("left beside the pack: %v", left)
	}
}

// Every object of a pack with long chains of deltas, small and large, reads as
// git reads it.
func TestPackContents(t *testing.T) {
	r := newTestRepo(t)
	text := strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz\n", 60_000) // 2.3 MB: beyond what is held in memory
	small := ""
	for i := range 12 {
		text = fmt.Sprintf("version %d\n", i) + text
		small += fmt.Sprintf("line %d of a growing file\n", i)
		r.push(files{"p/a.dig": small, "p/big.txt": text})
	}
	for _, repack := range [][]string{{"repack", "-adfq", "--depth=50"}, {"-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq", "--depth=50"}} {
		r.git(repack...)
		packs, err := filepath.Glob(filepath.Join(r.dir, "objects/pack/*.pack"))
		must(t, err)
		p, err := openPack(context.Background(), packs[0], t.TempDir(), defaultPackLimits)
		must(t, err)
		deltas := 0
		for h, i := range p.byName {
			b, err := load(p, p.entries[i].typ, h, 1<<30)
			if err != nil {
				t.Errorf("%s: %v", h, err)
			}
			if p.entries[i].base >= 0 {
				deltas++
			}
			_ = b
		}
		if deltas < 20 {
			t.Errorf("the pack of %v holds %d deltas, want many", repack, deltas)
		}
		p.close()
	}
	g := newRig(t, Repo{URL: r.serveHTTP(nil)})
	g.sync()
	if diff := cmp.Diff(files{"a.dig": small, "big.txt": text}, g.liveFiles()["p"]); diff != "" {
		t.Error("the exported files differ from what was committed")
	}
}

func TestPackLimits(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": strings.Repeat("x", 5000), "p/b.txt": strings.Repeat("y", 5000)})
	r.push(files{"p/a.dig": strings.Repeat("x", 5001), "p/b.txt": "z"})
	r.git("repack", "-adfq")
	packs, err := filepath.Glob(filepath.Join(r.dir, "objects/pack/*.pack"))
	must(t, err)
	for name, test := range map[string]struct {
		change func(*packLimits)
		want   string
	}{
		"objects":  {func(l *packLimits) { l.objects = 3 }, "objects, more than 3"},
		"inflated": {func(l *packLimits) { l.inflated = 6000 }, "declare more than 6000 bytes"},
		"chain":    {func(l *packLimits) { l.chain = 0 }, "deltas upon deltas"},
	} {
		l := defaultPackLimits
		test.change(&l)
		_, err := openPack(context.Background(), packs[0], t.TempDir(), l)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if err := spoolPack(filepath.Join(t.TempDir(), "pack"), strings.NewReader("12345"), 4); err == nil {
		t.Error("a pack above the byte limit was spooled")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := openPack(ctx, packs[0], t.TempDir(), defaultPackLimits); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// Fault 2: a fetch after a fetch must not rely on what the first one brought. A
// commit that restores old content is the case that loses files.
func TestRevertAfterShallowFetch(t *testing.T) {
	r := newTestRepo(t)
	first := manyProjects(40)
	r.push(first)
	second := files{}
	for p, c := range first {
		second[p] = c + " changed"
	}
	for _, url := range []string{r.dir, r.serveHTTP(nil)} {
		r.push(second)
		g := newRig(t, Repo{URL: url}, func(o *Options) { o.Depth = 1 })
		g.sync()
		r.push(first)
		d := g.sync()
		if len(d.Projects) != 40 || len(d.Removed) != 0 {
			t.Errorf("%s: the revert deployed %d projects and removed %d, want 40 and 0", url, len(d.Projects), len(d.Removed))
		}
		if got := g.liveFiles()["p007"]; got["a.dig"] != "project 7" || got["sub/b.txt"] != "text 7" {
			t.Errorf("%s: got %v", url, got)
		}
	}
}

// Fault 7: many syncs of one local repository while it is written to.
func TestConcurrentSyncsOfOneRepository(t *testing.T) {
	r := newTestRepo(t)
	r.push(manyProjects(10))
	var done sync.WaitGroup
	rigs := make([]*rig, 4)
	for i := range rigs {
		rigs[i] = newRig(t, Repo{URL: r.dir})
	}
	errs := make(chan error, 100)
	for _, g := range rigs {
		done.Go(func() {
			for range 4 {
				errs <- g.trySync()
			}
		})
	}
	for i := range 5 {
		f := manyProjects(10)
		f["p003/a.dig"] = fmt.Sprint("version ", i)
		r.push(f)
	}
	done.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("sync beside commits: %v", err)
		}
	}
	for _, g := range rigs {
		g.sync()
		if got := g.liveFiles()["p003"]["a.dig"]; got != "version 4" {
			t.Errorf("got %q, want the last version", got)
		}
	}
}

// Fault 8: stale locks, temporary packs, empty and damaged files in a local
// repository neither stop a sync for ever nor pass as "up to date".
func TestDebrisInALocalRepository(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	g := newRig(t, Repo{URL: r.dir, Ref: "main"})
	g.sync()
	for _, p := range []string{"refs/heads/main.lock", "shallow.lock", "index.lock", "objects/pack/tmp_pack_x", "packed-refs.lock"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(r.dir, p)), 0o755))
		must(t, os.WriteFile(filepath.Join(r.dir, p), nil, 0o644))
	}
	h := r.commitTree(r.treeOf(files{"p/a.dig": "2"}), "beside locks", r.head())
	must(t, os.WriteFile(filepath.Join(r.dir, "refs/heads/main"), []byte(h.String()+"\n"), 0o644))
	g.sync()
	if got := g.liveFiles()["p"]["a.dig"]; got != "2" {
		t.Errorf("beside locks: got %q, want 2", got)
	}
	must(t, os.WriteFile(filepath.Join(r.dir, "refs/heads/main"), nil, 0o644))
	if err := g.trySync(); err == nil {
		t.Error("an empty reference file passed as up to date")
	}
	must(t, os.WriteFile(filepath.Join(r.dir, "refs/heads/main"), []byte(h.String()+"\n"), 0o644))
	g.sync()

	r.git("repack", "-adq")
	g = newRig(t, Repo{URL: r.dir, Ref: "main"})
	packs, err := filepath.Glob(filepath.Join(r.dir, "objects/pack/pack-*.idx"))
	must(t, err)
	must(t, os.Remove(packs[0]))
	if err := g.trySync(); err == nil {
		t.Error("a repository whose pack has no index passed")
	}
	r.git("index-pack", strings.TrimSuffix(packs[0], ".idx")+".pack")
	g.sync()
}

func TestLocalLayouts(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	dir := t.TempDir()
	clone := func(name string, args ...string) string {
		p := filepath.Join(dir, name)
		r.git(append(append([]string{"clone", "-q"}, args...), r.dir, p)...)
		return p
	}
	work := clone("work")
	r.git("-C", work, "worktree", "add", "-q", "-b", "dev", filepath.Join(dir, "linked"))
	shared := clone("shared", "--shared", "--bare")
	twice := filepath.Join(dir, "twice")
	r.git("clone", "-q", "--shared", shared, twice)
	r.git("-C", work, "pack-refs", "--all")
	for _, p := range []string{work, filepath.Join(work, ".git"), filepath.Join(dir, "linked"), shared, twice} {
		before := treeOfNames(t, p)
		g := newRig(t, Repo{URL: p})
		g.sync()
		if got := g.liveFiles()["p"]["a.dig"]; got != "1" {
			t.Errorf("%s: got %q, want 1", p, got)
		}
		if after := treeOfNames(t, p); after != before {
			t.Errorf("%s was written to:\n%s\nbefore:\n%s", p, after, before)
		}
	}
	for p, want := range map[string]string{
		dir:                         "is not a Git repository",
		filepath.Join(dir, "none"):  "no such file",
		filepath.Join(dir, "empty"): "no default branch",
	} {
		if strings.HasSuffix(p, "empty") {
			r.git("init", "-q", "--bare", p)
		}
		if err := newRig(t, Repo{URL: p}).trySync(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", p, err, want)
		}
	}
}

// Nothing on PATH is needed.
func TestWithoutGitOnPath(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"p/a.dig": "1"})
	url := r.serveHTTP(nil) // whose own PATH was read before
	t.Setenv("PATH", "")
	for _, where := range []string{r.dir, url} {
		newRig(t, Repo{URL: where}).sync()
	}
}
