package journal_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

// workload is a script that does all that an agent does with its journal: batches with and without objects, segments that fill up,
// snapshots, a sweep, a restart with a newer version. It keeps what was acknowledged to it.
type workload struct {
	fsys    *journaltest.FS
	again   int // times that a call is made again after ErrNoSpace
	j       *journal.Journal
	o       *journal.Objects
	acked   []string
	flight  []string          // the batch that was being appended when the script ended
	objects map[string]string // acknowledged: name to content
}

const scriptLength = 30

func (w *workload) run() error {
	w.objects = map[string]string{}
	if err := w.start("1.0"); err != nil {
		return err
	}
	for i := range scriptLength {
		if i == scriptLength/2 {
			if err := errors.Join(w.j.Close(), w.start("1.1")); err != nil {
				return err
			}
		}
		if err := w.step(i); err != nil {
			return err
		}
	}
	return w.j.Close()
}

func (w *workload) start(version string) error {
	options := small
	options.Writer = version
	return w.retry(func() (err error) {
		if w.j, _, err = journal.Open(w.fsys, options); err != nil {
			return err
		}
		if w.o, err = journal.OpenObjects(w.fsys); err != nil {
			return errors.Join(err, w.j.Close())
		}
		return nil
	})
}

func (w *workload) step(i int) error {
	var batch []string
	for k := range 1 + i%3 {
		batch = append(batch, fmt.Sprintf(`{"batch":%d,"record":%d,"text":%q}`, i, k, strings.Repeat("x", i)))
	}
	if i%5 == 2 {
		content := [][]byte{fmt.Appendf(nil, "content %d", i), fmt.Appendf(nil, "content %d", i/2)}
		names, err := w.put(content)
		if err != nil {
			return err
		}
		batch = append(batch, "object "+names[0])
	}
	w.flight = batch
	err := w.retry(func() error { _, err := w.j.Append(lines(batch...)); return err })
	if err != nil {
		return err
	}
	w.acked, w.flight = append(w.acked, batch...), nil
	if w.j.SnapshotDue() || i == scriptLength/2+1 {
		return w.retry(func() error { return w.j.Snapshot(uint64(len(w.acked)), snapshotOf(w.acked)) })
	}
	if i == scriptLength-3 {
		return w.retry(func() error {
			_, err := w.o.Sweep(func(name string) bool { return w.objects[name] != "" })
			return err
		})
	}
	return nil
}

func (w *workload) put(content [][]byte) (names []string, err error) {
	err = w.retry(func() error { names, err = w.o.PutAll(content); return err })
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		w.objects[name] = string(content[i])
	}
	return names, nil
}

func (w *workload) retry(do func() error) error {
	err := do()
	for n := 0; n < w.again && errors.Is(err, journal.ErrNoSpace) && !errors.Is(err, journal.ErrFatal); n++ {
		err = do()
	}
	return err
}

// check opens what a crash left and compares it with what was acknowledged.
func (w *workload) check(fsys *journaltest.FS) error {
	if _, err := journal.Verify(fsys); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("verify before the start: %w", err)
	}
	j, r, err := journal.Open(fsys, small)
	if err != nil {
		return err
	}
	found, err := w.checkRecords(r)
	if err != nil {
		return err
	}
	o, err := journal.OpenObjects(fsys)
	if err != nil {
		return err
	}
	if err := w.checkObjects(o, found); err != nil {
		return err
	}
	if left := files(fsys, ".tmp"); len(left) > 0 {
		return fmt.Errorf("left after the start: %v", left)
	}
	// All that was found is durable now, and the journal goes on.
	if err := reread(fsys.Crash(journaltest.Cut{}), found); err != nil {
		return fmt.Errorf("power cut after the start: %w", err)
	}
	if _, err := j.Append(lines("next")); err != nil {
		return err
	}
	return reread(fsys.Crash(journaltest.Cut{}), append(found, "next"))
}

func (w *workload) checkRecords(r *journal.Recovery) ([]string, error) {
	found, err := state(r)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(found, w.acked) && !slices.Equal(found, append(slices.Clone(w.acked), w.flight...)) {
		return nil, fmt.Errorf("found %q\nacknowledged %q\nin flight %q", found, w.acked, w.flight)
	}
	if len(r.Damaged) > 0 {
		return nil, fmt.Errorf("damaged snapshots: %v", r.Damaged)
	}
	return found, nil
}

