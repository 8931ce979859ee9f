package history

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

var noon = time.Date(2031, 4, 5, 12, 0, 0, 0, time.UTC)

// record returns attempt id of a session of project 1's workflow "report",
// finished so many minutes after noon; change alters it.
func record(id, session uint64, change ...func(*flow.Record)) *flow.Record {
	r := &flow.Record{
		Session: flow.SessionFacts{
			ID: session, UUID: fmt.Sprintf("uuid-%d", session), Project: 1, Workflow: "report",
			Time: noon.Add(time.Duration(session) * time.Hour),
		},
		Attempt: flow.AttemptFacts{
			ID: id, Index: 1, Project: 1, ProjectName: "etl/daily", Workflow: "report", Definition: 903,
			Revision: "c0ffee", Timezone: "Asia/Tokyo",
			Params: flow.Value{Map: params.Of("station", "NZ-07")},
		},
		CreatedAt:  noon.Add(time.Duration(id)*time.Minute - 30*time.Second),
		FinishedAt: noon.Add(time.Duration(id) * time.Minute),
		Succeeded:  true,
		Tasks: []flow.Row{
			{ID: id * 10, FullName: "+report", Group: true, State: flow.Success, UpdatedAt: noon},
			{ID: id*10 + 1, Parent: id * 10, FullName: "+report+a", State: flow.Success, Execution: 1, UpdatedAt: noon},
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func retry(name string, index int) func(*flow.Record) {
	return func(r *flow.Record) { r.Attempt.RetryName, r.Attempt.Index = name, index }
}

func of(project uint64, workflow string) func(*flow.Record) {
	return func(r *flow.Record) {
		r.Session.Project, r.Attempt.Project = project, project
		r.Session.Workflow, r.Attempt.Workflow = workflow, workflow
	}
}

func finished(at time.Time) func(*flow.Record) {
	return func(r *flow.Record) { r.CreatedAt, r.FinishedAt = at.Add(-30*time.Second), at }
}

func failed(r *flow.Record) { r.Succeeded = false }

func open(t testing.TB, dir string) (*History, Report) {
	t.Helper()
	h, report, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	return h, report
}

func put(t testing.TB, h *History, records ...*flow.Record) {
	t.Helper()
	for _, r := range records {
		if err := h.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func shut(t testing.TB, h *History) {
	t.Helper()
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ids runs a list and returns the attempts in it.
func ids(t testing.TB) func([]Summary, error) []uint64 {
	return func(list []Summary, err error) []uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var ids []uint64
		for i := range list {
			ids = append(ids, list[i].Attempt.ID)
		}
		return ids
	}
}

func all(t testing.TB, h *History) []uint64 {
	t.Helper()
	return ids(t)(h.Attempts(t.Context(), Query{Limit: 100}, true))
}

func diff(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// full has a value in every field that is kept.
func full() *flow.Record {
	r := record(9021, 7710, retry("second try", 3), failed)
	r.Scheduled, r.Killed = true, true
	r.Attempt.Scheduled, r.Attempt.CaughtUp = 5, true
	r.Attempt.Checkout, r.Attempt.Ref = "checkouts/etl", "beef"
	r.Attempt.Commit = flow.Commit{ID: "c0ffee", Author: "A & <B>", Email: "a@example.com", Subject: "Fix", Time: noon}
	r.Attempt.SLA = flow.SLA{At: noon, Alert: true, Fail: true}
	r.Attempt.Params = flow.Value{Map: params.Of("b", params.Number("1.50"), "a", params.Template("${x}"), "d", "${data}", "l", params.List{nil, true})}
	r.Tasks = append(r.Tasks, flow.Row{
		ID: 90213, Parent: 90210, FullName: "+report+b", State: flow.Error, Canceling: true, Execution: 2, Retries: 1,
		Upstreams: []uint64{90211},
		Config:    params.Of("sh>", params.Template("echo ${x} <&>")), Export: params.Of("e", 1), Returned: params.NewMap(0),
		Store: params.Of("s", "$"), OpState: params.Of("retry_count", 2), Error: params.Of("message", "no\nway"),
		Note: "why", StartedAt: noon, UpdatedAt: noon.Add(time.Millisecond), RetryAt: noon.Add(time.Hour),
	})
	return r
}

func TestRecordComesBackWhole(t *testing.T) {
	h, _ := open(t, t.TempDir())
	want := full()
	put(t, h, want)
	got, err := h.Record(t.Context(), 9021)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "record", got, want)

	s, err := h.Attempt(t.Context(), 9021)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "summary", s, Summary{
		Session: want.Session, Attempt: want.Attempt, CreatedAt: want.CreatedAt, FinishedAt: want.FinishedAt,
		Killed: true, Tasks: 3,
	})
}

func TestFileNeedsNothingBesideIt(t *testing.T) {
	h, _ := open(t, t.TempDir())
	r := full()
	r.Attempt.Params.Ref = "0123abcd"
	r.Attempt.SLA.Tree = &flow.Tree{Ref: "abcd"}
	put(t, h, r)
	got, err := h.Record(t.Context(), 9021)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "record", got, full())
}

// TestFormat writes the format down as docs/history.md does. A change here
// needs a new format version.
func TestFormat(t *testing.T) {
	h, _ := open(t, t.TempDir())
	put(t, h, record(1, 2))
	if _, err := h.Expire(t.Context(), Keep{Age: time.Hour}, days(1)); err != nil {
		t.Fatal(err)
	}
	put(t, h, record(1, 2))
	diff(t, "attempt", unzip(t, h.archive.file(dayOf(noon), 1)),
		`{"gitdag":"attempt","format":1,`+
			`"session":{"id":2,"uuid":"uuid-2","project":1,"workflow":"report","time":"2031-04-05T14:00:00Z"},`+
			`"attempt":{"id":1,"index":1,"project":1,"projectName":"etl/daily","workflow":"report","definition":903,`+
			`"revision":"c0ffee","timezone":"Asia/Tokyo","params":{"station":"NZ-07"}},`+
			`"createdAt":"2031-04-05T12:00:30Z","finishedAt":"2031-04-05T12:01:00Z","succeeded":true,"tasks":2}
{"id":10,"fullName":"+report","group":true,"state":"success","updatedAt":"2031-04-05T12:00:00Z"}
{"id":11,"parent":10,"fullName":"+report+a","state":"success","execution":1,"updatedAt":"2031-04-05T12:00:00Z"}
`)
	diff(t, "expired", unzip(t, h.archive.expiredPath(dayOf(noon))),
		`{"gitdag":"expired","format":1}
{"attempt":1,"index":1,"session":{"id":2,"uuid":"uuid-2","project":1,"workflow":"report","time":"2031-04-05T14:00:00Z"}}
`)
}

func unzip(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPutRefuses(t *testing.T) {
	h, _ := open(t, t.TempDir())
	for name, change := range map[string]func(*flow.Record){
		"no attempt":          func(r *flow.Record) { r.Attempt.ID = 0 },
		"no session":          func(r *flow.Record) { r.Session.ID = 0 },
		"not finished":        func(r *flow.Record) { r.FinishedAt = time.Time{} },
		"parameters not here": func(r *flow.Record) { r.Attempt.Params = flow.Value{Ref: "0123abcd"} },
	} {
		if err := h.Put(t.Context(), record(1, 1, change)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if got := all(t, h); len(got) != 0 {
		t.Errorf("got attempts %v, want none", got)
	}
}

func TestPutTwiceIsOnce(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	put(t, h, record(7, 3), record(8, 4), record(7, 3))
	diff(t, "attempts", all(t, h), []uint64{8, 7})
	diff(t, "sessions", ids(t)(h.Sessions(t.Context(), Query{Limit: 9})), []uint64{8, 7})
	diff(t, "files", files(t, dir), []string{"2031-04-05/7.jsonl.gz", "2031-04-05/8.jsonl.gz"})
}

// files names what the archive holds.
func files(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, archiveDir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := filepath.Glob(filepath.Join(dir, archiveDir, "*", ".*"))
	if err != nil {
		t.Fatal(err)
	}
	paths = append(paths, hidden...)
	for i := range paths {
		if paths[i], err = filepath.Rel(filepath.Join(dir, archiveDir), paths[i]); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	return paths
}

func TestUnknown(t *testing.T) {
	h, _ := open(t, t.TempDir())
	put(t, h, record(1, 1, failed))
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	_, err := h.Attempt(t.Context(), 2)
	check("attempt", err)
	_, err = h.Record(t.Context(), 2)
	check("record", err)
	_, err = h.Session(t.Context(), 2)
	check("session", err)
	_, err = h.LastSuccess(t.Context(), 1, "report")
	check("success", err)
	d, n, err := h.UsualDuration(t.Context(), 1, "report")
	if d != 0 || n != 0 || err != nil {
		t.Errorf("got usual duration %v of %d, %v, want nothing", d, n, err)
	}
	past, err := h.Past(t.Context(), 1, "report", noon)
	if past != nil || err != nil {
		t.Errorf("got past %v, %v, want none", past, err)
	}
}

func TestPast(t *testing.T) {
	same := func(r *flow.Record) { r.Session.Time = record(1, 1).Session.Time }
	h, _ := open(t, t.TempDir())
	put(t, h, record(1, 1), record(5, 1, retry("again", 2)), record(3, 2), record(4, 9, of(2, "report"), same))
	session := record(1, 1).Session
	got, err := h.Past(t.Context(), 1, "report", session.Time.Add(300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "past", got, &flow.Past{
		Session: session, LastAttempt: 5, Index: 2, Names: map[string]uint64{"": 1, "again": 5},
	})
	for name, ask := range map[string]struct {
		project  uint64
		workflow string
		at       time.Time
	}{
		"project":  {3, "report", session.Time},
		"workflow": {1, "other", session.Time},
		"time":     {1, "report", session.Time.Add(time.Second)},
	} {
		if got, err := h.Past(t.Context(), ask.project, ask.workflow, ask.at); got != nil || err != nil {
			t.Errorf("another %s: got %v, %v, want none", name, got, err)
		}
	}
}

// failing is a disk that has room for so many more bytes.
type failing struct {
	io.Writer
	room int
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.Writer.Write(p[:f.room])
		return n, syscall.ENOSPC
	}
	f.room -= len(p)
	return f.Writer.Write(p)
}

func TestNoSpaceForTheFile(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	put(t, h, record(1, 1))
	for _, room := range []int{0, 1, 100} {
		h.archive.publish = func(path string, write func(io.Writer) error) error {
			return publish(path, func(w io.Writer) error { return write(&failing{w, room}) })
		}
		if err := h.Put(t.Context(), record(2, 2)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("room for %d bytes: got %v, want ENOSPC", room, err)
		}
		diff(t, "files", files(t, dir), []string{"2031-04-05/1.jsonl.gz"})
		diff(t, "attempts", all(t, h), []uint64{1})
	}
	h.archive.publish = publish
	put(t, h, record(2, 2))
	diff(t, "attempts", all(t, h), []uint64{2, 1})
}

func TestNoSpaceForTheRow(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	if _, err := h.index.writer.Exec(`PRAGMA max_page_count = 1`); err != nil {
		t.Fatal(err)
	}
	var err error
	n := uint64(0)
	for err == nil && n < 10_000 {
		n++
		err = h.Put(t.Context(), record(n, n, func(r *flow.Record) { r.Attempt.Checkout = string(make([]byte, 5000)) }))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want ENOSPC", err)
	}
	if got := all(t, h); len(got) != int(n-1) {
		t.Errorf("got %d attempts, want %d", len(got), n-1)
	}
	if _, err := h.index.writer.Exec(`PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	put(t, h, record(n, n))
	if got := all(t, h); len(got) != int(n) {
		t.Errorf("got %d attempts, want %d", len(got), n)
	}
}

func TestManyTasks(t *testing.T) {
	h, _ := open(t, t.TempDir())
	r := record(1, 1)
	r.Tasks = nil
	for i := range uint64(100_000) {
		r.Tasks = append(r.Tasks, flow.Row{
			ID: i + 1, Parent: 1, FullName: fmt.Sprintf("+report+loop+number-%d", i), State: flow.Success,
			Config: params.Of("sh>", "echo 1"), StartedAt: noon, UpdatedAt: noon,
		})
	}
	largest := 0
	h.archive.publish = func(path string, write func(io.Writer) error) error {
		return publish(path, func(w io.Writer) error { return write(&watched{w, &largest}) })
	}
	put(t, h, r)
	if largest > 1<<20 {
		t.Errorf("got a write of %d bytes, want a stream of small ones", largest)
	}
	got, err := h.Record(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tasks) != len(r.Tasks) || !cmp.Equal(got.Tasks[99_999], r.Tasks[99_999]) {
		t.Errorf("got %d tasks, the last %v", len(got.Tasks), got.Tasks[len(got.Tasks)-1])
	}
}

// watched notes the largest write.
type watched struct {
	io.Writer
	largest *int
}

func (w *watched) Write(p []byte) (int, error) {
	*w.largest = max(*w.largest, len(p))
	return w.Writer.Write(p)
}

func TestLongLines(t *testing.T) {
	h, _ := open(t, t.TempDir())
	r := record(1, 1)
	long := make([]byte, 300_000)
	for i := range long {
		long[i] = byte('a' + i%26)
	}
	r.Attempt.Params.Map = params.Of("text", string(long))
	r.Tasks[1].Store = params.Of("text", string(long[:200_000]))
	put(t, h, r)
	got, err := h.Record(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "record", got, r)
}

func TestReadersBesideWriters(t *testing.T) {
	h, _ := open(t, t.TempDir())
	const each = 30
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range uint64(4) {
		writers.Go(func() {
			for i := range uint64(each) {
				id := w*each + i + 1
				if err := h.Put(t.Context(), record(id, id, finished(noon.AddDate(0, 0, int(i)%3)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				list, err := h.Attempts(t.Context(), Query{Project: 1, Limit: 10}, false)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range list {
					if _, err := h.Record(t.Context(), list[i].Attempt.ID); err != nil && !errors.Is(err, ErrNotFound) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	readers.Go(func() {
		if _, err := h.Expire(t.Context(), Keep{Count: 50}, noon); err != nil {
			t.Error(err)
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	if _, err := h.Expire(t.Context(), Keep{Count: 50}, noon); err != nil {
		t.Error(err)
	}
	if got := len(all(t, h)); got < 50 || got > 4*each {
		t.Errorf("got %d attempts, want some 50", got)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(t.Context(), file, Options{}); err == nil {
		t.Error("a file as data directory: got no error")
	}
	if err := os.MkdirAll(filepath.Join(dir, indexName, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(t.Context(), dir, Options{}); err == nil {
		t.Error("a directory as index: got no error")
	}
}
