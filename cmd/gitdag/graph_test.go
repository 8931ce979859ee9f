package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/engine/dig"
)

// drawnFile is the drawing of a workflow w among other files.
func drawnFile(t *testing.T, files map[string]string) *drawn {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, ds := dig.Load(dir, dig.Options{})
	w := p.Workflow("w")
	if w == nil {
		t.Fatal(ds)
	}
	root, err := drawWorkflow(dir, w)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// A batch that waits for a batch does not cost an arrow for each pair, and a
// line of text does not name them all.
func TestGraphOfWideBatches(t *testing.T) {
	var text strings.Builder
	text.WriteString("_parallel: {limit: 100}\n")
	for i := range 200 {
		fmt.Fprintf(&text, "+t%d: {sh>: x}\n", i)
	}
	root := drawnFile(t, map[string]string{"w.dig": text.String()})
	for format, write := range map[string]func(*bytes.Buffer) error{
		"-->": func(b *bytes.Buffer) error { return writeMermaid(b, root) },
		"->":  func(b *bytes.Buffer) error { return writeDot(b, root) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(b.String(), " "+format+" "); got != 200 {
			t.Errorf("got %d arrows %s, want 200", got, format)
		}
		if !strings.Contains(b.String(), "j101") {
			t.Errorf("no joint in\n%s", b.String())
		}
	}
	var b bytes.Buffer
	if err := writeTree(&b, root); err != nil {
		t.Fatal(err)
	}
	if want := "+t199  sh>: x  ← +t0, +t1, 97 more, +t99\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %q, want %q", b.String()[b.Len()-60:], want)
	}
}

// Files that call each other twice over are drawn up to a limit.
func TestGraphOfManyCalls(t *testing.T) {
	files := map[string]string{"w.dig": "+a: {call>: f0}\n"}
	const deep = 20
	for i := range deep {
		files[fmt.Sprintf("f%d.dig", i)] = fmt.Sprintf("+a: {call>: f%d}\n+b: {call>: f%d}\n", i+1, i+1)
	}
	files[fmt.Sprintf("f%d.dig", deep)] = "+end: {echo>: x}\n"
	root := drawnFile(t, files)
	var b bytes.Buffer
	if err := writeTree(&b, root); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n > 2*maxDrawn || !strings.Contains(b.String(), "not drawn") {
		t.Errorf("got %d tasks", n)
	}
}

// What authors write cannot break out of a label.
func TestGraphLabels(t *testing.T) {
	root := drawnFile(t, map[string]string{"w.dig": `+a: {sh>: "\"]\nend\n\\ \u0007 <b> #1 ` + "`" + strings.Repeat("é", 100) + `"}`})
	var mermaid, dot bytes.Buffer
	if err := writeMermaid(&mermaid, root); err != nil {
		t.Fatal(err)
	}
	if err := writeDot(&dot, root); err != nil {
		t.Fatal(err)
	}
	if want := `t1["+a<br/>sh#gt;: #quot;] end \ #lt;b#gt; #35;1 #96;éé`; !strings.Contains(mermaid.String(), want) {
		t.Errorf("got\n%s\nwant %s", mermaid.String(), want)
	}
	if want := `t1 [label="+a\nsh>: \"] end \\ <b> #1 ` + "`éé"; !strings.Contains(dot.String(), want) {
		t.Errorf("got\n%s\nwant %s", dot.String(), want)
	}
	if !strings.Contains(dot.String(), "é…") {
		t.Error("a long text is not cut")
	}
}

// All sample workflows have a drawing whose blocks are closed.
func TestGraphOfTheSamples(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/projects/*")
	if err != nil {
		t.Fatal(err)
	}
	drawnSome := 0
	for _, dir := range append(dirs, "demo", "templates") {
		p, _ := dig.Load(dir, dig.Options{})
		for _, w := range p.Workflows {
			root, err := drawWorkflow(dir, w)
			if err != nil {
				t.Fatal(err)
			}
			drawnSome++
			var mermaid, dot bytes.Buffer
			if err := writeMermaid(&mermaid, root); err != nil {
				t.Fatal(err)
			}
			if err := writeDot(&dot, root); err != nil {
				t.Fatal(err)
			}
			begun, ended := strings.Count(mermaid.String(), "subgraph t"), strings.Count(mermaid.String(), " end\n")
			if begun != ended {
				t.Errorf("%s: %d subgraphs begin, %d end", w.File, begun, ended)
			}
			if strings.Count(dot.String(), "{\n") != strings.Count(dot.String(), "}\n") {
				t.Errorf("%s: braces do not match:\n%s", w.File, dot.String())
			}
		}
	}
	if drawnSome < 8 {
		t.Errorf("got %d workflows", drawnSome)
	}
}
