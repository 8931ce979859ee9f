package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// drawn is a task as a graph shows it.
type drawn struct {
	number int
	name   string   // its own part of the full name
	what   string   // what its operator does; empty for groups
	notes  []string // how it runs
	maybe  bool     // it is there only if something happens
	kids   []*drawn
	after  []*drawn // the siblings that must have succeeded
}

// maxDrawn bounds the tasks up to which called files are drawn: files that call
// each other can stand for any number.
const maxDrawn = 10_000

// drawing draws one workflow.
type drawing struct {
	root  *os.Root
	count int
	calls []string // the files that are being drawn, each called by the one before
}

// drawWorkflow returns the root task of a workflow of the project in dir.
func drawWorkflow(dir string, w *dig.Workflow) (*drawn, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open project: %w", err)
	}
	defer root.Close()
	g := &drawing{root: root, calls: []string{w.File}}
	task := g.tree(w.Tree, ".")
	if w.SLA != nil && w.SLA.Tree != nil {
		g.add(task, g.tree(w.SLA.Tree, "."), "if the deadline is missed")
	}
	return task, nil
}

// add hangs a task that may come to be below its owner.
func (g *drawing) add(owner, task *drawn, when string) {
	task.notes = append([]string{when}, task.notes...)
	task.maybe = true
	owner.kids = append(owner.kids, task)
}

// tree draws the nodes of a tree. Workdir is where the files that they call are
// looked for; empty if it is not known.
func (g *drawing) tree(tree *flow.Tree, workdir string) *drawn {
	tasks := make([]*drawn, len(tree.Nodes))
	dirs := make([]string, len(tree.Nodes))
	for i := range tree.Nodes {
		n := &tree.Nodes[i]
		tasks[i] = &drawn{number: g.count, name: n.Name, notes: notesOf(n)}
		g.count++
		if dirs[i] = workdir; n.Parent >= 0 {
			dirs[i] = dirs[n.Parent]
		}
		dirs[i] = workdirOf(n, dirs[i])
		if n.Parent < 0 {
			continue
		}
		parent := tasks[n.Parent]
		parent.kids = append(parent.kids, tasks[i])
		for _, up := range tree.Upstreams(int32(i), tree.Nodes[n.Parent].Parallel) {
			if !slices.Contains(tasks[i].after, tasks[up]) {
				tasks[i].after = append(tasks[i].after, tasks[up])
			}
		}
	}
	for i := range tree.Nodes { // after the children that the author wrote
		g.generated(tasks[i], &tree.Nodes[i], dirs[i])
	}
	return tasks[0]
}

