package gitsync

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// evilProject makes the entries of the folder "bad" of a commit.
type evilProject func(r *testRepo) []entry

func dig(r *testRepo) entry { return r.file("x.dig", "x") }

// evilProjects are projects with content that is refused, and what the message
// must say. Each stands beside a good project, which must deploy.
var evilProjects = map[string]struct {
	make evilProject
	want string
}{
	"dot dot":         {func(r *testRepo) []entry { return []entry{r.dirEntry("..", r.file("evil", "1")), dig(r)} }, `./..: error: the name ".." is not a file name`},
	"dot dot in path": {func(r *testRepo) []entry { return []entry{r.file("../evil", "1"), dig(r)} }, `holds a slash`},
	"dot":             {func(r *testRepo) []entry { return []entry{r.dirEntry(".", r.file("evil", "1")), dig(r)} }, `is not a file name`},
	"absolute":        {func(r *testRepo) []entry { return []entry{r.file("/tmp/evil", "1"), dig(r)} }, `holds a slash`},
	"backslash":       {func(r *testRepo) []entry { return []entry{r.file(`a\b`, "1"), dig(r)} }, `holds a slash or a backslash`},
	"newline":         {func(r *testRepo) []entry { return []entry{r.file("a\nb", "1"), dig(r)} }, `"./a\nb": error: the name "a\nb" holds control characters`},
	"escape sequence": {func(r *testRepo) []entry { return []entry{r.file("a\x1b[31m", "1"), dig(r)} }, `holds control characters`},
	"not UTF-8":       {func(r *testRepo) []entry { return []entry{r.file("a\xff", "1"), dig(r)} }, `is not UTF-8`},
	"long name":       {func(r *testRepo) []entry { return []entry{r.file(strings.Repeat("n", 256), "1"), dig(r)} }, `longer than 255`},
	".git":            {func(r *testRepo) []entry { return []entry{r.dirEntry(".git", r.file("config", "1")), dig(r)} }, `".git" is a spelling of .git`},
	".GIT":            {func(r *testRepo) []entry { return []entry{r.file(".GIT", "1"), dig(r)} }, `is a spelling of .git`},
	"git~1":           {func(r *testRepo) []entry { return []entry{r.file("git~1", "1"), dig(r)} }, `is a spelling of .git`},
	"zero width":      {func(r *testRepo) []entry { return []entry{r.file(".g\u200cit", "1"), dig(r)} }, `is a spelling of .git`},
	"trailing dots":   {func(r *testRepo) []entry { return []entry{r.file(".git. .", "1"), dig(r)} }, `is a spelling of .git`},
	"stream":          {func(r *testRepo) []entry { return []entry{r.file(".git::$INDEX_ALLOCATION", "1"), dig(r)} }, `is a spelling of .git`},
	"deep .git":       {func(r *testRepo) []entry { return []entry{r.dirEntry("a", r.dirEntry(".Git", dig(r))), dig(r)} }, `a/.Git: error:`},
	"link absolute":   {func(r *testRepo) []entry { return []entry{r.link("l", "/etc/passwd"), dig(r)} }, `l: error: it is a link to "/etc/passwd", which points outside`},
	"link up":         {func(r *testRepo) []entry { return []entry{r.link("l", "../../../etc"), dig(r)} }, `points outside of the project`},
	"link to sibling": {func(r *testRepo) []entry { return []entry{r.link("l", "../ok/ok.dig"), dig(r)} }, `points outside of the project`},
	"link via link": {func(r *testRepo) []entry {
		return []entry{r.dirEntry("d", r.link("up", "..")), r.link("l", "d/up/../../x"), dig(r)}
	}, `climbs with ..`},
	"link into .git": {func(r *testRepo) []entry { return []entry{r.link("l", "a/.git/hooks"), dig(r)} }, `points into .git`},
	"empty link":     {func(r *testRepo) []entry { return []entry{r.link("l", ""), dig(r)} }, `points nowhere`},
	"long link":      {func(r *testRepo) []entry { return []entry{r.link("l", strings.Repeat("a", 5000)), dig(r)} }, `is a link of 5000 bytes`},
	"link then folder": {func(r *testRepo) []entry {
		return []entry{r.link("d", "/tmp"), r.dirEntry("d", r.file("evil", "1")), dig(r)}
	}, `d: error:`},
	"inner link, dir": {func(r *testRepo) []entry {
		return []entry{r.link("d", "e"), r.dirEntry("d", r.file("evil", "1")), dig(r)}
	}, `d: error: the name is there twice`},
	"link then file": {func(r *testRepo) []entry { return []entry{r.link("f", "x.dig"), r.file("f", "evil"), dig(r)} }, `f: error: the name is there twice`},
	"duplicate":      {func(r *testRepo) []entry { return []entry{r.file("x.dig", "shown"), r.file("x.dig", "run")} }, `x.dig: error: the name is there twice`},
	"submodule":      {func(r *testRepo) []entry { return []entry{{filemode.Submodule, "sub", r.head()}, dig(r)} }, `sub: error: it is a submodule`},
	"unknown mode":   {func(r *testRepo) []entry { return []entry{{0o060000, "dev", r.blob("1")}, dig(r)} }, `dev: error:`},
	"LFS": {func(r *testRepo) []entry {
		return []entry{r.file("model.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), dig(r)}
	}, `model.bin: error: it is a pointer to Git LFS`},
	"large file":  {func(r *testRepo) []entry { return []entry{r.file("big", strings.Repeat("b", 200_001)), dig(r)} }, `big: error: it holds 200001 bytes, more than 200000`},
	"large total": {manyFiles(11, 190_000), `the project holds more than 2000000 bytes`},
	"many files":  {manyFiles(600, 1), `more than 500 files and folders`},
	"deep": {func(r *testRepo) []entry {
		e := dig(r)
		for range 300 {
			e = r.dirEntry("d", e)
		}
		return []entry{e, dig(r)}
	}, `nested deeper than 20 folders`},
	"git bomb": {func(r *testRepo) []entry {
		return []entry{bomb(r, r.file("f", "1")), dig(r)}
	}, `more than 500 files and folders`},
}

// bomb is a folder of 10^10 copies of an entry, made of eleven trees.
func bomb(r *testRepo, e entry) entry {
	for range 10 {
		var ten []entry
		for i := range 10 {
			ten = append(ten, entry{e.mode, fmt.Sprint("d", i), e.hash})
		}
		e = r.dirEntry("b", ten...)
	}
	return e
}

func manyFiles(n, size int) evilProject {
	return func(r *testRepo) []entry {
		entries := []entry{dig(r)}
		for i := range n {
			entries = append(entries, r.file(fmt.Sprintf("f%04d", i), strings.Repeat("x", size-1)+string(rune('a'+i%26))))
		}
		return entries
	}
}

func small(o *Options) {
	o.Limits = Limits{FileBytes: 200_000, ProjectBytes: 2_000_000, Entries: 500, Depth: 20}
	o.Memory = 200_000_000
}

func TestEvilProjects(t *testing.T) {
	for name, test := range evilProjects {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.push(files{"ok/ok.dig": "1", "bad/x.dig": "good"})
			g := newRig(t, Repo{URL: r.dir}, small)
			g.sync()
			r.pushTree(r.tree(r.dirEntry("bad", test.make(r)...), r.dirEntry("ok", r.file("ok.dig", "2"))))
			d := g.sync()
			if len(d.Rejected) != 1 || d.Rejected[0].Path != "bad" || !strings.Contains(messages(d), test.want) {
				t.Errorf("got rejected %v, want bad with %q", d.Rejected, test.want)
			}
			live := g.liveFiles()
			if live["ok"]["ok.dig"] != "2" || live["bad"]["x.dig"] != "good" || len(d.Removed) != 0 {
				t.Errorf("live are %v, removed %v; want the new ok and the last good bad", live, d.Removed)
			}
			g.noLeftOvers()
			g.nothingEscaped()
		})
	}
}

