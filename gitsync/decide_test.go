package gitsync

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAfterList(t *testing.T) {
	live := Live{Commit: Commit{Hash: "a"}, Scope: "s"}
	for name, test := range map[string]struct {
		live    Live
		tip     string
		scope   string
		missing []string
		want    action
		why     string
	}{
		"first":         {Live{}, "a", "s", nil, fetchCommit, "first"},
		"unchanged":     {live, "a", "s", nil, nothing, ""},
		"moved":         {live, "b", "s", nil, fetchCommit, "moved"},
		"configuration": {live, "a", "t", nil, fetchCommit, "configuration"},
		"lost":          {live, "a", "s", []string{"x"}, fetchCommit, "checkouts are missing"},
	} {
		if got, why := afterList(test.live, Tip{Commit: test.tip}, test.scope, test.missing); got != test.want || why != test.why {
			t.Errorf("%s: got %v, %q, want %v, %q", name, got, why, test.want, test.why)
		}
	}
}

func TestScopeNamesWhatDecides(t *testing.T) {
	r, l := Repo{Name: "a", Path: "."}, Limits{FileBytes: 1}
	same := scopeOf(r, l)
	r.Poll = time.Hour
	if scopeOf(r, l) != same {
		t.Error("the poll interval changes the scope")
	}
	if scopeOf(Repo{Name: "a", Path: "x"}, l) == same || scopeOf(Repo{Name: "a", Path: "."}, Limits{FileBytes: 2}) == same {
		t.Error("another path or limit has the same scope")
	}
}

