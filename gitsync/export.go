package gitsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// refusal is forbidden content: an error of the project, not of the sync.
type refusal struct {
	path    string
	message string
}

func (r refusal) Error() string { return shown(r.path) + ": " + r.message }

func refuse(p, format string, args ...any) error {
	return refusal{p, fmt.Sprintf(format, args...)}
}

// exportedDir holds the trees that a fetch has exported, below Query.Work.
const exportedDir = "out"

// exportChanged exports every project that is not live as it is and every tree
// that is asked for by name. A project with forbidden content moves from
// got.Projects to got.Refused.
func exportChanged(ctx context.Context, req request, objs objects, got *Fetched) error {
	ex := exporter{ctx: ctx, objs: objs, limits: req.Limits, out: filepath.Join(req.Query.Work, exportedDir), have: req.Query.Checkouts}
	if err := os.MkdirAll(ex.out, 0o755); err != nil {
		return err
	}
	for _, p := range changedProjects(req.Query.Live, got.Projects) {
		err := ex.export(p.Tree, origin{Repo: req.Repo.Name, Path: p.Path, Commit: got.Commit.Hash})
		var forbidden refusal
		if errors.As(err, &forbidden) {
			got.Projects = slices.DeleteFunc(got.Projects, func(f FoundProject) bool { return f.Path == p.Path })
			got.Refused = append(got.Refused, Refusal{Path: p.Path, Name: p.Name, Diag: Diagnostic{
				File: shown(forbidden.path), Severity: Error, Message: forbidden.message,
			}})
			continue
		}
		if err != nil {
			return fmt.Errorf("project %s: %w", p.Path, err)
		}
	}
	for _, tree := range req.Query.Restore {
		if _, err := objs.size(plumbing.NewHash(tree)); err != nil {
			continue // it is older than what was fetched
		}
		if err := ex.export(tree, origin{Repo: req.Repo.Name, Commit: got.Commit.Hash}); err != nil {
			return fmt.Errorf("restore tree %s: %w", tree, err)
		}
		got.Restored = append(got.Restored, tree)
	}
	return nil
}

// exporter writes trees out, each into a directory that nobody has written to.
type exporter struct {
	ctx    context.Context // of one exportChanged
	objs   objects
	limits Limits
	out    string
	have   string // trees that are there need no export

	root    *os.Root // of the current tree
	entries int
	bytes   int64
	links   []link
}

type link struct{ path, target string }

// origin lies beside an exported tree and says for which project it was made.
type origin struct {
	Repo   string
	Path   string `json:",omitempty"`
	Commit string
}

const (
	originFile = "origin.json"
	projectDir = "project"
)

// export leaves either a whole tree or nothing.
func (ex *exporter) export(tree string, from origin) error {
	for _, dir := range []string{ex.have, ex.out} {
		if _, err := os.Stat(filepath.Join(dir, tree)); err == nil {
			return nil
		}
	}
	dir := filepath.Join(ex.out, tree+".part")
	if err := ex.fill(filepath.Join(dir, projectDir), plumbing.NewHash(tree)); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, originFile), b, 0o644); err != nil {
		return err
	}
	return os.Rename(dir, filepath.Join(ex.out, tree))
}

func (ex *exporter) fill(dir string, tree plumbing.Hash) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if ex.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ex.root.Close()) }()
	ex.entries, ex.bytes, ex.links = 0, 0, nil
	if err := ex.tree(".", tree, 1); err != nil {
		return err
	}
	for _, l := range ex.links { // last, so that nothing is written through one
		if err := ex.root.Symlink(l.target, l.path); err != nil {
			return fmt.Errorf("write %s: %w", shown(l.path), err)
		}
	}
	return nil
}