// nothingEscaped fails if any file is where a hostile name wanted it.
func (g *rig) nothingEscaped() {
	g.t.Helper()
	must(g.t, filepath.WalkDir(g.opts.Data, func(p string, _ os.DirEntry, err error) error {
		if base := filepath.Base(p); base == "evil" || isDotGit(base) {
			g.t.Errorf("%s was written", p)
		}
		return err
	}))
	if _, err := os.Lstat("/tmp/evil"); err == nil {
		g.t.Error("/tmp/evil was written")
	}
}

// Hostile folders that are in no project are refused alone.
func TestEvilFolders(t *testing.T) {
	for name, test := range map[string]struct {
		make func(r *testRepo) entry
		want string
	}{
		"dot git":   {func(r *testRepo) entry { return r.dirEntry(".git", dig(r)) }, `".git" is a spelling of .git`},
		"dot dot":   {func(r *testRepo) entry { return r.dirEntry("..", dig(r)) }, `is not a file name`},
		"name":      {func(r *testRepo) entry { return r.dirEntry("a\nb", dig(r)) }, `"./a\nb": the name "a\nb" holds control characters`},
		"bomb":      {func(r *testRepo) entry { return bomb(r, entry{filemode.Dir, "p", r.tree(dig(r))}) }, `b: it holds more than`},
		"deep":      {deepFolder(100), `is nested deeper than 20 folders`},
		"duplicate": {func(r *testRepo) entry { return r.dirEntry("x", r.dirEntry("p", dig(r)), r.dirEntry("p", dig(r))) }, `x/p: the name "p" is there 2 times`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.pushTree(r.tree(test.make(r), r.dirEntry("ok", r.file("ok.dig", "2"))))
			g := newRig(t, Repo{URL: r.dir}, small)
			d := g.sync()
			if !strings.Contains(messages(d), test.want) || g.liveFiles()["ok"]["ok.dig"] != "2" {
				t.Errorf("got rejected %v, live %v; want %q and ok", d.Rejected, g.liveFiles(), test.want)
			}
			g.nothingEscaped()
		})
	}
	t.Run("bomb without projects", func(t *testing.T) { // costs eleven trees
		r := newTestRepo(t)
		r.pushTree(r.tree(bomb(r, r.file("f", "1")), r.dirEntry("ok", r.file("ok.dig", "2"))))
		g := newRig(t, Repo{URL: r.dir}, small)
		if d := g.sync(); len(d.Rejected) != 0 || len(d.Projects) != 1 {
			t.Errorf("got projects %v, rejected %v", d.Projects, d.Rejected)
		}
	})
	t.Run("harmless outside of projects", func(t *testing.T) {
		r := newTestRepo(t)
		r.pushTree(r.tree(
			r.link("README", "docs/README"), entry{filemode.Submodule, "sub", plumbing.NewHash(strings.Repeat("12", 20))},
			r.file("a\\b", ""), r.dirEntry("docs", r.link("up", "/etc")), r.dirEntry("ok", r.file("ok.dig", "2"))))
		g := newRig(t, Repo{URL: r.dir}, small)
		if d := g.sync(); len(d.Rejected) != 0 || len(d.Projects) != 1 {
			t.Errorf("got projects %v, rejected %v", d.Projects, d.Rejected)
		}
	})
}

