package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitdag/engine/flow"
	"gitdag/internal/atomicfile"
)

// million makes an index of 1,000,000 attempts of 1,000 workflows in 50
// projects over 100 days, every tenth a retry, without their files; the
// folders are there and settled.
func million(b *testing.B) (dir string) {
	const attempts, perDay = 1_000_000, 10_000
	dir = b.TempDir()
	h, _ := open(b, dir)
	for from := uint64(0); from < attempts; from += perDay {
		d := dayOf(noon) + day(from/perDay)
		err := h.index.update(b.Context(), func(c change) error {
			for id := from + 1; id <= from+perDay; id++ {
				head, err := headOf(oneOfMany(id, d))
				if err != nil {
					return err
				}
				if err := c.insert(b.Context(), head); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := h.archive.makeFolder(h.archive.folder(d)); err != nil {
			b.Fatal(err)
		}
		h.touched[d] = true
		quieten(b, h, d.start())
	}
	if err := h.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	return dir
}

func oneOfMany(id uint64, d day) *flow.Record {
	session := id
	if id%10 == 0 {
		session = id - 1
	}
	project := session%50 + 1
	workflow := fmt.Sprintf("workflow-%d", session/50%20)
	at := d.start().Add(time.Duration(id%10_000) * 8 * time.Second)
	r := record(id, session, finished(at), of(project, workflow))
	if id%10 == 0 {
		retry("again", 2)(r)
	}
	return r
}

// BenchmarkMillion measures the first page of each list, and what the engine
// and the alerts ask for, with 1,000,000 finished attempts.
func BenchmarkMillion(b *testing.B) {
	dir := million(b)
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			h, report, err := Open(b.Context(), dir, Options{})
			if err != nil || report.Folders != 0 || report.Rebuilt {
				b.Fatal(report, err)
			}
			_ = h.Close(b.Context())
		}
	})
	h, _ := open(b, dir)
	if info, err := os.Stat(filepath.Join(dir, indexName)); err == nil {
		b.Logf("the index has %d MB", info.Size()/1_000_000)
	}
	page := func(list func(context.Context, Query) ([]Summary, error), q Query) func() (int, error) {
		q.Limit = 100
		return func() (int, error) {
			rows, err := list(b.Context(), q)
			return len(rows), err
		}
	}
	attempts := func(ctx context.Context, q Query) ([]Summary, error) { return h.Attempts(ctx, q, true) }
	newest := func(ctx context.Context, q Query) ([]Summary, error) { return h.Attempts(ctx, q, false) }
	project, workflow := Query{Project: 7}, Query{Project: 7, Workflow: "workflow-3"}
	for _, c := range []struct {
		name string
		do   func() (int, error)
		want int
	}{
		{"attempts", page(attempts, Query{}), 100},
		{"attempts-deep", page(attempts, Query{Before: 500_000}), 100},
		{"attempts-project", page(attempts, project), 100},
		{"attempts-workflow", page(attempts, workflow), 100},
		{"newest", page(newest, Query{}), 100},
		{"newest-project", page(newest, project), 100},
		{"newest-workflow", page(newest, workflow), 100},
		{"sessions", page(h.Sessions, Query{}), 100},
		{"sessions-project", page(h.Sessions, project), 100},
		{"sessions-workflow", page(h.Sessions, workflow), 100},
		{"session-attempts", func() (int, error) {
			rows, err := h.SessionAttempts(b.Context(), 499_999, 0, 100)
			return len(rows), err
		}, 2},
		{"past", func() (int, error) {
			r := oneOfMany(499_999, 0)
			past, err := h.Past(b.Context(), r.Session.Project, r.Session.Workflow, r.Session.Time)
			if past == nil {
				return 0, err
			}
			return past.Index, err
		}, 2},
		{"last-success", func() (int, error) {
			_, err := h.LastSuccess(b.Context(), 7, "workflow-3")
			return 1, err
		}, 1},
		{"usual-duration", func() (int, error) {
			_, n, err := h.UsualDuration(b.Context(), 7, "workflow-3")
			return n, err
		}, 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if n, err := c.do(); n != c.want || err != nil {
					b.Fatalf("got %d, %v, want %d", n, err, c.want)
				}
			}
		})
	}
}

// BenchmarkPut compares putting an attempt of ten tasks to publishing as many
// bytes, which syncs a file and a folder, and to a plain write and sync.
func BenchmarkPut(b *testing.B) {
	ten := func(id uint64) *flow.Record {
		r := record(id, id)
		for len(r.Tasks) < 10 {
			r.Tasks = append(r.Tasks, r.Tasks[1])
		}
		return r
	}
	b.Run("put", func(b *testing.B) {
		h, _ := open(b, b.TempDir())
		id := uint64(0)
		for b.Loop() {
			id++
			if err := h.Put(b.Context(), ten(id)); err != nil {
				b.Fatal(err)
			}
		}
	})
	data := make([]byte, 600)
	b.Run("publish", func(b *testing.B) {
		dir := b.TempDir()
		n := 0
		for b.Loop() {
			n++
			if err := atomicfile.WriteFile(filepath.Join(dir, fmt.Sprint(n)), data, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write+fsync", func(b *testing.B) {
		dir := b.TempDir()
		n := 0
		for b.Loop() {
			n++
			f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
			if err != nil {
				b.Fatal(err)
			}
			_, err = f.Write(data)
			if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRebuild measures an index made anew, a thousand attempts at a time.
func BenchmarkRebuild(b *testing.B) {
	dir := b.TempDir()
	h, _ := open(b, dir)
	for id := range uint64(1000) {
		if err := h.Put(b.Context(), record(id+1, id+1)); err != nil {
			b.Fatal(err)
		}
	}
	if err := h.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := removeIndex(filepath.Join(dir, indexName)); err != nil {
			b.Fatal(err)
		}
		h, report, err := Open(b.Context(), dir, Options{})
		if err != nil || report.Added != 1000 {
			b.Fatal(report, err)
		}
		_ = h.Close(b.Context())
	}
}
