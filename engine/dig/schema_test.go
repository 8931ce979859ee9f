package dig

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"gitdag/engine/schedule"
)

const schemaGolden = "../../testdata/schema/dig.json"

// someOperators are suggested by the schema that is tested here.
var someOperators = []string{"call", "echo", "fail", "for_each", "for_range", "if", "loop", "notify", "py", "require", "sh", "wait"}

func schemaText(t *testing.T) []byte {
	t.Helper()
	text, err := Schema(someOperators)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaText(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("dig.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("dig.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaGolden(t *testing.T) {
	got := schemaText(t)
	if *update {
		if err := os.WriteFile(schemaGolden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaGolden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

// asEditorsSee is a file as an editor's parser has it: plain YAML, tags that it does not know ignored.
func asEditorsSee(t *testing.T, text []byte) any {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return plain(t, doc.Content[0])
}

func plain(t *testing.T, n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return plain(t, n.Alias)
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = plain(t, item)
		}
		return list
	}
	var v any
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool", "!!null":
		if err := n.Decode(&v); err == nil {
			return v
		}
	}
	return n.Value
}

// sampleProject is a project whose workflows the schema should know.
type sampleProject struct{ name, dir string }

func sampleProjects(t *testing.T) []sampleProject {
	t.Helper()
	var list []sampleProject
	dirs, err := filepath.Glob(filepath.Join(samples, "*"))
	if err != nil {
		t.Fatal(err)
	}
	dirs = append(dirs, "../../cmd/gitdag/demo", "../../cmd/gitdag/templates")
	for _, dir := range dirs {
		list = append(list, sampleProject{filepath.ToSlash(dir), dir})
	}
	list = append(list, documented(t)...)
	return append(list, recorded(t)...)
}

// documented are the workflows that the user's guide shows, a project for each.
func documented(t *testing.T) []sampleProject {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []sampleProject
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range strings.Split(string(text), "```") {
			info, body, _ := strings.Cut(part, "\n")
			if _, file, ok := strings.Cut(info, "file="); ok && i%2 == 1 && strings.HasSuffix(file, suffix) {
				list = append(list, sampleProject{page + " " + file, write(t, map[string]string{filepath.Base(file): body})})
			}
		}
	}
	return list
}

// recorded are the projects of the cases that were recorded from Digdag.
func recorded(t *testing.T) []sampleProject {
	t.Helper()
	var list []sampleProject
	for _, name := range []string{"golden_lang.jsonl", "golden_ops.jsonl"} {
		f, err := os.Open(filepath.Join("../../testdata/conformance", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			var c struct {
				ID    string
				Files map[string]string `json:"inline_files"`
			}
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			if len(c.Files) > 0 {
				list = append(list, sampleProject{c.ID, write(t, c.Files)})
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// What loads without errors is valid, but for what the schema is stricter about.
func TestSchemaAcceptsTheSamples(t *testing.T) {
	s := compiledSchema(t)
	checked := 0
	for _, sample := range sampleProjects(t) {
		p, _ := Load(sample.dir, Options{})
		for _, w := range p.Workflows {
			if slices.Contains(stricter, sample.name+" "+w.File) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(sample.dir, w.File))
			if err != nil {
				t.Fatal(err)
			}
			checked++
			if err := s.Validate(asEditorsSee(t, text)); err != nil {
				t.Errorf("%s %s: %v\n%s", sample.name, w.File, err, text)
			}
		}
	}
	if checked < 300 {
		t.Errorf("got %d workflows, want hundreds", checked)
	}
}

// stricter are the samples that load, perhaps with a warning, and which the schema refuses all the same.
var stricter = []string{
	"G/lang/retry/bad-values-on-operators w.dig",        // which fail when they run
	"G/lang/validate/late-content-is-not-checked w.dig", // what is late is seen early
}

// Typical mistakes are refused by both.
func TestSchemaRefusesMistakes(t *testing.T) {
	s := compiledSchema(t)
	for name, text := range map[string]string{
		"misspelt key at the top":       "shedule: {daily>: 07:00:00}",
		"operator at the top":           "sh>: echo",
		"misspelt option of a group":    "+a:\n  _paralel: true\n  +b: {sh>: x}",
		"two operators":                 "+a: {sh>: x, echo>: y}",
		"operator with subtasks":        "+a:\n  sh>: x\n  +b: {echo>: y}",
		"bad character in a task name":  "+a b: {sh>: x}",
		"caret at the top":              "+^a: {sh>: x}",
		"task without plus in a group":  "+a:\n  b: {sh>: x}",
		"empty task":                    "+a:",
		"task that is a text":           "+a: echo hello",
		"list of texts as a task":       "+a: [sh]",
		"number for _parallel":          "_parallel: 3\n+a: {sh>: x}",
		"_parallel without its limit":   "_parallel: {}\n+a: {sh>: x}",
		"text for _after":               "_parallel: true\n+a: {sh>: x}\n+b: {_after: +a, sh>: x}",
		"yes for _background":           "+a: {_background: yes, sh>: x}",
		"time for _timeout":             "+a: {_timeout: 10:00, sh>: x}",
		"_error that is a text":         "_error: mail me\n+a: {sh>: x}",
		"_export that is a list":        "_export: [a]\n+a: {sh>: x}",
		"label that is a list":          "_labels: {a: [b]}\n+a: {sh>: x}",
		"unknown type of schedule":      "schedule: {dayly>: 07:00:00}",
		"schedule without seconds":      "schedule: {daily>: '07:00'}",
		"schedule that is a text":       "schedule: daily",
		"schedule with a misspelt key":  "schedule: {daily>: 07:00:00, skip_on_overtim: true}",
		"schedule with a bad date":      "schedule: {daily>: 07:00:00, start: tomorrow}",
		"schedule with a bad catch-up":  "schedule: {daily>: 07:00:00, catch_up: some}",
		"cron with four fields":         "schedule: {cron>: '* * * *'}",
		"interval of nothing":           "schedule: {minutes_interval>: 0}",
		"schedule without a type":       "schedule: {start: 2030-01-01}",
		"sla with neither":              "sla: {fail: true}",
		"sla with both":                 "sla: {time: '02:00', duration: '01:00'}",
		"sla in hours":                  "sla: {duration: 2h}",
		"sla with a misspelt key":       "sla: {duration: '02:00', fial: true}",
		"nothing but a list":            "- sh>: x",
		"an error in the errors' tasks": "_error:\n  +a: {sh>: x, echo>: y}\n+b: {sh>: x}",
	} {
		if err := s.Validate(asEditorsSee(t, []byte(text))); err == nil {
			t.Errorf("%s: the schema takes it:\n%s", name, text)
		}
		if _, ds := Load(write(t, map[string]string{"w.dig": text}), Options{}); len(ds.Errors()) == 0 {
			t.Errorf("%s: it loads:\n%s", name, text)
		}
	}
}

// These load, with a warning or a failure later on; an editor shows them at once.
func TestSchemaIsStricterThanLoading(t *testing.T) {
	s := compiledSchema(t)
	for name, text := range map[string]string{
		"unread option of _retry":    "+a: {_retry: {limit: 3, intervall: 10}, sh>: x}",
		"unread option of _parallel": "_parallel: {limit: 3, max: 10}\n+a: {sh>: x}",
		"text for _retry":            "_retry: often\n+a: {sh>: x}",
		"loop over a text":           "+a: {loop>: 3, _do: echo}",
		"misspelt option in a _do":   "+a:\n  loop>: 3\n  _do:\n    _retyr: 1\n    +b: {sh>: x}",
	} {
		if err := s.Validate(asEditorsSee(t, []byte(text))); err == nil {
			t.Errorf("%s: the schema takes it:\n%s", name, text)
		}
		if _, ds := Load(write(t, map[string]string{"w.dig": text}), Options{}); len(ds.Errors()) > 0 {
			t.Errorf("%s: it does not even load:\n%s", name, ds)
		}
	}
}

// The schedule's part of the schema has the types and options that package schedule reads, and no others.
func TestSchemaKnowsSchedules(t *testing.T) {
	s := compiledSchema(t)
	valid := map[string]any{
		"hourly": "30:00", "daily": "07:00:00", "weekly": "Sun,09:00:00", "monthly": "1,09:00:00",
		"minutes_interval": json.Number("5"), "seconds_interval": json.Number("30"), "cron": "42 4 1 * *",
	}
	values := map[string]any{
		"skip_on_overtime": true, "skip_delayed_by": "1h", "start": "2030-01-01", "end": "2031-01-01", "catch_up": "last",
		"delay": json.Number("5"),
	}
	for _, typ := range scheduleTypes {
		options := []string{"skip_on_overtime", "skip_delayed_by", "start", "end", "catch_up"}
		if typ.name == "cron" || strings.HasSuffix(typ.name, "_interval") {
			options = append(options, "delay")
		}
		fields := []schedule.Field{{Key: typ.name + ">", Value: valid[typ.name]}}
		object := map[string]any{typ.name + ">": valid[typ.name]}
		for _, option := range options {
			fields = append(fields, schedule.Field{Key: option, Value: values[option]})
			object[option] = values[option]
		}
		if _, err := schedule.Parse(fields, nil); err != nil {
			t.Errorf("%s: %v", typ.name, err)
		}
		if err := s.Validate(map[string]any{"schedule": object}); err != nil {
			t.Errorf("%s: %v", typ.name, err)
		}
	}
	for option := range scheduleOptions() {
		if _, ok := values[option]; !ok && !slices.Contains([]string{"_type", "_command", "at"}, option) {
			t.Errorf("option %s is in no schedule here", option)
		}
	}
}