func TestChangedProjects(t *testing.T) {
	live := []LiveProject{{"a", "a", "t1", "r"}, {"b", "b", "t1", "r"}, {"c", "c", "t1", "r"}}
	found := []FoundProject{{"a", "a", "t1"}, {"b", "b", "t2"}, {"c", "renamed", "t1"}, {"d", "d", "t1"}}
	if diff := cmp.Diff(found[1:], changedProjects(live, found)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func TestPlan(t *testing.T) {
	live := Live{Projects: []LiveProject{
		{"same", "same", "t", "r0"},
		{"new", "new", "t", "r0"},
		{"gone", "gone", "t", "r0"},
		{"broken", "broken", "t", "r0"},
		{"evil", "evil", "t", "r0"},
		{"folder/in", "folder/in", "t", "r0"},
		{"folder2", "folder2", "t", "r0"},
	}}
	bad := []Diagnostic{{File: "a.dig", Severity: Error, Message: "no"}}
	odd := []Diagnostic{{File: "a.dig", Severity: Warning, Message: "hm"}}
	got := plan(live, Fetched{
		Commit:   Commit{Hash: "r1"},
		Projects: []FoundProject{{"same", "same", "t"}, {"new", "new", "t2"}, {"broken", "broken", "t2"}},
		Refused:  []Refusal{{Path: "folder", Folder: true, Diag: bad[0]}, {Path: "evil", Name: "evil", Diag: bad[0]}},
	}, []verdict{
		{FoundProject{"new", "new", "t2"}, "/dir", Checked{"compiled", odd}},
		{FoundProject{"broken", "broken", "t2"}, "/dir2", Checked{nil, bad}},
	})
	want := Deployment{
		Commit:   Commit{Hash: "r1"},
		Projects: []Project{{LiveProject{"new", "new", "t2", "r1"}, "/dir", "compiled", odd}},
		Kept:     []LiveProject{{"broken", "broken", "t", "r0"}, {"evil", "evil", "t", "r0"}, {"folder/in", "folder/in", "t", "r0"}, {"same", "same", "t", "r0"}},
		Removed:  []LiveProject{{"folder2", "folder2", "t", "r0"}, {"gone", "gone", "t", "r0"}},
		Rejected: []Rejection{{"broken", "broken", bad}, {"evil", "evil", bad}, {"folder", "", bad}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestNameConflicts(t *testing.T) {
	live := Live{
		Projects: []LiveProject{{Path: "b", Name: "x"}, {Path: "kept", Name: "k"}, {Path: "moved", Name: "m"}},
		Taken:    map[string]string{"theirs": "other"},
	}
	found := []FoundProject{
		{Path: "a", Name: "x"},
		{Path: "b", Name: "x"},
		{Path: "c", Name: "theirs"},
		{Path: "d", Name: "k"},
		{Path: "e", Name: "m"},
		{Path: "f", Name: "n"},
		{Path: "g", Name: "n"},
	}
	good, taken := nameConflicts(live, found, []Refusal{{Path: "kept", Name: "k"}})
	var gotGood, gotTaken []string
	for _, f := range good {
		gotGood = append(gotGood, f.Path)
	}
	for _, r := range taken {
		gotTaken = append(gotTaken, r.Path)
	}
	if diff := cmp.Diff([]string{"b", "e", "f"}, gotGood); diff != "" {
		t.Errorf("good (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "c", "d", "g"}, gotTaken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestPauseAndAlert(t *testing.T) {
	t0 := time.Unix(1_700_000_000, 0)
	after := 10 * time.Minute
	h := health{}
	for random, want := range map[float64]time.Duration{0: 54 * time.Second, 0.5: time.Minute, 0.999999: 66 * time.Second} {
		if got := pause(h, t0, rhythm{time.Minute, after, 0}, random); got.Round(time.Second) != want {
			t.Errorf("in good health, random %v: got %s, want %s", random, got, want)
		}
	}
	want := []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300}
	for i := range want {
		h = h.failed(t0, errors.New("away"))
		if got := pause(h, t0, rhythm{time.Minute, time.Hour, 0}, 0.999999999); got.Round(time.Second) != want[i]*time.Second {
			t.Errorf("failure %d: got at most %s, want %s", i+1, got, want[i]*time.Second)
		}
	}
	if got := pause(h, t0, rhythm{time.Minute, after, 0}, 0); got != time.Second {
		t.Errorf("the shortest back-off is %s, want 1s", got)
	}
	if got := pause(h, t0.Add(9*time.Minute+58*time.Second), rhythm{time.Minute, after, 0}, 0.99); got != 2*time.Second {
		t.Errorf("just before the alert: got %s, want to be there on time", got)
	}
	if got := pause(h, t0, rhythm{time.Minute, after, time.Hour}, 0.5); got != time.Hour {
		t.Errorf("the server asked for an hour: got %s", got)
	}
	for _, test := range []struct {
		at      time.Duration
		alerted bool
		want    bool
	}{{after - 1, false, false}, {after, false, true}, {after, true, false}} {
		h.alerted = test.alerted
		if got := alertDue(h, t0.Add(test.at), after); got != test.want {
			t.Errorf("alert after %s, alerted %v: got %v, want %v", test.at, test.alerted, got, test.want)
		}
	}
	if alertDue(health{}, t0, after) {
		t.Error("an alert is due in good health")
	}
}

func TestExpired(t *testing.T) {
	at := func(m int) time.Time { return time.Unix(int64(m)*60, 0) }
	a, b := origin{Repo: "r", Path: "a", Commit: "1"}, origin{Repo: "r", Path: "b", Commit: "2"}
	all := []checkout{
		{"a1", a, at(1)}, {"a2", a, at(2)}, {"a3", a, at(3)}, {"a4", a, at(4)}, {"b1", b, at(1)}, {"none", origin{}, time.Time{}},
	}
	if diff := cmp.Diff([]string{"a2"}, expired(all, []string{"a4", "a1"}, 1)); diff != "" {
		t.Errorf("keeping one (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a3", "a2", "b1", "none"}, expired(all, []string{"a4", "a1"}, 0)); diff != "" {
		t.Errorf("keeping none (-want +got):\n%s", diff)
	}
}

func TestRepoComplete(t *testing.T) {
	ssh := Auth{SSHKeyFile: "k", KnownHostsFile: "h"}
	for _, test := range []struct {
		repo Repo
		name string // expected
		err  string // expected part of the error
	}{
		{Repo{URL: "https://git.example.com/team/workflows.git"}, "workflows", ""},
		{Repo{URL: "https://git.example.com/team/workflows/"}, "workflows", ""},
		{Repo{URL: "git@git.example.com:team/flows.git", Auth: ssh}, "flows", ""},
		{Repo{URL: "ssh://git@git.example.com:2222/team/flows.git", Auth: ssh}, "flows", ""},
		{Repo{URL: "http://127.0.0.1:1/x.git"}, "x", ""},
		{Repo{URL: "http://[::1]:1/x.git"}, "x", ""},
		{Repo{URL: "http://localhost/x.git"}, "x", ""},
		{Repo{URL: "http://git.example.com/x.git", Insecure: true}, "x", ""},
		{Repo{URL: "/srv/git/flows.git"}, "flows", ""},
		{Repo{URL: "/srv/git/flows/.git"}, "flows", ""},
		{Repo{URL: "/srv/git/flows", Name: "mine"}, "mine", ""},
		{Repo{URL: "/srv/a:b"}, "a:b", ""},
		{Repo{}, "", "it is missing"},
		{Repo{URL: "http://git.example.com/x.git"}, "", "use https://"},
		{Repo{URL: "https://user:pass@git.example.com/x.git"}, "", "holds credentials"},
		{Repo{URL: "https://tok@git.example.com/x.git"}, "", "holds credentials"},
		{Repo{URL: "ssh://u:p@git.example.com/x.git", Auth: ssh}, "", "holds a password"},
		{Repo{URL: "https://user:pa ss%zz@git.example.com/x.git"}, "", "cannot be parsed"},
		{Repo{URL: "file:///srv/git/x.git"}, "", "give the path itself"},
		{Repo{URL: "git://git.example.com/x.git"}, "", "not supported"},
		{Repo{URL: "ext::sh -c evil://x"}, "", "not supported"},
		{Repo{URL: "--upload-pack=evil"}, "", "begins with -"},
		{Repo{URL: "ssh://-oProxyCommand=x/y.git", Auth: ssh}, "", "lacks a host"},
		{Repo{URL: "git@host.example:-x", Auth: ssh}, "", "begins with -"},
		{Repo{URL: "https://git.example.com"}, "", "lacks a host or a path"},
		{Repo{URL: "https://git.example.com/x?y=1"}, "", "query"},
		{Repo{URL: "git@git.example.com:team/flows.git"}, "", "needs ssh_key_file and known_hosts_file"},
		{Repo{URL: "/srv/x", Auth: ssh}, "", "for ssh URLs"},
		{Repo{URL: "/srv/x", Auth: Auth{TokenFile: "t"}}, "", "for http(s) URLs"},
		{Repo{URL: "https://h/x", Auth: Auth{TokenFile: "t", Username: "u", PasswordFile: "p"}}, "", "not both"},
		{Repo{URL: "https://h/x", Auth: Auth{PasswordFile: "p"}}, "", "needs username"},
		{Repo{URL: "https://h/x", Auth: Auth{Username: "u"}}, "", "needs password_file"},
		{Repo{URL: "/srv/x", Ref: "refs/tags/v*"}, "", "not a branch"},
		{Repo{URL: "/srv/x", Ref: ">=1.2 <2"}, "", "not a branch"},
		{Repo{URL: "/srv/x", Ref: "a..b"}, "", "not a branch"},
		{Repo{URL: "/srv/x", Ref: "-x"}, "", "not a branch"},
		{Repo{URL: "/srv/x", Path: "../y"}, "", "leaves the repository"},
		{Repo{URL: "/srv/x", Path: "/y"}, "", "leaves the repository"},
		{Repo{URL: "/srv/x", Name: "a/b"}, "", "slashes"},
		{Repo{URL: "/srv/x", Poll: time.Millisecond}, "", "below 1s"},
	} {
		got, err := test.repo.Complete()
		if test.err == "" {
			if err != nil || got.Name != test.name || got.Poll != orDefault(test.repo.Poll, time.Minute) || got.Path != "." {
				t.Errorf("%s: got %+v, %v, want name %q", test.repo.URL, got, err, test.name)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%s: got %v, want %q", test.repo.URL, err, test.err)
		}
	}
}

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte("# sample\nprojects:\n  - {path: a/b/, name: nice}\n  - path: .\nignore:\n  - examples\n  - tests/*\n"))
	want := map[string]namedProject{"a/b": {"a/b", "nice", 3, 5}, ".": {".", "", 4, 5}}
	if diff := cmp.Diff(want, c.projects, cmp.AllowUnexported(namedProject{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for dir, want := range map[string]bool{"examples": true, "tests/x": true, "tests": false, "tests/x/y": false, "a": false} {
		if got := c.ignored(dir); got != want {
			t.Errorf("ignored(%q): got %v, want %v", dir, got, want)
		}
	}
	if _, err := parseConfig(nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	for text, want := range map[string]string{
		"projets: []":                                        `gitdag.yaml:1:1: unknown key "projets"`,
		"ignore: []\nignore: []":                             `gitdag.yaml:2:1: the key "ignore" is there twice`,
		"- a":                                                `gitdag.yaml:1:1: a mapping is expected`,
		"projects: {a: b}":                                   `gitdag.yaml:1:11: projects must be a list`,
		"projects:\n  - {pat: x}":                            `gitdag.yaml:2:6: unknown key "pat"`,
		"projects:\n  - {name: x}":                           `gitdag.yaml:2:5: path "" is missing`,
		"projects:\n  - {path: ../x}":                        `leaves the repository`,
		"projects:\n  - {path: /x}":                          `leaves the repository`,
		"projects:\n  - {path: [x]}":                         `path must be a text`,
		"projects: [{path: a}, {path: ./a}]":                 `the path "a" is there twice`,
		"projects: [{path: a, name: 1x}]":                    `begins with a digit`,
		"projects: [{path: a, name: x}, {path: b, name: x}]": `the name "x" is there twice`,
		"ignore: x":                                          `ignore must be a list`,
		"ignore: [[x]]":                                      `ignore must be a list`,
		"ignore: ['[']":                                      `malformed`,
		"a: [\n b":                                           `gitdag.yaml:`,
		"? [a]\n: b":                                         `a key must be a text`,
		"x: &a [*a, *a, *a]":                                 `unknown key "x"`,
	} {
		_, err := parseConfig([]byte(text))
		var bad configError
		if err == nil || !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestBadNames(t *testing.T) {
	for _, good := range []string{"a", ".github", ".gitignore", ".gitmodules", "git", "con", "aux.sql", "日本", "a b", "...", "x.git", "é"} {
		if bad := badEntryName(good); bad != "" {
			t.Errorf("%q: got %q, want it accepted", good, bad)
		}
	}
	for _, good := range []string{"a", "etl/daily", "日本", "a b", "x:y"} {
		if bad := badProjectName(good); bad != "" {
			t.Errorf("project %q: got %q, want it accepted", good, bad)
		}
	}
	for _, name := range []string{"", "1a", "+a", "^a", "@a", "/a", `\a`, ":a", "*a", "?a", `"a`, "<a", ">a", "|a", "a.dig", strings.Repeat("é", 256)} {
		if badProjectName(name) == "" {
			t.Errorf("project %q is accepted", name)
		}
	}
}
