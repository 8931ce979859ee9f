package gitsync

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommitsBecomeLive(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir})

	c1 := r.push(files{"etl/daily/a.dig": "one", "etl/daily/lib/x.sh": "x", "web/w.dig": "w", "README": "hello"})
	d := g.sync()
	if d.Relation != First || d.Commit.Hash != c1.String() || d.Ref != "HEAD" {
		t.Errorf("first deployment is %s of %s at %s, want first of %s at HEAD", d.Relation, d.Commit.Hash, d.Ref, c1)
	}
	if d.Commit.AuthorName != "Ada" || d.Commit.AuthorEmail != "ada@example.com" || d.Commit.Subject != "change 1" || d.Commit.Time.IsZero() {
		t.Errorf("got commit %+v", d.Commit)
	}
	want := map[string]files{"etl/daily": {"a.dig": "one", "lib/x.sh": "x"}, "web": {"w.dig": "w"}}
	if diff := cmp.Diff(want, g.liveFiles()); diff != "" {
		t.Errorf("live projects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want["web"], d.Projects[1].Compiled); diff != "" {
		t.Errorf("compiled result of web (-want +got):\n%s", diff)
	}

	// A change to one project leaves the others at their revision.
	c2 := r.push(files{"etl/daily/a.dig": "two", "etl/daily/lib/x.sh": "x", "web/w.dig": "w", "new/n.dig": "n"})
	d = g.sync()
	if d.Relation != FastForward || len(d.Since) != 1 || d.Since[0].Hash != c2.String() {
		t.Errorf("second deployment is %s with %v since, want fast-forward with %s", d.Relation, d.Since, c2)
	}
	if len(d.Projects) != 2 || len(d.Kept) != 1 || d.Kept[0].Name != "web" || d.Kept[0].Revision != c1.String() {
		t.Errorf("got projects %v, kept %v", d.Projects, d.Kept)
	}

	// Removing one removes it; nothing else is touched.
	r.push(files{"etl/daily/a.dig": "two", "etl/daily/lib/x.sh": "x", "new/n.dig": "n"})
	d = g.sync()
	if len(d.Projects) != 0 || len(d.Kept) != 2 || len(d.Removed) != 1 || d.Removed[0].Name != "web" {
		t.Errorf("got projects %v, kept %v, removed %v", d.Projects, d.Kept, d.Removed)
	}

	// An unchanged remote deploys nothing.
	before := len(g.target.deployments)
	g.sync()
	if got := len(g.target.deployments); got != before {
		t.Errorf("an unchanged poll made %d deployments, want 0", got-before)
	}
	g.noLeftOvers()
}

func TestBrokenProjectKeepsItsLastGoodRevision(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir})
	c1 := r.push(files{"a/a.dig": "good", "b/b.dig": "good"})
	g.sync()
	r.push(files{"a/a.dig": "x\n  BROKEN", "b/b.dig": "ODD", "c/c.dig": "BROKEN"})
	d := g.sync()
	want := []Rejection{
		{"a", "a", []Diagnostic{{"a.dig", 2, 3, Error, "it is broken"}}},
		{"c", "c", []Diagnostic{{"c.dig", 1, 1, Error, "it is broken"}}},
	}
	if diff := cmp.Diff(want, d.Rejected); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if len(d.Kept) != 1 || d.Kept[0].Revision != c1.String() || len(d.Removed) != 0 {
		t.Errorf("got kept %v, removed %v; want a at %s and none", d.Kept, d.Removed, c1)
	}
	if len(d.Projects) != 1 || len(d.Projects[0].Warnings) != 1 {
		t.Errorf("got projects %v, want b with a warning", d.Projects)
	}
	if got := g.liveFiles()["a"]["a.dig"]; got != "good" {
		t.Errorf("a is live with %q, want the last good content", got)
	}
	if !strings.Contains(g.log.String(), "a.dig:2:3: error: it is broken") || !strings.Contains(g.log.String(), "author=Ada") {
		t.Errorf("the log does not name the place and the author:\n%s", g.log)
	}
	// It is reported once for this commit.
	g.sync()
	if got := len(g.target.deployments); got != 2 {
		t.Errorf("got %d deployments, want 2", got)
	}
	// And deploys once it is good.
	r.push(files{"a/a.dig": "better", "b/b.dig": "ODD"})
	if d = g.sync(); len(d.Rejected) != 0 || g.liveFiles()["a"]["a.dig"] != "better" {
		t.Errorf("after the repair: rejected %v, live %v", d.Rejected, g.liveFiles())
	}
}