func (w *workload) checkObjects(o *journal.Objects, found []string) error {
	for name, content := range w.objects {
		got, err := o.Read(name)
		if err != nil || string(got) != content {
			return fmt.Errorf("acknowledged object: got %q, %w", got, err)
		}
	}
	for _, record := range found {
		if name, ok := strings.CutPrefix(record, "object "); ok {
			if _, err := o.Read(name); err != nil {
				return fmt.Errorf("object that a record names: %w", err)
			}
		}
	}
	return nil
}

func reread(fsys *journaltest.FS, want []string) error {
	_, r, err := journal.Open(fsys, small)
	if err != nil {
		return err
	}
	if r.Torn != nil {
		return fmt.Errorf("torn tail: %v", r.Torn)
	}
	got, err := state(r)
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("found %q, want %q", got, want)
	}
	return err
}

// operations counts those of the whole script.
func operations(t *testing.T) int {
	t.Helper()
	w := workload{fsys: journaltest.New()}
	if err := w.run(); err != nil {
		t.Fatalf("script without faults: %v", err)
	}
	if err := w.check(w.fsys.Kill()); err != nil {
		t.Fatalf("script without faults: %v", err)
	}
	ops := w.fsys.Ops()
	t.Logf("%d operations, %d records, %d objects", ops, len(w.acked), len(w.objects))
	return ops
}

// TestCrashAtEveryOperation cuts the power at every operation of the script, in every way of journaltest, and starts again.
func TestCrashAtEveryOperation(t *testing.T) {
	for n := range operations(t) {
		w := workload{fsys: journaltest.New()}
		w.fsys.FailAt(n+1, journaltest.ErrCrash)
		if err := w.run(); !errors.Is(err, journaltest.ErrCrash) {
			t.Fatalf("crash at operation %d: script ended with %v", n+1, err)
		}
		for _, cut := range journaltest.Cuts(8) {
			if err := w.check(w.fsys.Crash(cut)); err != nil {
				t.Fatalf("crash at operation %d (%v): %v", n+1, cut, err)
			}
		}
		if err := w.check(w.fsys.Kill()); err != nil {
			t.Fatalf("kill at operation %d: %v", n+1, err)
		}
	}
}

// TestCrashDuringRecovery kills the process at every third operation of the script, and cuts the power at every operation of the start
// that follows.
func TestCrashDuringRecovery(t *testing.T) {
	cuts := []journaltest.Cut{
		{},
		{Data: journaltest.Sectors, Entries: journaltest.Half},
		{Data: journaltest.Random, Entries: journaltest.Random, Seed: 1},
		{Data: journaltest.Random, Entries: journaltest.Random, Seed: 2},
	}
	for n := 0; n < operations(t); n += 3 {
		w := workload{fsys: journaltest.New()}
		w.fsys.FailAt(n+1, journaltest.ErrCrash)
		_ = w.run()
		for m := 1; ; m++ {
			second := w.fsys.Kill()
			second.FailAt(m, journaltest.ErrCrash)
			_, _, err := journal.Open(second, small)
			for _, cut := range cuts {
				if err := w.check(second.Crash(cut)); err != nil {
					t.Fatalf("crash at operation %d, then at operation %d of the start (%v): %v", n+1, m, cut, err)
				}
			}
			if err == nil {
				break
			}
		}
	}
}

// TestFailureAtEveryOperation lets one operation fail. Whatever the script is told, what was acknowledged is there for the next process,
// and after a power cut. A disk that is full once, other than at a sync, stops nothing.
func TestFailureAtEveryOperation(t *testing.T) {
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
		for n := range operations(t) {
			w := workload{fsys: journaltest.New(), again: 1}
			var failed journaltest.Op
			w.fsys.Hook(func(op journaltest.Op) error {
				if op.N != n+1 {
					return nil
				}
				failed = op
				return failure
			})
			err := w.run()
			full := failure != syscall.EIO && slices.Contains([]string{"create", "write", "rename", "mkdir"}, failed.Kind)
			if full && err != nil {
				t.Fatalf("%v at %v: script ended with %v", failure, failed, err)
			}
			if err != nil && strings.HasPrefix(failed.Kind, "sync") && !errors.Is(err, journal.ErrSync) {
				t.Fatalf("%v at %v: script ended with %v, want ErrSync", failure, failed, err)
			}
			if err := w.check(w.fsys.Kill()); err != nil {
				t.Fatalf("%v at %v, then a new process: %v", failure, failed, err)
			}
			for _, cut := range journaltest.Cuts(2) {
				if err := w.check(w.fsys.Crash(cut)); err != nil {
					t.Fatalf("%v at %v, then a power cut (%v): %v", failure, failed, cut, err)
				}
			}
		}
	}
}
