package dig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

func TestInclude(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // of the exports
	}{
		{"earlier mappings merge, later ones replace (L3)", map[string]string{
			"w.dig":   "_export:\n  m: {a: 1, b: 1, deep: {x: 1, y: 1}, list: [1, 2]}\n  n: text\n  !include : inc.yml\n  late: {only: mine}\n",
			"inc.yml": "m: {b: 2, c: 2, deep: {y: 2, z: 2}, list: [3]}\nn: {was: text}\nlate: {from: include}\n",
		}, `{"m":{"a":1,"b":2,"deep":{"x":1,"y":2,"z":2},"list":[3],"c":2},"n":{"was":"text"},"late":{"only":"mine"}}`},
		{"several in one mapping", map[string]string{
			"w.dig": "_export:\n  !include : a.yml\n  !include : b.yml\n", "a.yml": "x: a\ny: a\n", "b.yml": "y: b\nz: b\n",
		}, `{"x":"a","y":"b","z":"b"}`},
		{"relative to the including file", map[string]string{
			"w.dig": "_export:\n  !include : d/a.yml\n", "d/a.yml": "a: 1\n!include : e/b.yml\n", "d/e/b.yml": "b: 2\n",
		}, `{"a":1,"b":2}`},
		{"in a list, with an odd name", map[string]string{
			"w.dig": "_export:\n  l: [!include : a b.txt, {!include x: './c'}]\n", "a b.txt": "k: 1\n", "c": "k: 2\n",
		}, `{"l":[{"k":1},{"k":2}]}`},
		{"the same file twice", map[string]string{
			"w.dig": "_export:\n  a:\n    !include : x.yml\n  b:\n    !include : x.yml\n", "x.yml": "k: {l: 1}\n",
		}, `{"a":{"k":{"l":1}},"b":{"k":{"l":1}}}`},
		{"anchors stay in their file, merges see includes", map[string]string{
			"w.dig": "_export:\n  a: &a\n    !include : x.yml\n  b: {<<: *a, l: 2}\n", "x.yml": "k: 1\n",
		}, `{"a":{"k":1},"b":{"k":1,"l":2}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ds := Load(write(t, c.files), Options{})
			if len(ds) > 0 {
				t.Fatalf("got diagnostics:\n%s", ds)
			}
			if got := string(params.AppendJSON(nil, p.Workflow("w").Tree.Root().Export)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestIncludeErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{
			"missing",
			map[string]string{"w.dig": "!include : nowhere.yml\n"},
			[]string{"w.dig:1:12: error: file not found: nowhere.yml"},
		},
		{
			"not evaluated",
			map[string]string{"w.dig": "!include : ${f}.yml\n"},
			[]string{"w.dig:1:12: error: file not found: ${f}.yml"},
		},
		{
			"a directory",
			map[string]string{"w.dig": "!include : d\n", "d/x": ""},
			[]string{"w.dig:1:12: error: d is not a regular file"},
		},
		{
			"no path",
			map[string]string{"w.dig": "!include : \n"},
			[]string{"w.dig:1:11: error: !include needs the path of a file"},
		},
		{
			"a mapping for a path",
			map[string]string{"w.dig": "!include : {a: 1}\n"},
			[]string{"w.dig:1:12: error: !include needs the path of a file"},
		},
		{
			"as a value",
			map[string]string{"w.dig": "+t: !include body.yml\n"},
			[]string{"w.dig:1:5: error: !include works only as a key"},
		},
		{
			"a broken file",
			map[string]string{"w.dig": "+g:\n  !include : d.yml\n", "d.yml": "+t: {echo>: 1}\n+t: {echo>: 2}\n"},
			[]string{`d.yml:2:1: error: duplicated key "+t" (included by w.dig)`},
		},
		{
			"a text",
			map[string]string{"w.dig": "+g:\n  !include : d.yml\n", "d.yml": "x"},
			[]string{"d.yml:1:1: error: the file must be a mapping of keys to values, it is a text (included by w.dig)"},
		},
		{
			"broken for two",
			map[string]string{"v.dig": "!include : d.yml\n", "w.dig": "!include : d.yml\n", "d.yml": "a: [\n"},
			[]string{"d.yml:1:4: error: invalid YAML: did not find expected node content (included by v.dig)"},
		},
		{
			"a cycle",
			map[string]string{"w.dig": "!include : x/a.yml\n", "x/a.yml": "!include : b.yml\n", "x/b.yml": "k: 1\n!include : a.yml\n"},
			[]string{"x/b.yml:2:12: error: include cycle: x/a.yml -> x/b.yml -> x/a.yml (included by w.dig)"},
		},
		{
			"itself",
			map[string]string{"w.dig": "!include : w.dig\n"},
			[]string{"w.dig:1:12: error: include cycle: w.dig -> w.dig"},
		},
		{
			"mistakes of the included tasks stand in their file",
			map[string]string{"w.dig": "+g:\n  !include : d.yml\n", "d.yml": "x: 1\n+t: {_paralel: 1}\n"},
			[]string{
				`d.yml:1:1: error: task +w+g contains invalid keys: "x"`,
				`d.yml:2:6: error: task +w+g+t contains invalid keys: "_paralel"`,
			},
		},
		{
			"a root .dig file is a workflow of its own",
			map[string]string{"w.dig": "+t:\n  !include : part.dig\n", "part.dig": "sh>: x\n"},
			[]string{"part.dig:1:1: error: workflow includes unknown keys: [sh>]"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ds := Load(write(t, c.files), Options{})
			if diff := cmp.Diff(c.want, lines(ds)); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

// No spelling leads out of the including file's directory.
func TestIncludeStaysInside(t *testing.T) {
	dir := write(t, map[string]string{"outside.yml": "stolen: 1\n", "p/sub/x": "", "p/inside.yml": "k: 1\n", "p/sub/w.dig": ""})
	if err := os.Symlink("../outside.yml", filepath.Join(dir, "p", "link.yml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir, "p", "up")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"../outside.yml", "./../outside.yml", "sub/../../outside.yml", "sub/../inside.yml", "..", ".", "/", "", "../p/inside.yml",
		"/etc/passwd", "//etc/passwd", dir + "/outside.yml", `..\outside.yml`, `sub\..\..\outside.yml`, "link.yml", "up/outside.yml",
		"up/p/inside.yml", "%2e%2e/outside.yml", "．．/outside.yml", "..%2foutside.yml", "file:///etc/passwd", "~/.profile",
		"sub/../../p/../outside.yml", "./", "sub/", "inside.yml/", "inside.yml/../../outside.yml", "\u2025/outside.yml",
	} {
		text := fmt.Sprintf("!include : %q\n", path)
		if err := os.WriteFile(filepath.Join(dir, "p", "w.dig"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p, ds := Load(filepath.Join(dir, "p"), Options{})
		if p.Workflow("w") != nil || len(ds.Errors()) == 0 {
			t.Errorf("path %q: got %v, want an error", path, ds)
		}
		if strings.Contains(ds.String(), "stolen") {
			t.Errorf("path %q: the file outside was read: %s", path, ds)
		}
	}
}

func TestNearFile(t *testing.T) {
	_, ds := Load(write(t, map[string]string{"w.dig": "!include : conf/base.yml\n", "conf/bases.yml": "a: 1\n"}), Options{})
	if len(ds) != 1 || ds[0].Hint != `did you mean "bases.yml"?` {
		t.Errorf("got %v", ds)
	}
}
