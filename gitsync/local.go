package gitsync

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// localObjects reads a repository on this machine where it lies, and writes
// nothing to it. A handle is opened, used by one goroutine and dropped: go-git's
// storage is not safe to share with whatever changes the repository meanwhile.
type localObjects struct {
	stores  []*filesystem.ObjectStorage // its own first, then its alternates
	shallow map[plumbing.Hash]bool
}

// gitDir finds the storage of a bare repository, a work tree or a linked one.
func gitDir(path string) (dir, common string, err error) {
	dir = path
	if _, err := os.Stat(filepath.Join(path, ".git")); err == nil {
		dir = filepath.Join(path, ".git")
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", "", fmt.Errorf("open repository: %w", err)
	}
	if !info.IsDir() {
		if dir, err = pointer(dir, "gitdir: ", path); err != nil {
			return "", "", err
		}
	}
	common = dir
	if _, err := os.Stat(filepath.Join(dir, "commondir")); err == nil {
		if common, err = pointer(filepath.Join(dir, "commondir"), "", dir); err != nil {
			return "", "", err
		}
	}
	if _, err := os.Stat(filepath.Join(common, "objects")); err != nil {
		return "", "", fmt.Errorf("%s is not a Git repository", path)
	}
	return dir, common, nil
}

// pointer reads a file that holds a path, which may be relative to base.
func pointer(file, prefix, base string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("open repository: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", fmt.Errorf("open repository: %w", err)
	}
	p, ok := strings.CutPrefix(strings.TrimSpace(string(b)), prefix)
	if !ok || p == "" {
		return "", fmt.Errorf("open repository: %s does not point to one", file)
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(base, p)
	}
	return p, nil
}

func openStorage(path string) (*filesystem.Storage, string, error) {
	dir, common, err := gitDir(path)
	if err != nil {
		return nil, "", err
	}
	fs := billy.Filesystem(osfs.New(dir))
	if common != dir {
		fs = dotgit.NewRepositoryFilesystem(fs, osfs.New(common))
	}
	return filesystem.NewStorage(fs, cache.NewObjectLRU(8*cache.MiByte)), common, nil
}

// listLocal resolves the reference. An annotated tag is told as the tag itself.
func listLocal(r Repo) (Tip, error) {
	if fullCommit.MatchString(r.Ref) {
		return Tip{Commit: r.Ref}, nil
	}
	s, _, err := openStorage(r.URL)
	if err != nil {
		return Tip{}, err
	}
	return localTip(s, r.Ref)
}

func localTip(s *filesystem.Storage, ref string) (Tip, error) {
	var broken error
	name, h, err := resolveRef(ref, func(name string) (plumbing.Hash, bool) {
		got, err := storer.ResolveReference(s, plumbing.ReferenceName(name))
		if err != nil && !errors.Is(err, plumbing.ErrReferenceNotFound) {
			broken = fmt.Errorf("read reference %s: %w", name, err)
		}
		if err != nil {
			return plumbing.ZeroHash, false
		}
		return got.Hash(), true
	})
	if broken != nil {
		return Tip{}, broken
	}
	if err != nil {
		return Tip{}, err
	}
	if name != "HEAD" {
		if c, err := localPeel(s, h); err == nil {
			h = c
		}
	}
	return Tip{Commit: h.String(), Ref: name}, nil
}

// localPeel follows an annotated tag, so that a listing names a commit.
func localPeel(s *filesystem.Storage, h plumbing.Hash) (plumbing.Hash, error) {
	objs := &localObjects{stores: []*filesystem.ObjectStorage{&s.ObjectStorage}}
	if n, err := objs.size(h); err != nil || n > maxCommitBytes {
		return h, errors.Join(err, plumbing.ErrObjectNotFound)
	}
	c, err := peel(objs, h.String())
	if err != nil {
		return h, err
	}
	return c.Hash, nil
}

// openLocal opens the repository for a fetch.
func openLocal(r Repo) (objects, Tip, error) {
	s, common, err := openStorage(r.URL)
	if err != nil {
		return nil, Tip{}, err
	}
	tip := Tip{Commit: r.Ref}
	if !fullCommit.MatchString(r.Ref) {
		if tip, err = localTip(s, r.Ref); err != nil {
			return nil, Tip{}, err
		}
	}
	l := &localObjects{stores: []*filesystem.ObjectStorage{&s.ObjectStorage}, shallow: map[plumbing.Hash]bool{}}
	if err := l.addAlternates(filepath.Join(common, "objects"), 0); err != nil {
		return nil, Tip{}, err
	}
	hashes, err := s.Shallow()
	if err != nil {
		return nil, Tip{}, fmt.Errorf("read the list of shallow commits: %w", err)
	}
	for _, h := range hashes {
		l.shallow[h] = true
	}
	return l, tip, nil
}

const maxAlternates = 5

// addAlternates follows objects/info/alternates. go-git would ask alternates
// for contents, but not for sizes, and not for those of alternates.
func (l *localObjects) addAlternates(objectDir string, depth int) error {
	b, err := os.ReadFile(filepath.Join(objectDir, "info", "alternates"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read alternates: %w", err)
	}
	if depth == maxAlternates {
		return fmt.Errorf("alternates of alternates, more than %d deep", maxAlternates)
	}
	for line := range strings.Lines(string(b)) {
		p := strings.TrimSpace(line)
		if p == "" || strings.HasPrefix(p, "#") {
			continue
		}
		if !filepath.IsAbs(p) {
			p = filepath.Join(objectDir, p)
		}
		if filepath.Base(p) != "objects" {
			return fmt.Errorf("alternate %s is not named objects", p)
		}
		if _, err := os.Stat(p); err != nil {
			return fmt.Errorf("read alternates: %w", err)
		}
		dg := dotgit.New(osfs.New(filepath.Dir(p)))
		l.stores = append(l.stores, filesystem.NewObjectStorage(dg, cache.NewObjectLRU(8*cache.MiByte)))
		if err := l.addAlternates(p, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (l *localObjects) close() {}

func (l *localObjects) cut(h plumbing.Hash) (bool, error) { return l.shallow[h], nil }

func (l *localObjects) size(h plumbing.Hash) (int64, error) {
	for _, s := range l.stores {
		n, err := s.EncodedObjectSize(h)
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return n, err
		}
	}
	return 0, plumbing.ErrObjectNotFound
}

func (l *localObjects) content(t plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	for _, s := range l.stores {
		o, err := s.EncodedObject(t, h)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r, err := o.Reader()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(r, o.Size()+1))
		return b, errors.Join(err, r.Close())
	}
	return nil, plumbing.ErrObjectNotFound
}
