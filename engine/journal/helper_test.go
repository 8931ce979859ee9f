package journal_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

// small makes segments and snapshots that a short test fills.
var small = journal.Options{Writer: "1.0", SegmentBytes: 300, SnapshotBytes: 500}

func open(t *testing.T, fsys journal.FS, o journal.Options) (*journal.Journal, *journal.Recovery) {
	t.Helper()
	j, r, err := journal.Open(fsys, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, r
}

func appendRecords(t *testing.T, j *journal.Journal, records ...string) uint64 {
	t.Helper()
	last, err := j.Append(lines(records...))
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return last
}

func lines(records ...string) [][]byte {
	result := make([][]byte, len(records))
	for i, r := range records {
		result[i] = []byte(r)
	}
	return result
}

// state returns all records in order: those of the snapshot, which snapshotOf wrote, and those behind it.
func state(r *journal.Recovery) ([]string, error) {
	var all []string
	in, _, err := r.OpenSnapshot()
	if err == nil {
		body, readErr := io.ReadAll(in)
		if err := errors.Join(readErr, in.Close()); err != nil {
			return nil, err
		}
		all = strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = r.Replay(func(seq uint64, record []byte) error {
		if seq != uint64(len(all)+1) {
			return fmt.Errorf("sequence number is %d, want %d", seq, len(all)+1)
		}
		all = append(all, string(record))
		return nil
	})
	if err == nil && r.Last != uint64(len(all)) {
		err = fmt.Errorf("last is %d, there are %d records", r.Last, len(all))
	}
	return all, err
}

func snapshotOf(records []string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, r := range records {
			if _, err := io.WriteString(w, r+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
}

// reopened returns the records that a new process finds after the given one has ended.
func reopened(t *testing.T, fsys *journaltest.FS) []string {
	t.Helper()
	j, r := open(t, fsys.Kill(), small)
	all, err := state(r)
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatalf("read the reopened journal: %v", err)
	}
	return all
}

func files(fsys *journaltest.FS, suffix string) []string {
	return slices.DeleteFunc(fsys.Files(), func(name string) bool { return !strings.HasSuffix(name, suffix) })
}
