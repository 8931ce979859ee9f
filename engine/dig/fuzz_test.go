package dig

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"gitdag/engine/params"
)

// FuzzLoad feeds the loader a workflow and a file that it may include. It must not panic, every diagnostic must lie
// inside its file, and what it takes must survive being written and read back.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob(filepath.Join(samples, "*", "*.dig"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range seeds {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, []byte("a: 1\n"))
	}
	for _, text := range []string{
		"!include : inc\n", "+a: &x {<<: *x}\n", "_export: {a: !!set {b}, c: !!omap [d: 1], e: 0x1F, f: 1:30.5}\n",
		"#\n- - QI\xd7", "#\n-\n{", "0: [\n] 0", "? ? \"\n\" 0", " \ufeff\n", "a: |\n\n\tb", "%YAML 1.1\n---\na: 1\n...\n",
		"+a:\n  echo>: *unknown\nb: 1", "a: \"\\ud83d\\ude00\"", "{\"a\":\"\\ud83d\\ude00\"}",
	} {
		f.Add([]byte(text), []byte("!include : w.dig\n+b: [{a: &y 1}, *y]\n"))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, workflow, included []byte) {
		files := map[string][]byte{"w.dig": workflow, "inc": included}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, ds := Load(dir, Options{Operators: func(string) bool { return false }})
		for _, d := range ds {
			checkInside(t, d, files)
		}
		for _, w := range p.Workflows {
			again, err := params.Decode(params.Encode(w.Config))
			if err != nil || !params.Equal(again, w.Config) {
				t.Errorf("config does not survive: %v\n%s", err, params.Encode(w.Config))
			}
		}
		if (len(p.Broken) == 0) != (len(ds.Errors()) == 0) {
			t.Errorf("got broken %v with errors %v", p.Broken, ds.Errors())
		}
	})
}

func checkInside(t *testing.T, d Diagnostic, files map[string][]byte) {
	t.Helper()
	text, ok := files[d.File]
	if !ok {
		t.Fatalf("diagnostic of no file: %s", d)
	}
	lines := bytes.Split(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\n"))
	if d.Line < 1 || d.Line > len(lines) {
		t.Fatalf("line %d of %d: %s", d.Line, len(lines), d)
	}
	if width := utf8.RuneCount(lines[d.Line-1]); d.Column < 1 || d.Column > width+1 {
		t.Fatalf("column %d of %d in line %d: %s", d.Column, width, d.Line, d)
	}
	if d.Message == "" || (d.Severity != Error && d.Severity != Warning) {
		t.Fatalf("empty diagnostic %+v", d)
	}
}
