// Package journaltest is a journal.FS in memory that fails, tears and stops on demand, for the tests of everything that writes through
// one. It keeps apart what a program sees and what a disk would hold after a power cut: bytes are durable after Sync of their file,
// entries, renames and removals after SyncDir of their directory, and nothing else is.
//
// Its one invariant: what was synced is in every file system that Crash returns.
package journaltest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"gitdag/engine/journal"
)

// ErrCrash is returned by the operation at which the machine stops and by every later one.
var ErrCrash = errors.New("the machine has stopped")

// Op is one operation on the file system.
type Op struct {
	N    int    // counts from 1
	Kind string // create open edit rename remove list mkdir syncdir lock write truncate sync
	Name string
}

func (o Op) String() string { return fmt.Sprintf("operation %d: %s %s", o.N, o.Kind, o.Name) }

// FS is the file system. The zero value is not usable.
type FS struct {
	mu      sync.Mutex
	ops     int
	hook    func(Op) error
	stopped bool
	locked  map[string]bool

	files   map[string]*inode // as the program sees them; directories have a nil inode
	durable map[string]*inode
	pending []entryChange
}

// inode is the content of a file. Handles and names refer to it.
type inode struct {
	data    []byte // as the program sees it
	durable []byte
	pending []change // since the last Sync
}

// change is a write, or a truncation if data is nil.
type change struct {
	at   int64
	data []byte
}

// entryChange is a new name of an inode or, if the inode is nil and it is not a directory, a removal.
type entryChange struct {
	dir      string
	name     string
	from     string // of a rename
	node     *inode
	makesDir bool
}

// New returns an empty file system.
func New() *FS {
	return &FS{locked: map[string]bool{}, files: map[string]*inode{".": nil}, durable: map[string]*inode{".": nil}}
}

// Hook lets do decide on every later operation before it is performed. An error makes it fail: a write writes half of its bytes then, a
// sync drops the bytes that were to be synced (the program goes on seeing them), anything else does nothing. ErrCrash stops the machine.
func (f *FS) Hook(do func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = do
}

// FailAt lets the n-th operation from now on fail with err, or stop the machine if err is ErrCrash.
func (f *FS) FailAt(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.ops + n
	f.hook = func(op Op) error {
		if op.N == at {
			return err
		}
		return nil
	}
}

// Ops returns the number of operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Kill returns the file system as the next process finds it when only the process has ended: all that was written is there, what is
// durable is not more than before, and the lock is free.
func (f *FS) Kill() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	clones := map[*inode]*inode{nil: nil}
	clone := func(n *inode) *inode {
		if clones[n] == nil && n != nil {
			clones[n] = &inode{
				data: slices.Clone(n.data), durable: slices.Clone(n.durable), pending: slices.Clone(n.pending),
			}
		}
		return clones[n]
	}
	next := New()
	for name, n := range f.files {
		next.files[name] = clone(n)
	}
	for name, n := range f.durable {
		next.durable[name] = clone(n)
	}
	for _, c := range f.pending {
		c.node = clone(c.node)
		next.pending = append(next.pending, c)
	}
	return next
}

// ReadFile returns what the program sees in a file. It is no operation.
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.files[name]
	if n == nil {
		return nil, missing("read", name)
	}
	return slices.Clone(n.data), nil
}

// WriteFile makes or replaces a file, durably, and the directory that holds it. It is no operation.
func (f *FS) WriteFile(name string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &inode{data: slices.Clone(data), durable: slices.Clone(data)}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		f.files[dir], f.durable[dir] = nil, nil
	}
	f.files[name], f.durable[name] = n, n
}

// Files returns the sorted names of all files. It is no operation.
func (f *FS) Files() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for name, n := range f.files {
		if n != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// begin counts an operation and asks the hook. perform is true at the operation at which the machine stops too: then the program never
// sees its effect, and Crash decides whether the disk does. The caller holds the lock.
func (f *FS) begin(kind, name string) (perform bool, err error) {
	if f.stopped {
		return false, ErrCrash
	}
	f.ops++
	if f.hook == nil {
		return true, nil
	}
	err = f.hook(Op{N: f.ops, Kind: kind, Name: name})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrCrash):
		f.stopped = true
		return true, ErrCrash
	}
	return false, &fs.PathError{Op: kind, Path: name, Err: err}
}

func missing(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// Create is that of journal.FS.
func (f *FS) Create(name string) (journal.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	perform, err := f.begin("create", name)
	if !perform {
		return nil, err
	}
	if _, ok := f.files[name]; ok {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if _, ok := f.files[path.Dir(name)]; !ok {
		return nil, missing("create", name)
	}
	n := &inode{}
	f.files[name] = n
	f.pending = append(f.pending, entryChange{dir: path.Dir(name), name: name, node: n})
	return &file{fs: f, node: n, name: name}, err
}

// Open is that of journal.FS.
func (f *FS) Open(name string) (journal.File, error) { return f.open("open", name) }

// Edit is that of journal.FS.
func (f *FS) Edit(name string) (journal.File, error) { return f.open("edit", name) }

func (f *FS) open(kind, name string) (journal.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin(kind, name); err != nil {
		return nil, err
	}
	n := f.files[name]
	if n == nil {
		return nil, missing(kind, name)
	}
	return &file{fs: f, node: n, name: name, readOnly: kind == "open"}, nil
}

// Rename is that of journal.FS.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	perform, err := f.begin("rename", from)
	if !perform {
		return err
	}
	n := f.files[from]
	if n == nil {
		return missing("rename", from)
	}
	f.files[to] = n
	delete(f.files, from)
	f.pending = append(f.pending, entryChange{dir: path.Dir(to), name: to, from: from, node: n})
	return err
}

// Remove is that of journal.FS.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	perform, err := f.begin("remove", name)
	if !perform {
		return err
	}
	if f.files[name] == nil {
		return missing("remove", name)
	}
	delete(f.files, name)
	f.pending = append(f.pending, entryChange{dir: path.Dir(name), name: name})
	return err
}

// List is that of journal.FS.
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin("list", dir); err != nil {
		return nil, err
	}
	var names []string
	for name, n := range f.files {
		if n != nil && path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Mkdir is that of journal.FS.
func (f *FS) Mkdir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	perform, err := f.begin("mkdir", dir)
	if _, ok := f.files[dir]; ok || !perform {
		return err
	}
	f.files[dir] = nil
	f.pending = append(f.pending, entryChange{dir: path.Dir(dir), name: dir, makesDir: true})
	return err
}

// SyncDir is that of journal.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin("syncdir", dir); err != nil {
		return err
	}
	if _, ok := f.files[dir]; !ok {
		return missing("sync", dir)
	}
	var rest []entryChange
	for _, c := range f.pending {
		if c.dir == dir {
			c.apply(f.durable)
		} else {
			rest = append(rest, c)
		}
	}
	f.pending = rest
	return nil
}

func (c entryChange) apply(entries map[string]*inode) {
	if c.from != "" && entries[c.from] == c.node {
		delete(entries, c.from)
	}
	switch {
	case c.makesDir || c.node != nil:
		entries[c.name] = c.node
	default:
		delete(entries, c.name)
	}
}

type unlock struct {
	fs   *FS
	name string
}

// Lock is that of journal.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.begin("lock", name); err != nil {
		return nil, err
	}
	if f.locked[name] {
		return nil, &journal.LockedError{Path: name, PID: os.Getpid()}
	}
	f.locked[name] = true
	return &unlock{f, name}, nil
}

func (u *unlock) Close() error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	delete(u.fs.locked, u.name)
	return nil
}