func deepFolder(n int) func(r *testRepo) entry {
	return func(r *testRepo) entry {
		e := r.dirEntry("p", dig(r))
		for range n {
			e = r.dirEntry("d", e)
		}
		return e
	}
}

func TestLinksInsideAreKept(t *testing.T) {
	r := newTestRepo(t)
	r.pushTree(r.tree(r.dirEntry("p",
		r.link("again", "lib"), r.link("dangling", "not/there"),
		r.dirEntry("lib", r.file("x", "1"), r.link("up", "../x.dig"), r.link("up2", ".././x.dig")), r.file("x.dig", "x"),
		entry{filemode.Executable, "run.sh", r.blob("#!/bin/sh\n")})))
	g := newRig(t, Repo{URL: r.dir})
	d := g.sync()
	want := files{"again": "-> lib", "dangling": "-> not/there", "lib/x": "1", "lib/up": "-> ../x.dig", "lib/up2": "-> .././x.dig", "x.dig": "x", "run.sh": "#!/bin/sh\n"}
	if diff := diffFiles(want, g.liveFiles()["p"]); diff != "" {
		t.Errorf("%s\n%s", diff, messages(d))
	}
	info, err := os.Stat(filepath.Join(g.s.Dir(d.Projects[0].Tree), "run.sh"))
	if err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("run.sh: got %v, %v; want it executable", info, err)
	}
}

