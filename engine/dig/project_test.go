package dig

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

var update = flag.Bool("update", false, "rewrite the expectations of the sample projects")

const samples = "../../testdata/projects"

// Each folder of testdata/projects is a project; its expected.txt holds what loading it gives.
func TestSampleProjects(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(samples, "*"))
	if err != nil || len(dirs) < 5 {
		t.Fatalf("got %d sample projects, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			got := describeProject(dir)
			file := filepath.Join(dir, "expected.txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("project (-want +got):\n%s", diff)
			}
		})
	}
}

func describeProject(dir string) string {
	known := []string{"sh", "echo", "fail", "call", "if", "loop", "for_each", "for_range", "wait", "py", "http", "mail"}
	p, ds := Load(dir, Options{Operators: func(name string) bool { return slices.Contains(known, name) }})
	var b strings.Builder
	for _, w := range p.Workflows {
		b.WriteString("workflow " + w.Name + " in " + w.Timezone)
		if w.Schedule != nil {
			b.WriteString(", scheduled")
		}
		if w.SLA != nil {
			b.WriteString(", with sla")
		}
		b.WriteString("\n")
		for _, line := range shape(w.Tree) {
			b.WriteString("  " + line + "\n")
		}
	}
	for _, name := range p.Broken {
		b.WriteString("broken " + name + "\n")
	}
	if len(ds) > 0 {
		b.WriteString(ds.String() + "\n")
	}
	return b.String()
}

// language.md 1.1 and 1.2: which files are workflows (L5).
func TestWhichFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"w.dig": "+t: {sh>: x}\n", "b.dig": "{}", "a-b.dig": "{}", "a.dig": "{}", "sub/third.dig": "not: [valid", ".hidden.dig": "not: [valid",
		"dir.dig/inner.dig": "nor: [this", "ignored.dig": "never: [read", "notes.digx": "x", ".dig": "[",
		".digdagignore": "# not these\nignored.dig\n",
	})
	if err := os.Symlink("sub/linked.dig", filepath.Join(dir, "link.dig")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "linked.dig"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, ds := Load(dir, Options{})
	var names []string
	for _, w := range p.Workflows {
		names = append(names, w.Name)
	}
	if diff := cmp.Diff([]string{"a", "a-b", "b", "link", "w"}, names); diff != "" || len(ds) > 0 {
		t.Errorf("workflows (-want +got):\n%s%s", diff, ds)
	}
	if p.Workflow("nothing") != nil {
		t.Error("got a workflow that is not there")
	}
}

// One broken file leaves the others usable, and everything wrong is told (L4).
func TestBrokenFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"w.dig": "+t: {sh>: x}\n", "e1.dig": "+t:\n  sh>: \"echo 1\n", "e2.dig": "sh>: echo 2\n", "e3.dig": "+g:\n  bad: 1\n",
		"e4.dig": "timezone: Nowhere/Zone\n", "1st.dig": "{}", "my flow.dig": "{}",
	})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out.dig")); err != nil {
		t.Fatal(err)
	}
	p, ds := Load(dir, Options{})
	want := []string{
		`1st.dig:1:1: error: the name "1st" must not begin with "1"`,
		"e1.dig:2:8: error: invalid YAML: found unexpected end of stream",
		"e2.dig:1:1: error: workflow includes unknown keys: [sh>]",
		`e3.dig:2:3: error: task +e3+g contains invalid keys: "bad"`,
		`e4.dig:1:11: error: unknown time zone "Nowhere/Zone"`,
		`my flow.dig:1:1: error: workflow name "my flow": the character ' ' is not allowed in a task name`,
		"out.dig:1:1: error: open out.dig: path escapes from parent",
	}
	if diff := cmp.Diff(want, lines(ds)); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
	if len(p.Workflows) != 1 || len(p.Broken) != 7 {
		t.Errorf("got %v good and %v broken, want 1 and 7", p.Workflows, p.Broken)
	}
}

