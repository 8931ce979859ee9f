// Package executable runs operators that are programs: those of a project,
// operators/NAME, and those of a machine, gitdag-operator-NAME. docs/operators.md
// describes what such a program is told and what it answers.
//
// It knows files and processes, and nothing of what a program does. Its invariant:
// nothing is executed to learn what a program wants, and what it asks for as a
// secret is in neither its arguments nor its environment.
package executable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gitdag/engine/dig"
	"gitdag/engine/operator"
)

// prefix is how the programs of a machine are called, before the operator's name.
const prefix = "gitdag-operator-"

// Finder finds operators that are programs. It implements [operator.Programs].
type Finder struct {
	path []string
}

// NewFinder returns a finder that looks in a task's project first, then in the
// directories of the path, in their order.
func NewFinder(path []string) *Finder {
	f := &Finder{}
	for _, dir := range path {
		if abs, err := filepath.Abs(dir); err == nil && dir != "" {
			f.path = append(f.path, abs)
		}
	}
	return f
}

// Find returns the program of the task's type, nil if there is none. One that lacks
// only the permission is an error.
func (f *Finder) Find(ctx context.Context, t *operator.Task) (operator.Operator, error) {
	if !dig.IsOperatorName(t.Type) {
		return nil, nil
	}
	project, err := t.Workspace.Project(ctx)
	if err != nil {
		return nil, err
	}
	own, err := inProject(project, t.Type)
	if own != nil || err != nil {
		return own.operator(), err
	}
	return f.installed(t.Type).operator(), nil
}

// Installed tells whether the machine has a program for the type.
func (f *Finder) Installed(typ string) bool { return f.installed(typ) != nil }

func (f *Finder) installed(typ string) *program {
	if !dig.IsOperatorName(typ) {
		return nil
	}
	for _, dir := range f.path {
		file := filepath.Join(dir, prefix+typ)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return &program{name: prefix + typ, file: file}
		}
	}
	return nil
}

func inProject(project, typ string) (*program, error) {
	root, err := os.OpenRoot(project)
	if err != nil {
		return nil, fmt.Errorf("open the project: %w", err)
	}
	defer root.Close()
	name, executable, found := dig.OperatorFile(root, typ)
	switch {
	case !found:
		return nil, nil
	case !executable:
		return nil, operator.ConfigError("%[1]s is not executable: chmod +x %[1]s, and in Git: git update-index --chmod=+x %[1]s", name)
	}
	return &program{name: name, file: filepath.Join(project, filepath.FromSlash(name)), own: true}, nil
}

// program is one operator.
type program struct {
	name string // as people know it
	file string
	own  bool // it is the project's
}

// operator is the program as the engine sees it; nil for none.
func (p *program) operator() operator.Operator {
	if p == nil {
		return nil
	}
	return operator.Func(p.run)
}

// manifest is what a program wants, in the file beside it with `.yaml` at the end.
type manifest struct {
	required, optional []string // keys of secrets
}

func (p *program) manifest() (m manifest, err error) {
	file := p.file + ".yaml"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	read, err := dig.LoadParams(file)
	if err != nil {
		return m, operator.ConfigError("%s.yaml: %v", p.name, err)
	}
	for key := range read.All() {
		var list *[]string
		switch key {
		case "secrets":
			list = &m.required
		case "optional_secrets":
			list = &m.optional
		default:
			return m, operator.ConfigError("%s.yaml: unknown key %q: there are secrets and optional_secrets", p.name, key)
		}
		if *list, err = texts(read, key); err != nil {
			return m, operator.ConfigError("%s.yaml: %v", p.name, err)
		}
	}
	return m, nil
}
