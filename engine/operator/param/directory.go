package param

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"gitdag/engine/operator"
	"gitdag/internal/atomicfile"
)

// The bounds of a directory, which is written as a whole each time.
const (
	maxKey    = 1 << 10 // bytes
	maxValue  = 1 << 20
	maxTotal  = 16 << 20 // of keys and values
	maxValues = 10_000
)

// format is the version of the file.
const format = 1

// directory keeps values in one file, which a lock in a file beside it lets one task at a
// time replace, of this process or another.
type directory struct {
	dir  string
	turn chan struct{} // held by the task of this process that may write
}

// content is the file.
type content struct {
	Version int              `json:"version"`
	Values  map[string]value `json:"values"`
}

type value struct {
	Text    string    `json:"value"`
	Updated time.Time `json:"updated"`
}

func newDirectory(dir string) *directory {
	return &directory{dir: dir, turn: make(chan struct{}, 1)}
}

func (d *directory) file() string { return filepath.Join(d.dir, "values.json") }

func (d *directory) get(_ context.Context, keys []string) (map[string]string, error) {
	all, err := d.read()
	if err != nil {
		return nil, err
	}
	found := make(map[string]string, len(keys))
	for _, key := range keys {
		if v, ok := all.Values[key]; ok {
			found[key] = v.Text
		}
	}
	return found, nil
}

func (d *directory) set(ctx context.Context, values map[string]string) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := d.read()
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	for key, text := range values {
		if len(key) > maxKey || len(text) > maxValue {
			return tooMuch("the key %.50q: keys may have %d bytes, values %d", key, maxKey, maxValue)
		}
		all.Values[key] = value{text, now}
	}
	return d.write(all)
}

// read returns the values that are not too old.
func (d *directory) read() (*content, error) {
	all := &content{Version: format}
	text, err := os.ReadFile(d.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the values: %w", err)
	default:
		if err := json.Unmarshal(text, all); err != nil {
			return nil, fmt.Errorf("read the values of %s: %w", d.file(), err)
		}
	}
	if all.Version != format {
		return nil, fmt.Errorf("read the values of %s: they have version %d, and this program knows %d", d.file(), all.Version, format)
	}
	if all.Values == nil {
		all.Values = map[string]value{}
	}
	now := time.Now()
	for key, v := range all.Values {
		if v.Updated.Add(keep).Before(now) {
			delete(all.Values, key)
		}
	}
	return all, nil
}

// write replaces the file. The lock is held: what has a temporary name here is left over
// from a crash.
func (d *directory) write(all *content) error {
	total := 0
	for key, v := range all.Values {
		total += len(key) + len(v.Text)
	}
	if len(all.Values) > maxValues || total > maxTotal {
		return tooMuch("there may be %d values, of %d bytes together", maxValues, maxTotal)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(all); err != nil {
		return fmt.Errorf("encode the values: %w", err)
	}
	if err := atomicfile.CleanTemps(d.dir); err != nil {
		return err
	}
	return atomicfile.WriteFile(d.file(), b.Bytes(), 0o600)
}

func tooMuch(text string, args ...any) error {
	return &operator.Error{Message: "too much for the values that are kept without a server: " + fmt.Sprintf(text, args...) +
		"; with param_server PostgreSQL or Redis keeps them"}
}

// lock waits until nobody else writes.
func (d *directory) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() {
		if err != nil {
			<-d.turn
		}
	}()
	if err := d.make(); err != nil {
		return nil, fmt.Errorf("make the directory of values: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(d.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the values: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close(); <-d.turn }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-time.After(5 * time.Millisecond): // another process writes
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}

// make makes the directory, and its name durable.
func (d *directory) make() error {
	if _, err := os.Stat(d.dir); err == nil {
		return nil
	}
	above := filepath.Dir(d.dir)
	if err := os.MkdirAll(above, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(above)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
