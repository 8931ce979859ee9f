package gitsync

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeTree makes a working tree of the files.
func writeTree(t *testing.T, f files) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range f {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What is found in a working tree is what a sync of the same files deploys and
// refuses.
func TestFindFoldersAgreesWithASync(t *testing.T) {
	trees := map[string]files{
		"one project": {"a.dig": "", "sub/b.dig": ""},
		"several":     {"etl/daily/x.dig": "", "etl/daily/sub/z.dig": "", "etl/README.md": "", "docs/a.txt": "", "web/w.dig": ""},
		"names": {
			"2024/y.dig": "", "odd/f.dig": "", "skip/me/s.dig": "",
			configFile: "projects:\n  - {path: odd, name: nice}\n  - {path: gone}\nignore: [skip]\n",
		},
		"a listed folder without workflows": {"lib/a.txt": "", configFile: "projects:\n  - {path: lib}\n"},
		"a listed root":                     {"w/a.dig": "", "b.txt": "", configFile: "projects:\n  - {path: ., name: all}\n"},
		"patterns":                          {"a/b/c.dig": "", "a/d/c.dig": "", configFile: "ignore: ['a/[b]']\n"},
	}
	for name, f := range trees {
		t.Run(name, func(t *testing.T) {
			r := newTestRepo(t)
			r.push(f)
			g := newRig(t, Repo{URL: r.dir, Name: "repo"})
			d := g.sync()
			wantNames := slices.Sorted(maps.Keys(g.liveFiles()))
			found, wrong, err := FindFolders(writeTree(t, f))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range found {
				if f.Path == "." && f.Name == "" {
					f.Name = "repo"
				}
				if !slices.ContainsFunc(wrong, func(d Diagnostic) bool { return d.File == f.Path }) {
					names = append(names, f.Name)
				}
			}
			slices.Sort(names)
			if diff := cmp.Diff(wantNames, names); diff != "" {
				t.Errorf("projects (-sync +folders):\n%s", diff)
			}
			if got, want := len(wrong), len(rejectedPaths(d)); got != want {
				t.Errorf("got %d diagnostics %v, want %d", got, wrong, want)
			}
			for _, w := range wrong {
				if !strings.Contains(messages(d), w.Message) {
					t.Errorf("a sync does not say %q:\n%s", w.Message, messages(d))
				}
			}
		})
	}
}

func TestFindFoldersLeavesOutWhatIsNobodysProject(t *testing.T) {
	dir := writeTree(t, files{
		"p/w.dig": "", ".git/x/w.dig": "", ".gitdag/checkouts/w.dig": "", ".digdag/w.dig": "", "dir.dig/readme": "",
	})
	if err := os.Symlink("p", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	found, wrong, err := FindFolders(dir)
	if diff := cmp.Diff([]Folder{{"p", "p"}}, found); diff != "" || len(wrong) > 0 || err != nil {
		t.Errorf("%v, %v, folders (-want +got):\n%s", wrong, err, diff)
	}
}

func TestFindFoldersOfABadConfiguration(t *testing.T) {
	big := strings.Repeat("#", maxConfigBytes+1)
	for text, want := range map[string]string{
		"projets: []": `gitdag.yaml:1:1: error: unknown key "projets": known are projects and ignore`,
		"- a":         "gitdag.yaml:1:1: error: a mapping is expected here",
		big:           "gitdag.yaml:1:1: error: it holds more than 1048576 bytes",
	} {
		found, wrong, err := FindFolders(writeTree(t, files{"w.dig": "", configFile: text}))
		if err != nil || len(found) > 0 || len(wrong) != 1 || wrong[0].String() != want {
			t.Errorf("got %v, %v, %v, want %s", found, wrong, err, want)
		}
	}
	found, wrong, err := FindFolders(writeTree(t, files{configFile + "/a": ""}))
	if err != nil || len(found) > 0 || len(wrong) != 1 || wrong[0].Message != "it is not a file" {
		t.Errorf("a folder of that name: got %v, %v, %v", found, wrong, err)
	}
}

func TestFindFoldersWhereThereIsNothing(t *testing.T) {
	if _, _, err := FindFolders(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there has projects")
	}
	found, wrong, err := FindFolders(t.TempDir())
	if err != nil || len(found)+len(wrong) > 0 {
		t.Errorf("an empty folder: got %v, %v, %v", found, wrong, err)
	}
}