func diffFiles(want, got files) string {
	if fmt.Sprint(want) == fmt.Sprint(got) {
		return ""
	}
	return fmt.Sprintf("got %v, want %v", got, want)
}

// Fault 6: 256 MiB of zeros are a pack of 1 MB. They refuse their project, the
// child stays below half of that, and the other project deploys.
func TestZeroBomb(t *testing.T) {
	r := newTestRepo(t)
	size := int64(256) << 20
	bombHash := r.zeros(size)
	r.pushTree(r.tree(
		r.dirEntry("bad", entry{filemode.Regular, "zero.bin", bombHash}, dig(r)),
		r.dirEntry("ok", r.file("ok.dig", "2"))))
	g := newRig(t, Repo{URL: r.serveHTTP(nil)}, func(o *Options) { o.Memory = 100_000_000 })
	began := time.Now()
	d := g.sync()
	t.Logf("zeros were looked at in %s", time.Since(began))
	if !strings.Contains(messages(d), "zero.bin: error: it holds 268435456 bytes") || g.liveFiles()["ok"]["ok.dig"] != "2" {
		t.Errorf("got rejected %v, live %v", d.Rejected, g.liveFiles())
	}
	g.noLeftOvers()
}

// zeros writes a blob of n zeros without holding it.
func (r *testRepo) zeros(n int64) plumbing.Hash {
	r.t.Helper()
	cmd := exec.Command("git", "-C", r.dir, "-c", "core.compression=1", "-c", "core.bigFileThreshold=1m", "hash-object", "-w", "--stdin")
	cmd.Stdin = io.LimitReader(zeroReader{}, n)
	out, err := cmd.Output()
	must(r.t, err)
	return plumbing.NewHash(string(bytes.TrimSpace(out)))
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Whatever still needs too much memory ends the child, not the agent.
func TestChildThatNeedsTooMuchMemoryIsKilled(t *testing.T) {
	r := newTestRepo(t)
	r.push(manyProjects(20))
	g := newRig(t, Repo{URL: r.dir})
	g.repo.remote.(*gitRemote).child.memory = 1_000_000 // less than any process has
	hold := filepath.Join(t.TempDir(), "hold")
	must(t, exec.Command("mkfifo", hold).Run()) // a child that reads it never ends
	must(t, os.Remove(filepath.Join(r.dir, "refs/heads/main")))
	must(t, os.Remove(filepath.Join(r.dir, "HEAD")))
	must(t, os.WriteFile(filepath.Join(r.dir, "HEAD"), []byte("ref: refs/heads/main\n"), 0o644))
	req := g.repo.remote.(*gitRemote).request(opFetch, 30*time.Second)
	must(t, os.Rename(hold, filepath.Join(r.dir, "refs/heads/main")))
	_, err := g.repo.remote.(*gitRemote).child.run(t.Context(), req, nil)
	if err == nil || !strings.Contains(err.Error(), "more than 1 MB of memory") {
		t.Errorf("got %v, want it killed for its memory", err)
	}
}
