package gitsync

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// benchRepo has n projects of five files each, and 20 commits.
func benchRepo(b *testing.B, n int) (*testRepo, files) {
	b.Helper()
	r := newTestRepo(b)
	f := files{}
	for i := range n {
		for k := range 5 {
			f[fmt.Sprintf("team%02d/p%04d/f%d.dig", i%20, i, k)] = strings.Repeat(fmt.Sprintf("project %d file %d\n", i, k), 20)
		}
	}
	work := b.TempDir()
	for p, content := range f {
		must(b, os.MkdirAll(filepath.Dir(filepath.Join(work, p)), 0o755))
		must(b, os.WriteFile(filepath.Join(work, p), []byte(content), 0o644))
	}
	r.git("--work-tree="+work, "add", "-A")
	for i := range 20 {
		r.git("--work-tree="+work, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
	}
	r.git("repack", "-adq")
	return r, f
}

func manyRefs(b *testing.B, r *testRepo, n int) {
	b.Helper()
	var refs strings.Builder
	for i := range n {
		fmt.Fprintf(&refs, "%s refs/pull/%d/head\n", r.head(), i)
	}
	must(b, os.WriteFile(filepath.Join(r.dir, "packed-refs"), []byte(refs.String()), 0o644))
}

// BenchmarkUnchangedPoll asks a server with 50,000 references whether main has
// moved: ours, and git's own ls-remote.
func BenchmarkUnchangedPoll(b *testing.B) {
	r := newTestRepo(b)
	r.push(manyProjects(10))
	manyRefs(b, r, 50_000)
	var c counter
	url := r.serveHTTP(c.wrap)
	b.Run("gitsync", func(b *testing.B) {
		g := newRig(b, Repo{URL: url, Ref: "main"})
		g.sync()
		c.reset()
		for b.Loop() {
			g.sync()
		}
		_, n := c.reset()
		b.ReportMetric(float64(n)/float64(b.N), "wire-B/op")
	})
	b.Run("git-ls-remote", func(b *testing.B) {
		c.reset()
		for b.Loop() {
			if out, err := exec.Command("git", "ls-remote", url, "refs/heads/main").CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
		_, n := c.reset()
		b.ReportMetric(float64(n)/float64(b.N), "wire-B/op")
	})
}

// BenchmarkOneFileCommit takes a commit of one file in a repository of 1,000
// projects from the listing to the deployment.
func BenchmarkOneFileCommit(b *testing.B) {
	for _, kind := range []string{"local", "http"} {
		b.Run(kind, func(b *testing.B) {
			r, f := benchRepo(b, 1000)
			url := r.dir
			if kind == "http" {
				url = r.serveHTTP(nil)
			}
			g := newRig(b, Repo{URL: url, Ref: "main"})
			g.sync()
			team := files{}
			for p, content := range f {
				if rest, ok := strings.CutPrefix(p, "team07/"); ok {
					team[rest] = content
				}
			}
			i := 0
			for b.Loop() {
				b.StopTimer()
				i++
				team["p0007/f0.dig"] = fmt.Sprint("version ", i)
				r.pushTree(r.replaceTop("team07", r.treeOf(team)))
				b.StartTimer()
				if d := g.sync(); len(d.Projects) != 1 || len(d.Kept) != 999 {
					b.Fatalf("%d projects deployed, %d kept", len(d.Projects), len(d.Kept))
				}
			}
		})
	}
}

// BenchmarkFirstSync exports 1,000 projects.
func BenchmarkFirstSync(b *testing.B) {
	r, _ := benchRepo(b, 1000)
	url := r.serveHTTP(nil)
	for b.Loop() {
		b.StopTimer()
		g := newRig(b, Repo{URL: url, Ref: "main"})
		b.StartTimer()
		if d := g.sync(); len(d.Projects) != 1000 {
			b.Fatalf("%d projects deployed", len(d.Projects))
		}
	}
}
