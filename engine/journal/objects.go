package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
)

const (
	objectsDir = "objects"
	// syncers is the number of objects that PutAll syncs at a time: file systems let syncs that wait together share one commit.
	syncers = 8
)

// Objects is the store of the values that the journal names instead of copying them: immutable files named by the SHA-256 of their
// content. Its methods may be called from several goroutines; the process holds the lock of the data directory, through Open, while it is
// in use.
type Objects struct {
	fsys FS

	mu    sync.Mutex      // held while a file is published or removed
	err   error           // why nothing more can be put; set once
	young map[string]bool // put since the running, or last, Sweep began
	aging map[string]bool // put before the running Sweep began; nil when none runs
}

// OpenObjects opens the store, making it if there is none, and removes what crashes left of unfinished objects.
func OpenObjects(fsys FS) (*Objects, error) {
	if err := fsys.Mkdir(objectsDir); err != nil {
		return nil, fmt.Errorf("make the object store: %w", noSpace(err))
	}
	// The last process may have ended between a rename and its sync, and an object that exists is taken for durable.
	for _, dir := range []string{".", objectsDir} {
		if err := fsys.SyncDir(dir); err != nil {
			return nil, syncError(dir, err)
		}
	}
	names, err := fsys.List(objectsDir)
	if err != nil {
		return nil, fmt.Errorf("list the objects: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, tempExt) {
			continue
		}
		if err := fsys.Remove(objectName(name)); err != nil {
			return nil, fmt.Errorf("remove an unfinished object: %w", err)
		}
	}
	return &Objects{fsys: fsys, young: map[string]bool{}}, nil
}

func objectName(name string) string { return objectsDir + "/" + name }

// ObjectName is the name of the object with this content: its SHA-256 in lower-case hex digits.
func ObjectName(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func isObjectName(name string) bool {
	if len(name) != 2*sha256.Size {
		return false
	}
	return strings.Trim(name, "0123456789abcdef") == ""
}

// Put stores data, unless it is there, and returns its name. The object is durable on return. After ErrNoSpace the call may be made
// again; an error of a sync is fatal.
func (o *Objects) Put(data []byte) (name string, err error) {
	names, err := o.PutAll([][]byte{data})
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// PutAll is Put for several objects at the price of less syncs. After an error some of them may be stored.
func (o *Objects) PutAll(data [][]byte) (names []string, err error) {
	names = make([]string, len(data))
	for i, d := range data {
		names[i] = ObjectName(d)
	}
	missing, err := o.missing(names, data)
	if err != nil || len(missing) == 0 {
		return names, err
	}
	temps := make([]string, len(missing))
	defer func() {
		for _, t := range temps {
			if t != "" {
				_ = o.fsys.Remove(t) // cleaned at the next start, if not here
			}
		}
	}()
	if err := o.writeAll(temps, missing, names, data); err != nil {
		return nil, o.fail(fmt.Errorf("store an object: %w", err))
	}
	if err := o.publishAll(temps, missing, names); err != nil {
		return nil, fmt.Errorf("store an object: %w", err)
	}
	return names, nil
}

// missing returns the indices of the objects that have to be written, each name once, and marks all of them as young.
func (o *Objects) missing(names []string, data [][]byte) (missing []int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		o.young[name] = true
		if !seen[name] && !o.exists(name, len(data[i])) {
			missing = append(missing, i)
		}
		seen[name] = true
	}
	return missing, nil
}

// exists is false for a file of another size too, which is damaged and replaced.
func (o *Objects) exists(name string, size int) bool {
	f, err := o.fsys.Open(objectName(name))
	if err != nil {
		return false
	}
	have, err := f.Size()
	return errors.Join(err, f.Close()) == nil && have == int64(size)
}

// writeAll makes the content of the missing objects durable under temporary names. First all is written, then all is synced.
func (o *Objects) writeAll(temps []string, missing []int, names []string, data [][]byte) (err error) {
	files := make([]File, len(missing))
	defer func() {
		for _, f := range files {
			if f != nil {
				err = errors.Join(err, noSpace(f.Close()))
			}
		}
	}()
	for k, i := range missing {
		temp := tempName(objectName(names[i]))
		f, err := o.fsys.Create(temp)
		if err != nil {
			return noSpace(err)
		}
		temps[k], files[k] = temp, f
		if _, err := f.WriteAt(data[i], 0); err != nil {
			return noSpace(err)
		}
	}
	return syncAll(files)
}

// syncAll joins the goroutines that it starts; they end when every file has been synced.
func syncAll(files []File) error {
	errs := make([]error, len(files))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(syncers, len(files)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = syncError("object", files[i].Sync())
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// publishAll gives the objects their names. The lock is held until they are durable, so that whoever finds one may rely on it.
func (o *Objects) publishAll(temps []string, missing []int, names []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	for k, i := range missing {
		if err := o.fsys.Rename(temps[k], objectName(names[i])); err != nil {
			// Those that have their names already are not known to be durable, but would be found.
			return errors.Join(noSpace(err), o.syncNames())
		}
		temps[k] = ""
	}
	return o.syncNames()
}

func (o *Objects) syncNames() error {
	err := syncError(objectsDir, o.fsys.SyncDir(objectsDir))
	if err != nil {
		o.err = err
	}
	return err
}

func (o *Objects) fail(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil && errors.Is(err, ErrFatal) {
		o.err = err
	}
	return err
}

// Read returns the content of an object. An object that is not there is fs.ErrNotExist, one whose content is not that of its name a
// *CorruptError.
func (o *Objects) Read(name string) ([]byte, error) {
	if !isObjectName(name) {
		return nil, fmt.Errorf("read object %q: not the name of an object", name)
	}
	data, err := readFile(o.fsys, objectName(name), nil)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	if ObjectName(data) != name {
		return nil, &CorruptError{File: objectName(name), Reason: "the content does not have the checksum of its name"}
	}
	return data, nil
}

// Sweep removes the objects for which keep is false and returns how many. Objects put since the last Sweep began stay, whatever keep says,
// because the batch that names them may not be durable yet. keep is called without a lock; only one Sweep runs at a time.
func (o *Objects) Sweep(keep func(name string) bool) (removed int, err error) {
	if !o.beginSweep() {
		return 0, errors.New("sweep the objects: a sweep is running")
	}
	names, err := o.fsys.List(objectsDir)
	if err == nil {
		removed, err = o.removeAll(names, keep)
	}
	o.endSweep(err == nil)
	if err != nil {
		return removed, fmt.Errorf("sweep the objects: %w", err)
	}
	return removed, nil
}

func (o *Objects) beginSweep() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.aging != nil {
		return false
	}
	o.aging, o.young = o.young, map[string]bool{}
	return true
}

func (o *Objects) endSweep(whole bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !whole {
		maps.Copy(o.young, o.aging)
	}
	o.aging = nil
}

func (o *Objects) removeAll(names []string, keep func(name string) bool) (removed int, err error) {
	for _, name := range names {
		if !isObjectName(name) || keep(name) {
			continue
		}
		done, err := o.removeOld(name)
		if err != nil {
			return removed, err
		}
		if done {
			removed++
		}
	}
	return removed, nil
}

func (o *Objects) removeOld(name string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.young[name] || o.aging[name] {
		return false, nil
	}
	return true, o.fsys.Remove(objectName(name))
}
