package gitsync

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// finderOptions is what decides which folders are projects.
type finderOptions struct {
	repo   Repo
	limits Limits
	live   []LiveProject
}

// maxFolders bounds how many folders below one folder of the root are looked
// into, and maxProjects how many projects they may hold: a few small trees that
// refer to each other can stand for billions of both.
const (
	maxFolders  = 100_000
	maxProjects = 10_000
)

var errTooMany = errors.New("too many folders or projects")

// finder walks the folders of a commit that are in no project.
type finder struct {
	ctx     context.Context // of one findProjects
	objs    objects
	opts    finderOptions
	live    map[string]LiveProject
	config  repoConfig
	empty   map[plumbing.Hash]bool // folders without projects in or below them
	visits  int                    // below the current folder of the root
	limit   int                    // of found, below the current folder of the root
	found   []FoundProject
	refused []Refusal
}

// findProjects lists the projects of a tree. Folders that may not be deployed
// are refused one by one. Any error fails the sync.
func findProjects(ctx context.Context, objs objects, root plumbing.Hash, opts finderOptions) ([]FoundProject, []Refusal, error) {
	f := &finder{ctx: ctx, objs: objs, opts: opts, live: byPath(opts.live), empty: map[plumbing.Hash]bool{}}
	if err := f.readConfig(root); err != nil {
		if bad := (configError{}); errors.As(err, &bad) {
			return nil, []Refusal{{Path: ".", Folder: true, Diag: bad.diagnostic()}}, nil
		}
		return nil, nil, err
	}
	tree, missing, err := f.descend(root, opts.repo.Path)
	if err != nil {
		return nil, nil, err
	}
	if missing != "" {
		f.refuse(opts.repo.Path, fmt.Sprintf("there is no folder %s", missing))
		return nil, f.refused, nil
	}
	if err := f.walkBase(opts.repo.Path, tree); err != nil {
		return nil, nil, err
	}
	f.checkListed()
	slices.SortFunc(f.found, func(a, b FoundProject) int { return strings.Compare(a.Path, b.Path) })
	return f.found, f.refused, nil
}

// readConfig reads gitdag.yaml, if there is one.
func (f *finder) readConfig(root plumbing.Hash) error {
	entries, err := loadTree(f.objs, root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name != configFile {
			continue
		}
		if !isFile(e.Mode) {
			return configError{1, 1, "it is not a file"}
		}
		n, err := f.objs.size(e.Hash)
		if err != nil {
			return fmt.Errorf("%s: %w", configFile, err)
		}
		if n > maxConfigBytes {
			return configError{1, 1, fmt.Sprintf("it holds %d bytes, more than %d", n, maxConfigBytes)}
		}
		b, err := load(f.objs, plumbing.BlobObject, e.Hash, maxConfigBytes)
		if err != nil {
			return fmt.Errorf("%s: %w", configFile, err)
		}
		f.config, err = parseConfig(b)
		return err
	}
	return nil
}

// descend finds the folder in which projects are looked for.
func (f *finder) descend(root plumbing.Hash, dir string) (tree plumbing.Hash, missing string, err error) {
	if dir == "." {
		return root, "", nil
	}
	at := ""
	for part := range strings.SplitSeq(dir, "/") {
		at = path.Join(at, part)
		entries, err := loadTree(f.objs, root)
		if err != nil {
			return root, "", err
		}
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == part && e.Mode == filemode.Dir })
		if i < 0 {
			return root, at, nil
		}
		root = entries[i].Hash
	}
	return root, "", nil
}

