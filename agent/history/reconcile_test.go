package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// settled has two attempts on each of two days, was closed, and its folders
// have been quiet for long enough.
func settled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	h, _ := open(t, dir)
	put(t, h, record(1, 1), record(2, 2), record(3, 3, finished(days(1))), record(4, 4, finished(days(1))))
	quieten(t, h, days(0), days(1))
	shut(t, h)
	return dir
}

// quieten sets the time of change of folders back, as if they had been left
// alone.
func quieten(t testing.TB, h *History, at ...time.Time) {
	t.Helper()
	for _, at := range at {
		old := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
		if err := os.Chtimes(h.archive.folder(dayOf(at)), old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func path(dir string, parts ...string) string {
	return filepath.Join(append([]string{dir, archiveDir}, parts...)...)
}

func must(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStartPassesSettledFoldersBy(t *testing.T) {
	dir := settled(t)
	// Were a file read, this would show.
	for _, f := range files(t, dir) {
		must(t)(os.WriteFile(path(dir, f), []byte("garbage"), 0o600))
	}
	h, report := open(t, dir)
	diff(t, "report", report, Report{})
	diff(t, "attempts", all(t, h), []uint64{4, 3, 2, 1})
	// The first attempt of a folder makes the next start look through it, and
	// through no other. Files that have rows are not read there either.
	put(t, h, record(5, 5))
	shut(t, h)
	_, report = open(t, dir)
	diff(t, "report", report, Report{Folders: 1})
}

func TestDayThatIsOverIsSettled(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	put(t, h, record(1, 1))
	quieten(t, h, days(0))
	put(t, h, record(2, 2, finished(days(1))))
	quieten(t, h, days(1))
	// No Close: the agent was killed.
	h, report := open(t, dir)
	diff(t, "report", report, Report{Folders: 1})
	shut(t, h)
	_, report = open(t, dir)
	diff(t, "report after a close", report, Report{})
}

func TestFailedPutKeepsFolderUnsettled(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	if _, err := h.index.writer.Exec(`CREATE TRIGGER full BEFORE INSERT ON session WHEN new.id = 2 BEGIN SELECT raise(ABORT, 'no room'); END`); err != nil {
		t.Fatal(err)
	}
	put(t, h, record(1, 1))
	if err := h.Put(t.Context(), record(2, 2)); err == nil {
		t.Fatal("got no error")
	}
	diff(t, "attempts", all(t, h), []uint64{1})
	quieten(t, h, days(0))
	put(t, h, record(3, 3, finished(days(1))))
	if _, err := h.index.writer.Exec(`DROP TRIGGER full`); err != nil {
		t.Fatal(err)
	}
	shut(t, h)
	h, report := open(t, dir)
	if report.Added != 1 {
		t.Errorf("got %+v, want one added", report)
	}
	diff(t, "attempts", all(t, h), []uint64{3, 2, 1})
}

// TestReconcile damages a history while nobody has it open; the next start
// puts it right, and the one after that finds nothing to do.
func TestReconcile(t *testing.T) {
	whole := []uint64{4, 3, 2, 1}
	const first = "2031-04-05"
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   Report
		list   []uint64
	}{
		"file without row": {
			func(t *testing.T, dir string) {
				other, _ := open(t, t.TempDir())
				put(t, other, record(9, 1))
				must(t)(os.Rename(other.archive.file(dayOf(noon), 9), path(dir, first, "9.jsonl.gz")))
			},
			Report{Folders: 1, Added: 1},
			[]uint64{9, 4, 3, 2, 1},
		},
		"row without file": {
			func(t *testing.T, dir string) { must(t)(os.Remove(path(dir, first, "2.jsonl.gz"))) },
			Report{Folders: 1, Removed: 1},
			[]uint64{4, 3, 1},
		},
		"folder gone": {
			func(t *testing.T, dir string) { must(t)(os.RemoveAll(path(dir, first))) },
			Report{Removed: 2},
			[]uint64{4, 3},
		},
		"temporary file left": {
			func(t *testing.T, dir string) {
				must(t)(os.WriteFile(path(dir, first, ".7.jsonl.gz.0123456789abcdef.tmp"), []byte("half"), 0o600))
			},
			Report{Folders: 1},
			whole,
		},
		"foreign names": {
			func(t *testing.T, dir string) {
				for _, name := range []string{"readme", "0007.jsonl.gz", "x.jsonl.gz", "0.jsonl.gz"} {
					must(t)(os.WriteFile(path(dir, first, name), nil, 0o600))
				}
				must(t)(os.Mkdir(path(dir, "lost+found"), 0o700))
				must(t)(os.WriteFile(path(dir, "2031-04-07"), nil, 0o600))
			},
			Report{Folders: 1},
			whole,
		},
		"index deleted": {
			func(t *testing.T, dir string) { must(t)(os.Remove(filepath.Join(dir, indexName))) },
			Report{Rebuilt: true, Why: "it was missing", Folders: 2, Added: 4},
			whole,
		},
		"index empty": {
			func(t *testing.T, dir string) { must(t)(os.Truncate(filepath.Join(dir, indexName), 0)) },
			Report{Rebuilt: true, Why: "it was empty", Folders: 2, Added: 4},
			whole,
		},
		"index torn": {
			func(t *testing.T, dir string) { must(t)(os.Truncate(filepath.Join(dir, indexName), 9000)) },
			Report{Rebuilt: true, Why: "malformed", Folders: 2, Added: 4},
			whole,
		},
		"index garbage": {
			func(t *testing.T, dir string) {
				must(t)(os.WriteFile(filepath.Join(dir, indexName), bytes.Repeat([]byte("garbage "), 4096), 0o600))
			},
			Report{Rebuilt: true, Why: "not a database", Folders: 2, Added: 4},
			whole,
		},
		"index with garbage inside": {
			func(t *testing.T, dir string) { scribble(t, filepath.Join(dir, indexName)) },
			Report{Rebuilt: true, Why: "malformed", Folders: 2, Added: 4},
			whole,
		},
		"index of another version": {
			func(t *testing.T, dir string) { execute(t, dir, `PRAGMA user_version = 7`) },
			Report{Rebuilt: true, Why: fmt.Sprintf("it has version 7 instead of %d", indexVersion), Folders: 2, Added: 4},
			whole,
		},
		"index without a table": {
			func(t *testing.T, dir string) { execute(t, dir, `DROP TABLE expired`) },
			Report{Rebuilt: true, Why: "no such table", Folders: 2, Added: 4},
			whole,
		},
		"garbage as log of the index": {
			func(t *testing.T, dir string) {
				must(t)(os.WriteFile(filepath.Join(dir, indexName+"-wal"), bytes.Repeat([]byte("garbage "), 4096), 0o600))
			},
			Report{},
			whole,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := settled(t)
			c.damage(t, dir)
			h, report := open(t, dir)
			if !strings.Contains(report.Why, c.want.Why) {
				t.Errorf("got reason %q, want %q", report.Why, c.want.Why)
			}
			c.want.Why = report.Why
			diff(t, "report", report, c.want)
			diff(t, "attempts", all(t, h), c.list)
			for _, id := range c.list {
				if _, err := h.Record(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
			for _, f := range files(t, dir) {
				if strings.HasSuffix(f, ".tmp") {
					t.Errorf("%s is still there", f)
				}
			}
			quieten(t, h, days(1))
			if name != "folder gone" {
				quieten(t, h, days(0))
			}
			shut(t, h)
			_, report = open(t, dir)
			diff(t, "next report", report, Report{})
		})
	}
}

func execute(t *testing.T, dir, statement string) {
	t.Helper()
	x, err := openIndex(t.Context(), filepath.Join(dir, indexName))
	must(t)(err)
	_, err = x.writer.Exec(statement)
	must(t)(errors.Join(err, x.close()))
}

// scribble overwrites all pages but the first, which holds the schema.
func scribble(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	must(t)(err)
	info, err := f.Stat()
	must(t)(err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size())-4096), 4096)
	must(t)(errors.Join(err, f.Close()))
}

func TestDamageFoundLater(t *testing.T) {
	dir := settled(t)
	h, _ := open(t, dir)
	if _, err := h.index.writer.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	must(t)(h.index.close())
	scribble(t, filepath.Join(dir, indexName))
	// As if the damage had come about while the index was open: what the start
	// would have noticed is passed by.
	x, err := openIndex(t.Context(), filepath.Join(dir, indexName))
	must(t)(err)
	h.index = x
	if _, err := h.Attempts(t.Context(), Query{Limit: 9}, true); !errors.Is(err, ErrDamaged) {
		t.Errorf("list: got %v, want ErrDamaged", err)
	}
	if err := h.Put(t.Context(), record(5, 5)); !errors.Is(err, ErrDamaged) {
		t.Errorf("put: got %v, want ErrDamaged", err)
	}
	_ = x.close()

	h, report := open(t, dir)
	diff(t, "report", report, Report{Rebuilt: true, Why: "damage was found in it", Folders: 2, Added: 5})
	diff(t, "attempts", all(t, h), []uint64{5, 4, 3, 2, 1})
	shut(t, h)
	if _, report = open(t, dir); report.Rebuilt {
		t.Errorf("got %+v, want the index to be made anew once", report)
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	must(t)(errors.Join(err, z.Close()))
	return b.Bytes()
}

func TestDamagedFiles(t *testing.T) {
	good := func(t *testing.T, dir string) []byte {
		data, err := os.ReadFile(path(dir, "2031-04-05", "1.jsonl.gz"))
		must(t)(err)
		return data
	}
	for name, content := range map[string]func(t *testing.T, dir string) []byte{
		"empty":          func(*testing.T, string) []byte { return nil },
		"garbage":        func(*testing.T, string) []byte { return []byte("garbage") },
		"cut short":      func(t *testing.T, dir string) []byte { return good(t, dir)[:40] },
		"no line":        func(t *testing.T, _ string) []byte { return zipped(t, "") },
		"no end of line": func(t *testing.T, _ string) []byte { return zipped(t, `{"gitdag":"attempt","format":1}`) },
		"no JSON":        func(t *testing.T, _ string) []byte { return zipped(t, "x\n") },
		"another kind":   func(t *testing.T, _ string) []byte { return zipped(t, `{"gitdag":"expired","format":1}`+"\n") },
		"no format":      func(t *testing.T, _ string) []byte { return zipped(t, `{"gitdag":"attempt"}`+"\n") },
		"wrong type": func(t *testing.T, _ string) []byte {
			return zipped(t, `{"gitdag":"attempt","format":1,"tasks":"x"}`+"\n")
		},
		"an attempt's copy": good,
		"not the day's file": func(t *testing.T, _ string) []byte {
			return zipped(t, `{"gitdag":"attempt","format":1,"attempt":{"id":9}}`+"\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := settled(t)
			file := path(dir, "2031-04-05", "9.jsonl.gz")
			must(t)(os.WriteFile(file, content(t, dir), 0o600))
			for range 2 {
				var log bytes.Buffer
				h, report, err := Open(t.Context(), dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				must(t)(err)
				if len(report.Damaged) != 1 || !strings.Contains(report.Damaged[0], file) || !strings.Contains(log.String(), file) {
					t.Errorf("got report %+v and log %s, want %s named", report, &log, file)
				}
				diff(t, "attempts", all(t, h), []uint64{4, 3, 2, 1})
				shut(t, h)
			}
		})
	}
}

func TestDamagedTasks(t *testing.T) {
	h, _ := open(t, t.TempDir())
	put(t, h, record(1, 1))
	head, err := headOf(record(1, 1))
	must(t)(err)
	write := func(lines ...any) func() []byte {
		return func() []byte {
			file := h.archive.file(dayOf(noon), 1)
			must(t)(h.archive.writeAttempt(head, nil))
			return zipped(t, unzip(t, file)+fmt.Sprintln(lines...))
		}
	}
	for name, content := range map[string]func() []byte{
		"too few":       write(`{"id":1,"state":"success"}`),
		"no JSON":       write(`{`),
		"unknown state": write(`{"id":1,"state":"dreaming"}`),
		"no object":     write(`{"id":1,"state":"success","config":[]}`),
		"cut short":     func() []byte { b := write("x")(); return b[:len(b)-9] },
	} {
		must(t)(os.WriteFile(h.archive.file(dayOf(noon), 1), content(), 0o600))
		if _, err := h.Record(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "1.jsonl.gz") {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}

func TestNewerFormatIsRefusedByName(t *testing.T) {
	for _, name := range []string{"9.jsonl.gz", expiredName} {
		dir := settled(t)
		file := path(dir, "2031-04-05", name)
		kind, _, _ := strings.Cut(strings.Replace(name, "9.", "attempt.", 1), ".")
		must(t)(os.WriteFile(file, zipped(t, `{"gitdag":"`+kind+`","format":2,"attempt":"of another type"}`+"\n"), 0o600))
		_, _, err := Open(t.Context(), dir, Options{})
		var newer *FormatError
		if !errors.As(err, &newer) || newer.Format != 2 || newer.File != file {
			t.Fatalf("got %v, want a FormatError for %s", err, file)
		}
		if !strings.Contains(err.Error(), "format 2") {
			t.Errorf("got %q, want the format named", err)
		}
		must(t)(os.Remove(file))
		h, _ := open(t, dir)
		diff(t, "attempts", all(t, h), []uint64{4, 3, 2, 1})
	}
}

func TestNewerFormatOfTasks(t *testing.T) {
	dir := settled(t)
	must(t)(os.WriteFile(path(dir, "2031-04-05", "1.jsonl.gz"), zipped(t, `{"gitdag":"attempt","format":2}`+"\n"), 0o600))
	h, _ := open(t, dir)
	var newer *FormatError
	if _, err := h.Record(t.Context(), 1); !errors.As(err, &newer) {
		t.Errorf("got %v, want a FormatError", err)
	}
}

func TestDamagedListOfExpired(t *testing.T) {
	for name, text := range map[string]string{
		"kind":  `{"gitdag":"attempt","format":1}` + "\n",
		"empty": "",
		"line":  `{"gitdag":"expired","format":1}` + "\n{\n",
	} {
		dir := settled(t)
		file := path(dir, "2031-04-05", expiredName)
		must(t)(os.WriteFile(file, zipped(t, text), 0o600))
		h, report := open(t, dir)
		if len(report.Damaged) != 1 || !strings.Contains(report.Damaged[0], file) {
			t.Errorf("%s: got %+v, want %s named", name, report, file)
		}
		// What it may hold is not overwritten.
		if _, err := h.Expire(t.Context(), Keep{Count: 1}, noon); err == nil {
			t.Errorf("%s: got no error from Expire", name)
		}
		diff(t, name, all(t, h), []uint64{4, 3, 2, 1})
	}
}

func TestStartThatIsCutOffGoesOn(t *testing.T) {
	dir := settled(t)
	lose(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Open(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	h, _ := open(t, dir)
	diff(t, "attempts", all(t, h), []uint64{4, 3, 2, 1})
}
