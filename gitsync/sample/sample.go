// Package sample makes Git repositories with a work tree on this machine, for
// the demo and for tests, without the git program.
//
// It knows nothing of syncs, projects or workflows, and reads no Git
// configuration: what is committed depends on its arguments alone. Its one
// invariant: behind each commit, work tree, index and branch agree, so that a
// person can go on with git; a reader sees the branch at one commit or at the
// next, and never in between.
package sample

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"gitdag/internal/atomicfile"
)

// Branch is the one branch of a sample.
const Branch = "main"

const branchRef = "refs/heads/" + Branch

// Repository is a repository with a work tree. It is used by one goroutine at
// a time.
type Repository struct {
	dir   string
	store *filesystem.Storage
	files map[string]plumbing.Hash // of the last commit, by path
	head  plumbing.Hash            // zero in front of the first commit
}

// Commit is what one commit changes and says.
type Commit struct {
	Author  string
	Email   string
	Time    time.Time
	Subject string
	// Write are whole files by their slash-separated paths in the repository.
	Write map[string]string
	// Remove are paths of files that go.
	Remove []string
}

// Create makes an empty repository in dir. There must be none yet.
func Create(dir string) (*Repository, error) {
	meta := filepath.Join(dir, ".git")
	if _, err := os.Lstat(meta); err == nil {
		return nil, fmt.Errorf("make repository in %s: there is one", dir)
	}
	r := &Repository{
		dir: dir, files: map[string]plumbing.Hash{},
		store: filesystem.NewStorage(osfs.New(meta), cache.NewObjectLRUDefault()),
	}
	err := r.store.Init()
	if err == nil {
		err = r.store.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, branchRef))
	}
	if err == nil {
		config := "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
		err = os.WriteFile(filepath.Join(meta, "config"), []byte(config), 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("make repository in %s: %w", dir, err)
	}
	return r, nil
}

// Dir returns the folder of the work tree.
func (r *Repository) Dir() string { return r.dir }

// Commit changes the work tree and commits all that is in it to the branch. It
// returns the commit's full id.
func (r *Repository) Commit(c Commit) (string, error) {
	id, err := r.commit(c)
	if err != nil {
		return "", fmt.Errorf("commit %q: %w", c.Subject, err)
	}
	return id.String(), nil
}

func (r *Repository) commit(c Commit) (plumbing.Hash, error) {
	files := maps.Clone(r.files)
	for name, content := range c.Write {
		if err := r.write(name, content); err != nil {
			return plumbing.ZeroHash, err
		}
		hash, err := r.blob(content)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		files[name] = hash
	}
	for _, name := range c.Remove {
		if _, ok := files[name]; !ok {
			return plumbing.ZeroHash, fmt.Errorf("remove %s: there is no such file", name)
		}
		if err := os.Remove(filepath.Join(r.dir, filepath.FromSlash(name))); err != nil {
			return plumbing.ZeroHash, err
		}
		delete(files, name)
	}
	tree, err := r.tree(files)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	who := object.Signature{Name: c.Author, Email: c.Email, When: c.Time}
	commit := &object.Commit{Author: who, Committer: who, Message: c.Subject + "\n", TreeHash: tree}
	if !r.head.IsZero() {
		commit.ParentHashes = []plumbing.Hash{r.head}
	}
	hash, err := r.encode(commit)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if err := r.index(files); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("write index: %w", err)
	}
	// The library would write the reference in place, and a reader could find
	// it empty.
	ref := filepath.Join(r.dir, ".git", filepath.FromSlash(branchRef))
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		return plumbing.ZeroHash, err
	}
	if err := atomicfile.WriteFile(ref, []byte(hash.String()+"\n"), 0o644); err != nil {
		return plumbing.ZeroHash, err
	}
	r.files, r.head = files, hash
	return hash, nil
}

// write puts a file into the work tree.
func (r *Repository) write(name, content string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.HasPrefix(name+"/", ".git/") {
		return fmt.Errorf("write %s: it lies outside the work tree", name)
	}
	file := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o644)
}

// tree writes the tree objects for files and returns the outermost.
func (r *Repository) tree(files map[string]plumbing.Hash) (plumbing.Hash, error) {
	folders := map[string]map[string]plumbing.Hash{}
	t := &object.Tree{}
	for name, hash := range files {
		folder, rest, nested := strings.Cut(name, "/")
		if !nested {
			t.Entries = append(t.Entries, object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: hash})
			continue
		}
		if folders[folder] == nil {
			folders[folder] = map[string]plumbing.Hash{}
		}
		folders[folder][rest] = hash
	}
	for name, inner := range folders {
		hash, err := r.tree(inner)
		if err != nil {
			return hash, err
		}
		t.Entries = append(t.Entries, object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: hash})
	}
	sort.Sort(object.TreeEntrySorter(t.Entries))
	return r.encode(t)
}

func (r *Repository) blob(content string) (plumbing.Hash, error) {
	b := &plumbing.MemoryObject{}
	b.SetType(plumbing.BlobObject)
	if _, err := io.WriteString(b, content); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.store.SetEncodedObject(b)
}

// index makes what git compares the work tree with.
func (r *Repository) index(files map[string]plumbing.Hash) error {
	idx := &index.Index{Version: 2}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		info, err := os.Stat(filepath.Join(r.dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		idx.Entries = append(idx.Entries, &index.Entry{
			Name: name, Hash: files[name], Mode: filemode.Regular,
			Size: uint32(info.Size()), ModifiedAt: info.ModTime(), CreatedAt: info.ModTime(),
		})
	}
	return r.store.SetIndex(idx)
}

// encodable is a commit or a tree.
type encodable interface {
	Encode(o plumbing.EncodedObject) error
}

func (r *Repository) encode(o encodable) (plumbing.Hash, error) {
	e := &plumbing.MemoryObject{}
	if err := o.Encode(e); err != nil {
		return plumbing.ZeroHash, err
	}
	return r.store.SetEncodedObject(e)
}