// walkBase gives each folder of the root a budget of its own, so that one that
// exceeds it does not take the others with it.
func (f *finder) walkBase(dir string, tree plumbing.Hash) error {
	entries, err := loadTree(f.objs, tree)
	if err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	if f.isProject(dir, entries) {
		f.add(dir, tree)
		return nil
	}
	for _, sub := range f.folders(dir, entries) {
		found, refused := len(f.found), len(f.refused)
		f.visits, f.limit = 0, found+maxProjects
		err := f.walk(sub.path, sub.tree, 1)
		if errors.Is(err, errTooMany) {
			f.found, f.refused = f.found[:found], f.refused[:refused]
			f.refuse(sub.path, fmt.Sprintf("it holds more than %d folders or %d projects", maxFolders, maxProjects))
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) walk(dir string, tree plumbing.Hash, depth int) error {
	if f.empty[tree] {
		return nil
	}
	if f.knownLive(dir, tree) {
		f.add(dir, tree)
		return nil
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if f.visits++; f.visits > maxFolders || len(f.found) > f.limit {
		return errTooMany
	}
	if depth > f.opts.limits.Depth {
		f.refuse(dir, fmt.Sprintf("it is nested deeper than %d folders", f.opts.limits.Depth))
		return nil
	}
	entries, err := loadTree(f.objs, tree)
	if err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	if f.isProject(dir, entries) {
		f.add(dir, tree)
		return nil
	}
	before := len(f.found) + len(f.refused)
	for _, sub := range f.folders(dir, entries) {
		if err := f.walk(sub.path, sub.tree, depth+1); err != nil {
			return err
		}
	}
	// What paths say (ignore:, projects:) is no property of the tree.
	if before == len(f.found)+len(f.refused) && len(f.config.ignore) == 0 && len(f.config.projects) == 0 {
		f.empty[tree] = true
	}
	return nil
}

// knownLive spares reading what is live as it is.
func (f *finder) knownLive(dir string, tree plumbing.Hash) bool {
	l, ok := f.live[dir]
	return ok && l.Tree == tree.String() && l.Name == f.nameOf(dir)
}

func (f *finder) isProject(dir string, entries []object.TreeEntry) bool {
	if _, listed := f.config.projects[dir]; listed {
		return true
	}
	return slices.ContainsFunc(entries, func(e object.TreeEntry) bool {
		return strings.HasSuffix(e.Name, ".dig") && (isFile(e.Mode) || e.Mode == filemode.Symlink)
	})
}

type folder struct {
	path string
	tree plumbing.Hash
}

// folders lists the folders to look into, and refuses those that no system
// would check out.
func (f *finder) folders(dir string, entries []object.TreeEntry) []folder {
	count := map[string]int{}
	for _, e := range entries {
		count[e.Name]++
	}
	var subs []folder
	for _, e := range entries {
		if e.Mode != filemode.Dir {
			continue
		}
		p := path.Join(dir, e.Name)
		switch bad := badEntryName(e.Name); {
		case bad != "":
			f.refuse(dir+"/"+e.Name, fmt.Sprintf("the name %q %s", e.Name, bad))
		case count[e.Name] > 1:
			f.refuse(p, fmt.Sprintf("the name %q is there %d times", e.Name, count[e.Name]))
		case !f.config.ignored(p):
			subs = append(subs, folder{p, e.Hash})
		}
	}
	return subs
}

func (f *finder) add(dir string, tree plumbing.Hash) {
	name := f.nameOf(dir)
	if bad := badProjectName(name); bad != "" {
		f.refused = append(f.refused, Refusal{Path: dir, Name: name, Diag: Diagnostic{Severity: Error, Message: fmt.Sprintf(
			"the project's name %q %s: give it another under projects: in %s", name, bad, configFile)}})
		return
	}
	f.found = append(f.found, FoundProject{Path: dir, Name: name, Tree: tree.String()})
}

// nameOf is the listed name, the path below the folder in which projects are
// looked for, or the repository's name for that folder itself.
func (f *finder) nameOf(dir string) string {
	if p := f.config.projects[dir]; p.name != "" {
		return p.name
	}
	switch base := f.opts.repo.Path; {
	case dir == base:
		return f.opts.repo.Name
	case base == ".":
		return dir
	default:
		return strings.TrimPrefix(dir, base+"/")
	}
}

func (f *finder) refuse(p, why string) {
	p = shown(p)
	f.refused = append(f.refused, Refusal{Path: p, Folder: true, Diag: Diagnostic{Severity: Error, Message: p + ": " + why}})
}

// shown is a path as people may see it: it comes from a commit and may hold
// anything.
func shown(p string) string {
	if strings.ContainsFunc(p, func(r rune) bool { return !strconv.IsGraphic(r) }) {
		return strconv.Quote(p)
	}
	return p
}

// checkListed refuses listed projects that are not there. Those outside of the
// folder in which projects are looked for are another configuration's.
func (f *finder) checkListed() {
	for _, p := range f.config.projects {
		if base := f.opts.repo.Path; base != "." && p.path != base && !strings.HasPrefix(p.path, base+"/") {
			continue
		}
		listed := func(q string) bool { return q == p.path }
		if slices.ContainsFunc(f.found, func(x FoundProject) bool { return listed(x.Path) }) ||
			slices.ContainsFunc(f.refused, func(x Refusal) bool { return listed(x.Path) || inRefusedFolder(p.path, []Refusal{x}) }) {
			continue
		}
		f.refused = append(f.refused, Refusal{Path: p.path, Name: p.name, Diag: Diagnostic{
			File: configFile, Line: p.line, Column: p.col, Severity: Error,
			Message: fmt.Sprintf("there is no folder %s that could be a project (it is missing, ignored or inside another project)", p.path),
		}})
	}
}

func isFile(m filemode.FileMode) bool {
	return m == filemode.Regular || m == filemode.Executable || m == filemode.Deprecated
}