func TestNoProject(t *testing.T) {
	p, ds := Load(filepath.Join(t.TempDir(), "nowhere"), Options{})
	if p != nil || len(ds) != 1 || !strings.Contains(ds.Error(), "no such file") {
		t.Errorf("got %v, %v", p, ds)
	}
}

// The top level as it goes over the wire: `_export`, the options, the tasks; the time zone is lifted out.
func TestWorkflowConfig(t *testing.T) {
	w := one(t, `
+b: {sh>: b}
_parallel: false
_labels: {team: data, tier: 1}
sla: {time: "02:00", warn: x, +page: {sh>: page}}
_error: {echo>: e}
+a: {sh>: a}
_timeout: 1h
schedule: {daily>: "07:00:00"}
_check: {sh>: c}
timezone: Asia/Tokyo
_retry: 1
_export: {x: 1.50}
`)
	want := `{"_export":{"x":1.50},"schedule":{"daily>":"07:00:00"},"sla":{"time":"02:00","warn":"x","+page":{"sh>":"page"}},` +
		`"_error":{"echo>":"e"},"_check":{"sh>":"c"},"_retry":1,"_parallel":false,"_timeout":"1h","_labels":{"team":"data","tier":1},` +
		`"+b":{"sh>":"b"},"+a":{"sh>":"a"}}`
	if got := string(params.AppendJSON(nil, w.Config)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w.Name != "w" || w.File != "w.dig" || w.Timezone != "Asia/Tokyo" || w.Zone.String() != "Asia/Tokyo" {
		t.Errorf("got %s %s %s %s", w.Name, w.File, w.Timezone, w.Zone)
	}
	if diff := cmp.Diff(map[string]string{"team": "data", "tier": "1"}, w.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if w.Schedule == nil || w.Schedule.Zone() != w.Zone || w.ScheduleConfig.Len() != 1 {
		t.Errorf("got schedule %v, %v", w.Schedule, w.ScheduleConfig)
	}
	if diff := cmp.Diff([]string{"^sla group", "^sla+page"}, shape(w.SLA.Tree)); diff != "" {
		t.Errorf("sla tree (-want +got):\n%s", diff)
	}
}

func TestSLATrees(t *testing.T) {
	if w := one(t, "sla: {time: '02:00', fail: true, alert: false}\n"); w.SLA.Tree != nil || !w.SLA.Fail || w.SLA.Alert {
		t.Errorf("got %+v", w.SLA)
	}
	if w := one(t, "sla: {time: '02:00', sh>: page, shell: bash}\n"); !cmp.Equal(shape(w.SLA.Tree), []string{"^sla"}) {
		t.Errorf("got %v", shape(w.SLA.Tree))
	}
	if w := one(t, "schedule:\nsla:\ntimezone:\n_export:\n"); w.SLA != nil || w.Schedule != nil || w.Timezone != "UTC" {
		t.Errorf("got %+v", w)
	}
}

func TestZones(t *testing.T) {
	summer := time.Date(2016, 7, 1, 0, 0, 0, 0, time.UTC)
	for name, want := range map[string]int{
		"UTC": 0, "Z": 0, "GMT": 0, "UT": 0, "Etc/UTC": 0, "GMT0": 0, "Asia/Tokyo": 9 * 3600, "+09:00": 9 * 3600, "-9": -9 * 3600,
		"+0930": 9*3600 + 1800, "+09:30:15": 9*3600 + 1815, "GMT+2": 2 * 3600, "UTC-01:30": -5400, "UT+1": 3600, "+18:00": 18 * 3600,
		"America/New_York": -4 * 3600, "EST5EDT": -4 * 3600, "Etc/GMT+2": -2 * 3600,
	} {
		zone, err := Zone(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, got := summer.In(zone).Zone(); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
		if zone.String() != name {
			t.Errorf("got name %q, want %q", zone, name)
		}
	}
	for _, name := range []string{
		"", "JST", "PST", "EST", "MST", "HST", "Mars/Base", "Local", "localtime", "posix/Asia/Tokyo", "+19:00", "+18:01", "+9:60",
		"+", "+123456789", "asia tokyo", "../UTC", "/etc/localtime", "zone.tab", "UTC+", "Z+1", "GMTZ0",
	} {
		if zone, err := Zone(name); err == nil {
			t.Errorf("%q: got %v, want an error", name, zone)
		}
	}
}

func TestIgnore(t *testing.T) {
	for _, c := range []struct {
		patterns, name string
		dir, want      bool
	}{
		{"a.dig", "a.dig", false, true},
		{"a.dig", "sub/a.dig", false, true},
		{"/a.dig", "a.dig", false, true},
		{"/a.dig", "sub/a.dig", false, false},
		{"*.dig", "x.dig", false, true},
		{"*.dig\n!x.dig", "x.dig", false, false},
		{"!x.dig\n*.dig", "x.dig", false, true},
		{"sub/", "sub", true, true},
		{"sub/", "sub", false, false},
		{"sub/", "sub/deep/file", false, true},
		{"sub\n!sub/file", "sub/file", false, true},
		{"sub/*\n!sub/file", "sub/file", false, false},
		{"a/b", "a/b", false, true},
		{"a/b", "x/a/b", false, false},
		{"**/b", "x/y/b", false, true},
		{"**/b", "b", false, true},
		{"a/**", "a/x/y", false, true},
		{"a/**", "a", true, false},
		{"a/**/b", "a/b", false, true},
		{"a/**/b", "a/x/y/b", false, true},
		{"a/**/b", "a/x/y/c", false, false},
		{"a/**/**/b", "a/x/b", false, true},
		{"**", "x", false, true},
		{"?.dig", "x.dig", false, true},
		{"?.dig", "xy.dig", false, false},
		{"[a-c].dig", "b.dig", false, true},
		{"[!a-c].dig", "b.dig", false, false},
		{"[!a-c].dig", "d.dig", false, true},
		{"[", "[", false, false},
		{"# comment\n\n  \nx", "x", false, true},
		{`\#x`, "#x", false, true},
		{`\!x`, "!x", false, true},
		{"x   ", "x", false, true},
		{`x\ `, "x ", false, true},
		{"x\r\n", "x", false, true},
		{"/", "x", false, false},
		{"!", "x", false, false},
		{"*a*a*a*a*a*a*a*b", strings.Repeat("a", 200), false, false},
	} {
		if got := parseIgnore(c.patterns).Match(c.name, c.dir); got != c.want {
			t.Errorf("patterns %q, name %q: got %v, want %v", c.patterns, c.name, got, c.want)
		}
	}
	var none *Ignore
	if none.Match("x", false) {
		t.Error("no patterns ignore a file")
	}
}

func TestUnreadableIgnore(t *testing.T) {
	_, ds := Load(write(t, map[string]string{"w.dig": "{}", ".digdagignore/x": ""}), Options{})
	want := []string{".digdagignore:1:1: error: .digdagignore is not a regular file"}
	if diff := cmp.Diff(want, lines(ds)); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
}

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestCallFile(t *testing.T) {
	root := openRoot(t, write(t, map[string]string{
		"top.dig":       "timezone: Asia/Tokyo\n+b: {sh>: 1}\n_export: {x: 1}\nschedule: {daily>: never}\n",
		"sub/job.dig":   "+t: {sh>: 1}\n",
		"sub/own.dig":   "_export: {a: 1, _workdir: '${d}'}\n_parallel: true\n+t: {sh>: 1}\n",
		"sub/parts.dig": "+g:\n  !include : vars.yml\n", "sub/vars.yml": "+t: {}\n",
		"late.dig": "+t: {sh>: 1, py>: 2}\n",
	}))
	for file, want := range map[string]string{
		"top":              `{"_export":{"x":1},"schedule":{"daily>":"never"},"+b":{"sh>":1}}`,
		"top.dig":          `{"_export":{"x":1},"schedule":{"daily>":"never"},"+b":{"sh>":1}}`,
		"sub/job":          `{"_export":{"_workdir":"sub"},"+t":{"sh>":1}}`,
		"./sub/../sub/own": `{"_export":{"a":1,"_workdir":"sub/${d}"},"_parallel":true,"+t":{"sh>":1}}`,
		"sub/parts":        `{"_export":{"_workdir":"sub"},"+g":{"+t":{}}}`,
		"late":             `{"+t":{"sh>":1,"py>":2}}`,
	} {
		m, err := CallFile(root, file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got := string(params.AppendJSON(nil, m)); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}

func TestCallFileErrors(t *testing.T) {
	root := openRoot(t, write(t, map[string]string{
		"op.dig": "sh>: x\n_env: {}\n", "zone.dig": "timezone: JST\n", "name.dig": "+a^b: {}\n", "list.dig": "- a\n", "sub/export.dig": "_export: x\n",
		"sub/workdir.dig": "_export: {_workdir: [x]}\n", "bad.dig": "+a: [\n", "incl.dig": "!include : bad.dig\n",
	}))
	for file, want := range map[string]string{
		"nowhere":     "nowhere.dig:1:1: error: file not found: nowhere.dig",
		"../op":       "file not found: ../op.dig must be inside the project",
		"/op":         "file not found: /op.dig must be inside the project",
		"op":          "op.dig:1:1: error: workflow includes unknown keys: [sh>]\n  hint: an operator belongs into a task: `+name: {sh>: …}`\nop.dig:2:1: error: workflow includes unknown keys: [_env]",
		"zone":        "zone.dig:1:11: error: unknown time zone \"JST\"\n  hint: use the name of a region, such as Asia/Tokyo",
		"name":        "name.dig:1:1: error: task +a^b: the character '^' is not allowed in a task name",
		"list":        "list.dig:1:1: error: the file must be a mapping of keys to values, it is a list",
		"sub/export":  "_export must be a mapping",
		"sub/workdir": "_workdir must be a text",
		"incl":        "bad.dig:1:5: error: invalid YAML: did not find expected node content (included by incl.dig)",
	} {
		if _, err := CallFile(root, file); err == nil || err.Error() != want {
			t.Errorf("%s: got  %v\nwant %s", file, err, want)
		}
	}
}

func TestLoadParams(t *testing.T) {
	dir := write(t, map[string]string{
		"p.yml": "a: 0.5\nb: 10\nc: ${x}\nd:\n  !include : more.yml\n", "more.yml": "e: [true]\n", "p.json": `{"a": {"b": 1.0}}`, "bad.yml": "a: 1\na: 2\n",
	})
	m, err := LoadParams(filepath.Join(dir, "p.yml"))
	if want := `{"a":"0.5","b":10,"c":"${x}","d":{"e":[true]}}`; err != nil || string(params.AppendJSON(nil, m)) != want {
		t.Errorf("got %s, %v, want %s", params.AppendJSON(nil, m), err, want)
	}
	m, err = LoadParams(filepath.Join(dir, "p.json"))
	if want := `{"a":{"b":1.0}}`; err != nil || string(params.AppendJSON(nil, m)) != want {
		t.Errorf("got %s, %v, want %s", params.AppendJSON(nil, m), err, want)
	}
	if _, err := LoadParams(filepath.Join(dir, "bad.yml")); err == nil || !strings.Contains(err.Error(), `bad.yml:2:1: error: duplicated key "a"`) {
		t.Errorf("got %v", err)
	}
	if _, err := LoadParams(filepath.Join(dir, "none", "p.yml")); err == nil {
		t.Error("got no error for a folder that is not there")
	}
	if _, err := LoadParams(filepath.Join(dir, "none.yml")); err == nil || !strings.Contains(err.Error(), "file not found") {
		t.Errorf("got %v", err)
	}
}