// notesOf tells how a task runs.
func notesOf(n *flow.Node) []string {
	var notes []string
	if raw, ok := n.Config.Lookup("_parallel"); ok {
		p, err := flow.ParseParallel(raw)
		switch {
		case flow.HasTemplate(raw):
			notes = append(notes, "_parallel: "+oneLine(raw))
		case err == nil && p.On && p.Limit > 0:
			notes = append(notes, fmt.Sprintf("%d at a time", p.Limit))
		case err == nil && p.On:
			notes = append(notes, "in parallel")
		}
	}
	if n.Background {
		notes = append(notes, "in the background")
	}
	if raw, ok := n.Config.Lookup("_retry"); ok {
		r, err := flow.ParseRetry(raw)
		switch {
		case flow.HasTemplate(raw):
			notes = append(notes, "_retry: "+oneLine(raw))
		case err == nil && r.Limit > 0:
			notes = append(notes, "retried "+times(r.Limit))
		}
	}
	return notes
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// workdirOf is a task's working directory below that of its parent; empty if a
// template says where it is.
func workdirOf(n *flow.Node, parents string) string {
	for _, m := range []*params.Map{n.Config, n.Export} {
		raw, _ := m.Lookup("_workdir")
		text, ok := params.Text(raw)
		switch {
		case ok && flow.HasTemplate(raw):
			return ""
		case ok:
			return path.Clean(text)
		}
	}
	return parents
}

// generated draws what a task adds when it runs, succeeds or fails.
func (g *drawing) generated(task *drawn, n *flow.Node, workdir string) {
	if !n.Group {
		g.operator(task, n, workdir)
	}
	if check := mapping(n.Config, "_check"); check != nil && !n.Group {
		ups := task.kids
		if t := g.compiled(task, "^check", check, workdir); t != nil {
			t.after = slices.Clone(ups)
			g.add(task, t, "when it has succeeded")
		}
	}
	if n.Error != nil {
		g.add(task, g.tree(n.Error, workdir), "if it fails")
	}
}

func (g *drawing) operator(task *drawn, n *flow.Node, workdir string) {
	typ, command := operatorOf(n.Config)
	task.what = typ + ">:"
	if text := oneLine(command); text != "" {
		task.what += " " + text
	}
	do := mapping(n.Config, "_do")
	switch {
	case typ == "call":
		g.called(task, command, workdir)
	case typ == "if":
		for _, branch := range []struct{ key, when string }{{"_do", "if so"}, {"_else_do", "if not"}} {
			if body := mapping(n.Config, branch.key); body != nil {
				if t := g.compiled(task, "^sub", body, workdir); t != nil {
					g.add(task, t, branch.when)
				}
			}
		}
	case do != nil:
		g.loop(task, typ, do, workdir)
	}
}

// loop draws the body of a loop once.
func (g *drawing) loop(task *drawn, typ string, do *params.Map, workdir string) {
	names := map[string]string{"loop": "+loop-N", "for_each": "+for-…", "for_range": "+range-…"}
	name, known := names[typ]
	if !known {
		if t := g.compiled(task, "^sub", do, workdir); t != nil {
			g.add(task, t, "generated")
		}
		return
	}
	t := g.compiled(task, name, do, workdir)
	if t == nil {
		return
	}
	sub := &drawn{number: g.count, name: "^sub"}
	g.count++
	g.add(sub, t, "each time")
	g.add(task, sub, "generated")
}

// called draws the file of a `call>`.
func (g *drawing) called(task *drawn, command any, workdir string) {
	name, ok := params.Text(command)
	if !ok || flow.HasTemplate(command) || workdir == "" {
		task.notes = append(task.notes, "the file is known when it runs")
		return
	}
	file := path.Join(workdir, strings.TrimSuffix(name, ".dig")+".dig")
	switch {
	case slices.Contains(g.calls, file):
		task.notes = append(task.notes, "calls a file that it is in")
		return
	case g.count > maxDrawn:
		task.notes = append(task.notes, "not drawn, there are too many tasks")
		return
	}
	config, err := dig.CallFile(g.root, file)
	if err != nil {
		task.notes = append(task.notes, "cannot be read: "+firstLine(err))
		return
	}
	g.calls = append(g.calls, file)
	defer func() { g.calls = g.calls[:len(g.calls)-1] }()
	if t := g.compiled(task, "^sub", config, workdir); t != nil {
		g.add(task, t, "from "+file)
	}
}

// compiled draws a subtree; nil if it would fail, which is noted at its owner.
func (g *drawing) compiled(owner *drawn, name string, config *params.Map, workdir string) *drawn {
	tree, err := dig.Compile(name, config)
	if err != nil {
		owner.notes = append(owner.notes, name+" would fail: "+firstLine(err))
		return nil
	}
	return g.tree(tree, workdir)
}

func firstLine(err error) string {
	if ds, ok := errors.AsType[dig.Diagnostics](err); ok && len(ds) > 0 {
		d := ds[0]
		d.Hint = ""
		return d.String()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// mapping is a mapping of a task's own keys; nil if there is none.
func mapping(config *params.Map, key string) *params.Map {
	v, _ := config.Lookup(key)
	m, _ := v.(*params.Map)
	if m.Len() == 0 {
		return nil
	}
	return m
}

// operatorOf is the type of a task and what it works on, as they are written.
func operatorOf(config *params.Map) (typ string, command any) {
	if v, ok := config.Lookup("_type"); ok {
		typ, _ = params.Text(v)
		command, _ = config.Lookup("_command")
		return typ, command
	}
	for key, v := range config.All() {
		if name, ok := strings.CutSuffix(key, ">"); ok {
			return name, v
		}
	}
	return "", nil
}

// oneLine is a value on one line of a moderate length.
func oneLine(v any) string {
	const longest = 60
	text, ok := params.Text(v)
	switch {
	case v == nil:
		return ""
	case !ok:
		text = string(params.AppendJSON(nil, v))
	}
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest-1]) + "…"
	}
	return text
}