func TestReferences(t *testing.T) {
	r := newTestRepo(t)
	c1 := r.push(files{"p/a.dig": "1"})
	r.git("-c", "user.name=t", "-c", "user.email=t@example.com", "tag", "-a", "-m", "first", "v1", c1.String())
	r.setRef("refs/tags/light", c1)
	c2 := r.push(files{"p/a.dig": "2"})
	r.setRef("refs/heads/dev", c2)
	r.push(files{"p/a.dig": "3"})
	url := r.serveHTTP(nil)
	for _, test := range []struct{ ref, want string }{
		{"", "3"},
		{"main", "3"},
		{"dev", "2"},
		{"refs/heads/dev", "2"},
		{"v1", "1"},
		{"light", "1"},
		{"refs/tags/v1", "1"},
		{c2.String(), "2"},
	} {
		for _, where := range []string{r.dir, url} {
			if where == url && test.ref == c2.String() {
				r.git("config", "uploadpack.allowReachableSHA1InWant", "true")
			}
			g := newRig(t, Repo{URL: where, Ref: test.ref})
			g.sync()
			if got := g.liveFiles()["p"]["a.dig"]; got != test.want {
				t.Errorf("ref %q of %s: got content %q, want %q", test.ref, where, got, test.want)
			}
			g.sync()
			if got := len(g.target.deployments); got != 1 {
				t.Errorf("ref %q of %s: a second poll deployed again", test.ref, where)
			}
		}
	}
	for _, where := range []string{r.dir, url} {
		err := newRig(t, Repo{URL: where, Ref: "nope"}).trySync()
		if err == nil || !strings.Contains(err.Error(), `no branch or tag "nope"`) {
			t.Errorf("unknown ref of %s: got %v", where, err)
		}
	}
}

func TestRewrittenBranchIsFollowedAndTold(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.serveHTTP(nil)})
	c1 := r.push(files{"p/a.dig": "1"})
	c2 := r.push(files{"p/a.dig": "2"})
	g.sync()
	r.forcePush(files{"p/a.dig": "other"}, c1)
	d := g.sync()
	if d.Relation != Rewrite || g.liveFiles()["p"]["a.dig"] != "other" {
		t.Errorf("got %s, live %v", d.Relation, g.liveFiles())
	}
	if len(g.target.events) != 1 || g.target.events[0].Kind != Rewritten || g.target.events[0].Old != c2.String() {
		t.Errorf("got events %+v, want one rewrite of %s", g.target.events, c2)
	}
	if !strings.Contains(g.log.String(), "rewritten") {
		t.Error("the log does not tell of the rewrite")
	}
	// Back to an ancestor is a rewrite too.
	r.setRef("refs/heads/main", c1)
	if d = g.sync(); d.Relation != Rewrite || g.liveFiles()["p"]["a.dig"] != "1" {
		t.Errorf("back to an ancestor: got %s, live %v", d.Relation, g.liveFiles())
	}
}

func TestRelationBeyondTheDepthIsUnknown(t *testing.T) {
	r := newTestRepo(t)
	c1 := r.push(files{"p/a.dig": "0"})
	for _, url := range []string{r.dir, r.serveHTTP(nil)} {
		r.setRef("refs/heads/main", c1)
		g := newRig(t, Repo{URL: url}, func(o *Options) { o.Depth = 3 })
		g.sync()
		for i := range 3 {
			r.push(files{"p/a.dig": strings.Repeat("x", i+1)})
		}
		if d := g.sync(); len(d.Since) == 3 && d.Relation != FastForward || d.Relation == Rewrite {
			t.Errorf("%s: three commits at depth three: got %s, %d since", url, d.Relation, len(d.Since))
		}
		for i := range 6 {
			r.push(files{"p/a.dig": strings.Repeat("y", i+1)})
		}
		if d := g.sync(); d.Relation != Unknown || d.Since != nil {
			t.Errorf("%s: six commits at depth three: got %s, %v", url, d.Relation, d.Since)
		}
	}
}

