package gitsync

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Folder is a project in a working tree.
type Folder struct {
	Path string // below the tree's root, with slashes; "." for the root itself
	Name string // empty for a root that gitdag.yaml does not name: it is called as its repository
}

// FindFolders lists the projects that a working tree would have once it is
// committed: the same rules as a sync has, gitdag.yaml included. What a sync
// would refuse is reported with paths below root; the error is for what cannot
// be read.
func FindFolders(root string) ([]Folder, []Diagnostic, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, nil, fmt.Errorf("look for projects: %w", err)
	}
	defer dir.Close()
	w := &folderWalk{root: dir.FS()}
	w.config, err = readFolderConfig(w.root)
	if bad := (configError{}); errors.As(err, &bad) {
		return nil, []Diagnostic{bad.diagnostic()}, nil
	}
	if err == nil {
		err = w.walk(".")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look for projects in %s: %w", root, err)
	}
	w.checkListed()
	slices.SortFunc(w.found, func(a, b Folder) int { return cmp.Compare(a.Path, b.Path) })
	return w.found, w.wrong, nil
}

func readFolderConfig(root fs.FS) (repoConfig, error) {
	f, err := root.Open(configFile)
	if errors.Is(err, fs.ErrNotExist) {
		return repoConfig{}, nil
	}
	if err != nil {
		return repoConfig{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return repoConfig{}, configError{1, 1, "it is not a file"}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return repoConfig{}, err
	}
	if len(b) > maxConfigBytes {
		return repoConfig{}, configError{1, 1, fmt.Sprintf("it holds more than %d bytes", maxConfigBytes)}
	}
	return parseConfig(b)
}

// folderWalk looks through the folders of a working tree that are in no
// project.
type folderWalk struct {
	root   fs.FS
	config repoConfig
	visits int
	found  []Folder
	wrong  []Diagnostic
}

// isOwn tells whether a folder of a working tree belongs to Git or to this
// program, whose data lies there unless it is told otherwise.
func isOwn(name string) bool { return isDotGit(name) || name == ".gitdag" || name == ".digdag" }

func (w *folderWalk) walk(dir string) error {
	if w.visits++; w.visits > maxFolders {
		return errTooMany
	}
	entries, err := fs.ReadDir(w.root, dir)
	if err != nil {
		return err
	}
	_, listed := w.config.projects[dir]
	if listed || slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return strings.HasSuffix(e.Name(), ".dig") && (e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0)
	}) {
		w.add(dir)
		return nil
	}
	for _, e := range entries {
		sub := path.Join(dir, e.Name())
		if !e.IsDir() || isOwn(e.Name()) || w.config.ignored(sub) {
			continue
		}
		if err := w.walk(sub); err != nil {
			return err
		}
	}
	return nil
}

func (w *folderWalk) add(dir string) {
	name := w.config.projects[dir].name
	if name == "" && dir != "." {
		name = dir
	}
	if bad := badProjectName(name); name != "" && bad != "" {
		w.wrong = append(w.wrong, Diagnostic{File: dir, Severity: Error, Message: fmt.Sprintf(
			"the project's name %q %s: give it another under projects: in %s", name, bad, configFile)})
	}
	w.found = append(w.found, Folder{dir, name})
}

func (w *folderWalk) checkListed() {
	for _, p := range w.config.projects {
		if slices.ContainsFunc(w.found, func(f Folder) bool { return f.Path == p.path }) {
			continue
		}
		message := fmt.Sprintf("there is no folder %s that could be a project (it is missing, ignored or inside another project)",
			p.path)
		w.wrong = append(w.wrong, Diagnostic{File: configFile, Line: p.line, Column: p.col, Severity: Error, Message: message})
	}
	slices.SortFunc(w.wrong, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