func (ex *exporter) tree(dir string, h plumbing.Hash, depth int) error {
	if depth > ex.limits.Depth {
		return refuse(dir, "it is nested deeper than %d folders (limits.export_depth)", ex.limits.Depth)
	}
	if err := ex.ctx.Err(); err != nil {
		return err
	}
	n, err := ex.objs.size(h)
	if err != nil {
		return fmt.Errorf("folder %s: tree %s: %w", shown(dir), h, err)
	}
	if n > maxTreeBytes {
		return refuse(dir, "its list of entries holds %d bytes, more than %d", n, maxTreeBytes)
	}
	entries, err := loadTree(ex.objs, h)
	if err != nil {
		return fmt.Errorf("folder %s: %w", shown(dir), err)
	}
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		p := path.Join(dir, e.Name)
		if bad := badEntryName(e.Name); bad != "" {
			return refuse(dir+"/"+e.Name, "the name %q %s", e.Name, bad)
		}
		if seen[e.Name] {
			return refuse(p, "the name is there twice")
		}
		seen[e.Name] = true
		if ex.entries++; ex.entries > ex.limits.Entries {
			return refuse(p, "the project holds more than %d files and folders (limits.export_entries)", ex.limits.Entries)
		}
		if err := ex.entry(p, e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (ex *exporter) entry(p string, e object.TreeEntry, depth int) error {
	switch {
	case e.Mode == filemode.Dir:
		if err := ex.root.Mkdir(p, 0o755); err != nil {
			return taken(p, err)
		}
		return ex.tree(p, e.Hash, depth+1)
	case isFile(e.Mode):
		return ex.file(p, e)
	case e.Mode == filemode.Symlink:
		return ex.link(p, e)
	case e.Mode == filemode.Submodule:
		return refuse(p, "it is a submodule, which is not supported")
	}
	return refuse(p, "it has the unknown mode %o", uint32(e.Mode))
}

const maxLinkBytes = 4095

func (ex *exporter) link(p string, e object.TreeEntry) error {
	n, err := ex.objs.size(e.Hash)
	if err != nil {
		return fmt.Errorf("link %s: blob %s: %w", shown(p), e.Hash, err)
	}
	if n > maxLinkBytes {
		return refuse(p, "it is a link of %d bytes", n)
	}
	b, err := load(ex.objs, plumbing.BlobObject, e.Hash, maxLinkBytes)
	if err != nil {
		return fmt.Errorf("link %s: %w", shown(p), err)
	}
	if bad := badLink(path.Dir(p), string(b)); bad != "" {
		return refuse(p, "it is a link to %q, which %s", b, bad)
	}
	ex.links = append(ex.links, link{p, string(b)})
	return nil
}

var lfsPointer = []byte("version https://git-lfs.github.com/spec/")

func (ex *exporter) file(p string, e object.TreeEntry) error {
	n, err := ex.objs.size(e.Hash)
	if err != nil {
		return fmt.Errorf("file %s: blob %s: %w", shown(p), e.Hash, err)
	}
	if n > ex.limits.FileBytes {
		return refuse(p, "it holds %d bytes, more than %d (limits.export_file_bytes)", n, ex.limits.FileBytes)
	}
	if ex.bytes += n; ex.bytes > ex.limits.ProjectBytes {
		return refuse(p, "the project holds more than %d bytes (limits.export_project_bytes)", ex.limits.ProjectBytes)
	}
	b, err := ex.objs.content(plumbing.BlobObject, e.Hash)
	if err != nil {
		return fmt.Errorf("file %s: blob %s: %w", shown(p), e.Hash, err)
	}
	if int64(len(b)) != n || plumbing.ComputeHash(plumbing.BlobObject, b) != e.Hash {
		return fmt.Errorf("file %s: blob %s is corrupt", shown(p), e.Hash)
	}
	if n < 1024 && bytes.HasPrefix(b, lfsPointer) {
		return refuse(p, "it is a pointer to Git LFS, which is not supported")
	}
	mode := fs.FileMode(0o644)
	if e.Mode == filemode.Executable {
		mode = 0o755
	}
	f, err := ex.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return taken(p, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", shown(p), err)
	}
	return nil
}

// taken tells a name that this file system takes for another from a failure.
func taken(p string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return refuse(p, "another entry has the same name on this file system")
	}
	return fmt.Errorf("write %s: %w", shown(p), err)
}