func TestMergeCountsOnlyWhatIsNew(t *testing.T) {
	r := newTestRepo(t)
	base := r.push(files{"p/a.dig": "base"})
	main := r.push(files{"p/a.dig": "main"})
	g := newRig(t, Repo{URL: r.serveHTTP(nil)})
	g.sync()
	side := r.commitTree(r.treeOf(files{"p/a.dig": "base", "p/b.dig": "side"}), "side", base)
	merge := r.commitTree(r.treeOf(files{"p/a.dig": "main", "p/b.dig": "side"}), "merge", main, side)
	r.setRef("refs/heads/main", merge)
	d := g.sync()
	var got []string
	for _, c := range d.Since {
		got = append(got, c.Subject)
	}
	if diff := cmp.Diff([]string{"merge", "side"}, got); diff != "" || d.Relation != FastForward {
		t.Errorf("%s, commits since the live one (-want +got):\n%s", d.Relation, diff)
	}
}

func TestPathAndNames(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{
		"flows/a.txt": "", "flows/etl/daily/x.dig": "x", "flows/2024/y.dig": "y", "flows/etl/daily/sub/z.dig": "z",
		"other/o.dig": "o", "flows/skip/me/s.dig": "s", "flows/odd/f.dig": "f",
		"gitdag.yaml": "projects:\n  - {path: flows/odd, name: nice}\n  - {path: other, name: theirs}\n  - {path: flows/gone, name: gone}\nignore: [flows/skip]\n",
	})
	g := newRig(t, Repo{URL: r.dir, Path: "flows"})
	d := g.sync()
	want := map[string]files{"etl/daily": {"x.dig": "x", "sub/z.dig": "z"}, "nice": {"f.dig": "f"}}
	if diff := cmp.Diff(want, g.liveFiles()); diff != "" {
		t.Errorf("live projects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"flows/2024", "flows/gone"}, rejectedPaths(d)); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if m := messages(d); !strings.Contains(m, "begins with a digit") || !strings.Contains(m, "gitdag.yaml:4:5: error:") {
		t.Errorf("got messages:\n%s", m)
	}
}

func TestRootProjectHasTheRepositorysName(t *testing.T) {
	r := newTestRepo(t)
	r.push(files{"a.dig": "a", "sub/b.dig": "b"})
	g := newRig(t, Repo{URL: r.dir, Name: "flows"})
	g.sync()
	if diff := cmp.Diff(map[string]files{"flows": {"a.dig": "a", "sub/b.dig": "b"}}, g.liveFiles()); diff != "" {
		t.Errorf("live projects (-want +got):\n%s", diff)
	}
}

func TestBadConfigurationKeepsEverything(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir})
	r.push(files{"a/a.dig": "1", "b/b.dig": "1"})
	g.sync()
	r.push(files{"a/a.dig": "2", "gitdag.yaml": "ignore: []\nprojets: []\n"})
	d := g.sync()
	if len(d.Kept) != 2 || len(d.Removed) != 0 || len(d.Projects) != 0 {
		t.Errorf("got kept %v, removed %v, projects %v; want both kept", d.Kept, d.Removed, d.Projects)
	}
	if m := messages(d); !strings.Contains(m, `gitdag.yaml:2:1: error: unknown key "projets"`) {
		t.Errorf("got messages:\n%s", m)
	}
}

