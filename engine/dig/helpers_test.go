package dig

import (
	"os"
	"path/filepath"
	"testing"

	"gitdag/engine/flow"
	"gitdag/engine/params"

	_ "time/tzdata"
)

// write makes a project of the files and returns its directory.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
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

// one loads a project whose only workflow is w.dig and which has no errors.
func one(t testing.TB, text string) *Workflow {
	t.Helper()
	p, ds := Load(write(t, map[string]string{"w.dig": text}), Options{})
	if errs := ds.Errors(); len(errs) > 0 {
		t.Fatalf("got errors:\n%s", errs)
	}
	return p.Workflow("w")
}

// export is the JSON of an exported variable of a workflow.
func export(t testing.TB, w *Workflow, name string) string {
	t.Helper()
	v, ok := w.Tree.Root().Export.Lookup(name)
	if !ok {
		t.Fatalf("no export %q", name)
	}
	return string(params.AppendJSON(nil, v))
}

// shape lists the tree's full names, with what tells the nodes apart.
func shape(tree *flow.Tree) []string {
	full := make([]string, len(tree.Nodes))
	lines := make([]string, len(tree.Nodes))
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		full[i] = n.Name
		if n.Parent >= 0 {
			full[i] = full[n.Parent] + n.Name
		}
		lines[i] = full[i]
		if n.Group {
			lines[i] += " group"
		}
		if n.Background {
			lines[i] += " background"
		}
		if n.Parallel.On {
			lines[i] += " parallel"
		}
		for _, a := range n.After {
			lines[i] += " after " + tree.Nodes[a].Name
		}
	}
	return lines
}

// lines are the diagnostics without hints.
func lines(ds Diagnostics) []string {
	var out []string
	for _, d := range ds {
		d.Hint = ""
		out = append(out, d.String())
	}
	return out
}
