package dig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func reported() Diagnostics {
	return Diagnostics{
		{File: "a b/50%.dig", Line: 2, Column: 3, Severity: Error, Key: "_paralel", Message: "task +a: bad, 100%", Hint: `did you mean "_parallel"?`},
		{File: "w.dig", Line: 7, Column: 1, Severity: Warning, Key: "_retry", Message: "one\r\ntwo"},
		{Severity: Error, Message: "open project x: no such file or directory"},
	}
}

func written(t *testing.T, ds Diagnostics, f Format) string {
	t.Helper()
	var b bytes.Buffer
	if err := ds.Write(&b, f, "1.2.3"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteLines(t *testing.T) {
	for format, want := range map[Format]string{
		Text: `a b/50%.dig:2:3: error: task +a: bad, 100%
  hint: did you mean "_parallel"?
w.dig:7:1: warning: one` + "\r" + `
two
error: open project x: no such file or directory
`,
		// https://docs.github.com/actions/reference/workflow-commands: a property also escapes what ends it.
		GitHub: `::error file=a b/50%25.dig,line=2,col=3,title=gitdag%3A key::task +a: bad, 100%25%0Ahint: did you mean "_parallel"?
::warning file=w.dig,line=7,col=1,title=gitdag%3A retry::one%0D%0Atwo
::error title=gitdag%3A file::open project x: no such file or directory
`,
	} {
		if diff := cmp.Diff(want, written(t, reported(), format)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestWriteNothing(t *testing.T) {
	for format, want := range map[Format]string{Text: "", GitHub: "", JSON: "[]\n", GitLab: "[]\n"} {
		if got := written(t, nil, format); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
	if got := written(t, nil, SARIF); !strings.Contains(got, `"results": []`) {
		t.Errorf("a SARIF log needs its list of results even where there is none: %s", got)
	}
	if err := reported().Write(&bytes.Buffer{}, "xml", ""); err == nil {
		t.Error("an unknown format is written")
	}
}

func TestWriteJSON(t *testing.T) {
	var got []map[string]any
	decode(t, written(t, reported()[:1], JSON), &got)
	want := []map[string]any{{
		"file": "a b/50%.dig", "line": 2.0, "column": 3.0, "severity": "error", "rule": "key", "key": "_paralel",
		"message": "task +a: bad, 100%", "hint": `did you mean "_parallel"?`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestWriteGitLab(t *testing.T) {
	var got []qualityIssue
	decode(t, written(t, reported(), GitLab), &got)
	for i := range got {
		if len(got[i].Fingerprint) != 32 {
			t.Errorf("fingerprint %q", got[i].Fingerprint)
		}
		got[i].Fingerprint = ""
	}
	want := []qualityIssue{
		{
			Description: `task +a: bad, 100%; hint: did you mean "_parallel"?`, CheckName: "gitdag/key", Severity: "major",
			Location: qualityLocation{"a b/50%.dig", qualityLines{2}},
		},
		{Description: "one\r; two", CheckName: "gitdag/retry", Severity: "minor", Location: qualityLocation{"w.dig", qualityLines{7}}},
		{
			Description: "open project x: no such file or directory", CheckName: "gitdag/file", Severity: "major",
			Location: qualityLocation{"", qualityLines{1}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// A finding keeps its fingerprint when lines are put in before it, and two that say the same have different ones.
func TestFingerprints(t *testing.T) {
	ds := reported()
	twin := ds[0]
	twin.Line = 9
	before := append(ds[:3:3], twin).fingerprints()
	seen := map[string]bool{}
	for _, f := range before {
		if seen[f] {
			t.Errorf("fingerprint %s is there twice", f)
		}
		seen[f] = true
	}
	moved := append(ds[:3:3], twin)
	for i := range moved {
		moved[i].Line += 5
	}
	if diff := cmp.Diff(before, moved.fingerprints()); diff != "" {
		t.Errorf("after lines were put in (-want +got):\n%s", diff)
	}
}

// What the SARIF 2.1.0 schema requires is there, and what GitHub's code scanning wants beyond it.
func TestWriteSARIF(t *testing.T) {
	var log map[string]any
	decode(t, written(t, reported(), SARIF), &log)
	if log["version"] != "2.1.0" || log["$schema"] == "" {
		t.Errorf("got version %v, schema %v", log["version"], log["$schema"])
	}
	run := log["runs"].([]any)[0].(map[string]any)
	driver := run["tool"].(map[string]any)["driver"].(map[string]any)
	if driver["name"] != "gitdag" || driver["version"] != "1.2.3" {
		t.Errorf("driver: got %v", driver)
	}
	rules := driver["rules"].([]any)
	var places []string
	for _, r := range run["results"].([]any) {
		result := r.(map[string]any)
		rule := rules[int(result["ruleIndex"].(float64))].(map[string]any)
		if rule["id"] != result["ruleId"] {
			t.Errorf("rule %v stands at the index of %v", rule["id"], result["ruleId"])
		}
		if level := result["level"]; level != "error" && level != "warning" {
			t.Errorf("level %v", level)
		}
		if result["message"].(map[string]any)["text"] == "" || len(result["partialFingerprints"].(map[string]any)) != 1 {
			t.Errorf("message or fingerprint missing: %v", result)
		}
		places = append(places, fmt.Sprint(result["locations"]))
	}
	want := []string{
		"[map[physicalLocation:map[artifactLocation:map[uri:a%20b/50%25.dig] region:map[startColumn:3 startLine:2]]]]",
		"[map[physicalLocation:map[artifactLocation:map[uri:w.dig] region:map[startColumn:1 startLine:7]]]]",
		"<nil>",
	}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if run["columnKind"] != "unicodeCodePoints" {
		t.Errorf("columnKind: got %v", run["columnKind"])
	}
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
}

// Every rule that a diagnostic may have is listed, once, with a sentence.
func TestRules(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range Rules() {
		if ids[r.ID] || r.Summary == "" {
			t.Errorf("rule %q is there twice or says nothing", r.ID)
		}
		ids[r.ID] = true
	}
	for name, want := range map[string]string{
		"": "file", "!include": "include", "sh>": "operator", "_type": "operator", "+a": "task", "typo": "key", "_typo": "key",
		"_parallel": "parallel", "schedule": "schedule", "_disable": "disable", "timezone": "timezone",
	} {
		if got := (Diagnostic{Key: name}).Rule(); got != want || !ids[got] {
			t.Errorf("key %q: got rule %q, want %q, listed: %v", name, got, want, ids[got])
		}
	}
}