func TestMissingFolderKeepsEverything(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir, Path: "flows"})
	r.push(files{"flows/a/a.dig": "1"})
	g.sync()
	r.push(files{"moved/a/a.dig": "1"})
	if d := g.sync(); len(d.Kept) != 1 || len(d.Removed) != 0 || !strings.Contains(messages(d), "there is no folder flows") {
		t.Errorf("got kept %v, removed %v, messages:\n%s", d.Kept, d.Removed, messages(d))
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir})
	g.target.live["other"] = Live{Projects: []LiveProject{{Path: "x", Name: "theirs"}}}
	r.push(files{"ours/a.dig": "1", "theirs/b.dig": "1"})
	d := g.sync()
	if diff := cmp.Diff([]string{"theirs"}, rejectedPaths(d)); diff != "" || !strings.Contains(messages(d), `a project of repository "other"`) {
		t.Errorf("rejected (-want +got):\n%s%s", diff, messages(d))
	}
	// The live one keeps its name, even when another comes first by path.
	r.push(files{"ours/a.dig": "1", "again/b.dig": "1", "gitdag.yaml": "projects: [{path: again, name: ours}]\n"})
	d = g.sync()
	if diff := cmp.Diff([]string{"again"}, rejectedPaths(d)); diff != "" || len(d.Kept) != 1 {
		t.Errorf("rejected (-want +got):\n%s, kept %v", diff, d.Kept)
	}
}

func TestFailedDeploymentIsTriedAgain(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir})
	r.push(files{"a/a.dig": "1"})
	full := errors.New("no space left")
	g.target.failDeploy = full
	if err := g.trySync(); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	g.noLeftOvers()
	g.target.failDeploy = nil
	if d := g.sync(); len(d.Projects) != 1 {
		t.Errorf("got %v, want the project deployed", d.Projects)
	}
}

func TestLostCheckoutsAreMadeAgain(t *testing.T) {
	for _, kind := range []string{"local", "http"} {
		r := newTestRepo(t)
		url := r.dir
		if kind == "http" {
			url = r.serveHTTP(nil)
		}
		g := newRig(t, Repo{URL: url})
		r.push(files{"a/a.dig": "good", "b/b.dig": "1"})
		g.sync()
		r.push(files{"a/a.dig": "BROKEN", "b/b.dig": "1"})
		g.sync() // a stays live with a tree that is not in the tip
		want := g.liveFiles()
		must(t, os.RemoveAll(filepath.Join(g.opts.Data, "checkouts")))
		g.reopen()
		deployments := len(g.target.deployments)
		g.sync()
		if diff := cmp.Diff(want, g.liveFiles()); diff != "" {
			t.Errorf("%s: restored checkouts (-want +got):\n%s", kind, diff)
		}
		if got := len(g.target.deployments); got != deployments {
			t.Errorf("%s: restoring made %d deployments, want 0", kind, got-deployments)
		}
	}
}

func TestUnrestorableCheckoutIsAskedForOnce(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir})
	r.push(files{"a/a.dig": "1"})
	g.sync()
	l := g.target.live["flows"]
	l.Projects = append(l.Projects, LiveProject{Path: "z", Name: "z", Tree: strings.Repeat("ab", 20), Revision: "x"})
	g.target.live["flows"] = l
	g.sync()
	g.sync()
	if got := strings.Count(g.log.String(), "could not be restored"); got != 1 {
		t.Errorf("the log tells of the lost checkout %d times, want 1:\n%s", got, g.log)
	}
}

func TestConfigurationChangeReadsTheCommitAgain(t *testing.T) {
	r := newTestRepo(t)
	g := newRig(t, Repo{URL: r.dir}, func(o *Options) { o.Limits.FileBytes = 10 })
	r.push(files{"a/a.dig": "small", "b/b.dig": strings.Repeat("x", 20)})
	if d := g.sync(); len(d.Rejected) != 1 {
		t.Fatalf("got rejected %v, want b", d.Rejected)
	}
	g.opts.Limits.FileBytes = 100
	g.reopen()
	if d := g.sync(); len(d.Rejected) != 0 || d.Relation != Same || len(d.Projects) != 1 || len(d.Kept) != 1 {
		t.Errorf("got %s, projects %v, kept %v, rejected %v", d.Relation, d.Projects, d.Kept, d.Rejected)
	}
}
