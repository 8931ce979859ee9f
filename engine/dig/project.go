package dig

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gitdag/engine/params"
)

// Options say how a project is checked.
type Options struct {
	// Operators tells whether an operator type is built in, Installed whether this machine has a program for one. A task
	// with another one, which is none of the project's own, gets a warning. A nil Operators knows all, a nil Installed none.
	Operators, Installed func(name string) bool
	// LooseSchedules makes unknown keys of a `schedule:` warnings, for who does not run the schedule (L49).
	LooseSchedules bool
}

// Project is what of a project's directory can be used.
type Project struct {
	// Workflows are the root .dig files without errors, by name.
	Workflows []*Workflow
	// Broken are the names of the workflows with errors, sorted.
	Broken []string
}

// Workflow returns the workflow of that name, nil if there is none.
func (p *Project) Workflow(name string) *Workflow {
	i, ok := slices.BinarySearchFunc(p.Workflows, name, func(w *Workflow, name string) int {
		return cmp.Compare(w.Name, name)
	})
	if !ok {
		return nil
	}
	return p.Workflows[i]
}

// Load reads the project in dir: every .dig file in it, but not below it, that is not hidden or ignored becomes a
// workflow. It returns the workflows without errors, and all diagnostics of all files; whether one broken workflow is
// one too many is for the caller to say (L4). The project is nil only if the directory itself cannot be read.
func Load(dir string, opts Options) (*Project, Diagnostics) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, Diagnostics{{Severity: Error, Message: fmt.Sprintf("open project %s: %s", dir, cause(err))}}
	}
	defer root.Close()
	l := newLoader(root)
	p := &Project{}
	names, err := l.workflowFiles()
	if err != nil {
		return nil, Diagnostics{{Severity: Error, Message: fmt.Sprintf("read project %s: %s", dir, cause(err))}}
	}
	for _, name := range names {
		doc := l.load(name)
		if doc != nil {
			if w := l.workflow(doc, &opts); w != nil {
				p.Workflows = append(p.Workflows, w)
				continue
			}
		}
		p.Broken = append(p.Broken, strings.TrimSuffix(name, suffix))
	}
	l.reports.list.sort()
	return p, l.reports.list
}

// workflowFiles lists the root files that are workflows, sorted by the workflows' names.
func (l *loader) workflowFiles() ([]string, error) {
	ignored, err := ReadIgnore(l.root)
	if err != nil {
		l.report(Error, place{file: ignoreFile, line: 1, column: 1}, "", err.Error(), "")
	}
	dir, err := l.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, suffix) || ignored.Match(name, e.IsDir()) {
			continue
		}
		mode := e.Type()
		if mode&os.ModeSymlink != 0 {
			mode = 0 // a bad link is reported when it is loaded
			if info, err := l.root.Stat(name); err == nil {
				mode = info.Mode().Type()
			}
		}
		if mode.IsRegular() {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(strings.TrimSuffix(a, suffix), strings.TrimSuffix(b, suffix))
	})
	return names, nil
}

// CallFile reads the file of a `call>` task: a whole workflow, whose top level becomes a subtree of the task. The path
// is relative to the project, with slashes; ".dig" is appended where it lacks. The time zone of the file is dropped; a
// file in a subdirectory exports that as `_workdir`. A file with errors is an error of type [Diagnostics]; its tasks
// are not compiled yet.
func CallFile(root *os.Root, file string) (*params.Map, error) {
	if !strings.HasSuffix(file, suffix) {
		file += suffix
	}
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return nil, fmt.Errorf("file not found: %s must be inside the project", file)
	}
	file = path.Clean(file)
	l := newLoader(root)
	doc := l.load(file)
	if doc != nil && doc.m != nil && !doc.incomplete {
		u := &unit{loader: l, opts: &Options{}, m: doc.m}
		u.checkTop()
		u.checkNames()
		u.timezone()
	}
	l.reports.list.sort()
	if err := l.reports.list.asError(); err != nil {
		return nil, err
	}
	m := normalise(l.places, doc.m)
	if dir := path.Dir(file); dir != "." {
		return withWorkdir(m, dir)
	}
	return m, nil
}

// withWorkdir exports the directory of a called file, before the work directory that the file asks for itself.
func withWorkdir(m *params.Map, dir string) (*params.Map, error) {
	export := params.NewMap(1)
	if v, _ := m.Lookup("_export"); v != nil {
		own, ok := v.(*params.Map)
		if !ok {
			return nil, errors.New("_export must be a mapping")
		}
		export = own.Clone()
	}
	const key = "_workdir"
	if v, _ := export.Lookup(key); v != nil {
		own, expected := params.String(v)
		if expected != "" {
			return nil, fmt.Errorf("%s must be a text", key)
		}
		dir += "/" + own
	}
	export.Set(key, params.Template(dir))
	out := params.NewMap(m.Len() + 1)
	out.Set("_export", export)
	for k, v := range m.All() {
		if k != "_export" {
			out.Set(k, v)
		}
	}
	return out, nil
}

// LoadParams reads a file of parameters, YAML or JSON: the dialect of .dig files with its includes. Values keep their
// types, texts are templates. A file with errors is an error of type [Diagnostics].
func LoadParams(file string) (*params.Map, error) {
	dir, name := filepath.Split(file)
	root, err := os.OpenRoot(cmp.Or(dir, "."))
	if err != nil {
		return nil, fmt.Errorf("read parameters %s: %w", file, cause(err))
	}
	defer root.Close()
	l := newLoader(root)
	doc := l.load(name)
	l.reports.list.sort()
	if err := l.reports.list.asError(); err != nil {
		return nil, err
	}
	return doc.m, nil
}
