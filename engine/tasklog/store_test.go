package tasklog_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/tasklog"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2031, 4, 4, 17, 16, 2, 82, time.UTC)

type store struct {
	*tasklog.Store
	t   testing.TB
	dir string
}

func newStore(t testing.TB, o tasklog.Options) store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Agent == "" {
		o.Agent = "4242@worker-3"
	}
	s := tasklog.NewStore(o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return store{s, t, o.Dir}
}

// begin begins the execution's log: the n-th task of attempt 7, "+w+n".
func (s store) begin(task uint64, execution int) *tasklog.Writer {
	return s.Begin(tasklog.Run{Attempt: 7, Task: task, Execution: execution, FullName: fmt.Sprintf("+w+%d", task), Time: noon})
}

func (s store) write(w *tasklog.Writer, text string) {
	s.t.Helper()
	if n, err := io.WriteString(w, text); err != nil || n != len(text) {
		s.t.Fatalf("write %.20q: %d, %v", text, n, err)
	}
}

// command runs a shell script whose output goes straight into the log.
func (s store) command(w *tasklog.Writer, script string) {
	s.t.Helper()
	f, err := w.File()
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command("/bin/sh", "-c", script)
	c.Stdout, c.Stderr = f, f
	if err := c.Run(); err != nil {
		s.t.Fatal(err)
	}
}

func (s store) close(w *tasklog.Writer) {
	s.t.Helper()
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s store) list() []tasklog.Info {
	s.t.Helper()
	infos, err := s.List(7)
	if err != nil {
		s.t.Fatal(err)
	}
	return infos
}

// contents returns what each log of attempt 7 holds, by task and execution,
// and checks that the sizes are those of the list.
func (s store) contents() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	for _, info := range s.list() {
		text := s.read(info.Name, 0)
		if int64(len(text)) != info.Size {
			s.t.Errorf("%s: got %d bytes, want %d as listed", info.Name, len(text), info.Size)
		}
		all[fmt.Sprintf("%d.%d", info.Task, info.Execution)] = text
	}
	return all
}

func (s store) read(name string, offset int64) string {
	s.t.Helper()
	r, err := s.Open(7, name, offset)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s store) pack() {
	s.t.Helper()
	if err := s.Pack(7); err != nil {
		s.t.Fatal(err)
	}
}

// files lists what is on the disk.
func (s store) files() []string {
	s.t.Helper()
	var names []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != s.dir {
			rel, _ := filepath.Rel(s.dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Each execution has a log of its own (Q24).
func TestALogIsListedWithItsFirstByte(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	w := s.begin(1, 1)
	s.write(w, "")
	equal(t, "before the first byte", len(s.list()), 0)
	equal(t, "files", len(s.files()), 0)
	s.write(w, "hello\n")
	want := []tasklog.Info{{
		Name: "+w+1@6f2a82520000" + "0052.4242@worker-3.log.gz", FullName: "+w+1", Task: 1, Execution: 1,
		Time: noon, Agent: "4242@worker-3", Size: 6,
	}}
	want[0].Name = fmt.Sprintf("+w+1@%08x%08x.4242@worker-3.log.gz", noon.Unix(), noon.Nanosecond())
	equal(t, "list", s.list(), want)

	quiet := s.begin(2, 1)
	s.command(quiet, ":")
	s.close(quiet)
	equal(t, "a command that prints nothing", len(s.list()), 1)
	s.close(w)
	s.pack()
	equal(t, "packed", s.list(), want)
}

func TestFollowWhileItRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	w := s.begin(1, 1)
	s.write(w, "sh>: ./run\n")
	name := s.list()[0].Name
	equal(t, "in-process", s.read(name, 0), "sh>: ./run\n")
	s.command(w, "echo one; echo two >&2")
	equal(t, "from an offset", s.read(name, 11), "one\ntwo\n")
	s.write(w, "done\n")
	s.command(w, "printf three")
	equal(t, "later", s.read(name, 11+8), "done\nthree")
	equal(t, "in the middle of a part", s.read(name, 5), "./run\none\ntwo\ndone\nthree")
	equal(t, "at the end", s.read(name, s.list()[0].Size), "")
	equal(t, "beyond the end", s.read(name, 1000), "")
	s.close(w)
	before := s.list()
	s.pack()
	equal(t, "name and size after packing", s.list(), before)
	equal(t, "packed", s.read(name, 5), "./run\none\ntwo\ndone\nthree")
	equal(t, "packed, beyond the end", s.read(name, 1000), "")
	equal(t, "files", s.files(), []string{"0", "0/7.pack"})
}

// A reader opened before the logs are packed goes on afterwards.
func TestAReaderOutlivesPacking(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	w := s.begin(1, 1)
	s.write(w, "head ")
	s.command(w, "echo lane")
	r, err := s.Open(7, s.list()[0].Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.pack()
	text, err := io.ReadAll(r)
	if err != nil || string(text) != "head lane\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := io.WriteString(w, "late"); err == nil || err.Error() != "the attempt has ended and its logs are packed" {
		t.Errorf("a late write: got %v", err)
	}
	if _, err := w.File(); err == nil {
		t.Error("a late command got a file")
	}
	s.close(w)
}

func TestNamesAndOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{Agent: "a/b%"})
	long := "+" + strings.Repeat("x", 5000)
	for i, name := range []string{"+a/b", "+a", "+a\\b%\x00\x7f", long, "+a", "+ä^sub", "+a"} {
		w := s.Begin(tasklog.Run{Attempt: 7, Task: uint64(i), FullName: name, Time: noon})
		s.write(w, fmt.Sprint(i))
		s.close(w)
	}
	want := map[string]string{"0.0": "0", "1.0": "1", "2.0": "2", "3.0": "3", "4.0": "4", "5.0": "5", "6.0": "6"}
	for _, state := range []string{"live", "packed"} {
		equal(t, state, s.contents(), want)
		infos := s.list()
		var order []uint64
		names := map[string]bool{}
		for i, info := range infos {
			names[info.Name] = true
			if strings.ContainsAny(info.Name, "/\\\x00\x7f") || !strings.HasSuffix(info.Name, ".a%2fb%25.log.gz") {
				t.Errorf("%s: bad name %q", state, info.Name)
			}
			if i > 0 && infos[i-1].Name >= info.Name {
				t.Errorf("%s: %.50q is not before %.50q", state, infos[i-1].Name, info.Name)
			}
			if info.FullName == "+a" {
				order = append(order, info.Task)
			}
		}
		equal(t, state+": order of one name", order, []uint64{1, 4, 6})
		equal(t, state+": distinct names", len(names), 7)
		s.pack()
	}
}

func TestOpenRefusesWhatIsNotALog(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	s.write(s.begin(1, 1), "x")
	name := s.list()[0].Name
	for range 2 { // live, then packed
		for _, bad := range []string{
			"", ".", "..", "../7.pack", "live", "0.out", "+w+1", "+w+1@.log.gz", "+w+1@zzzzzzzz00000000.a.log.gz",
			"x" + name, name + "x", "../" + name, strings.Replace(name, "+w+1", "+w+2", 1), strings.ToUpper(name),
			"+w+1@000000000000000g.a.log.gz", "+w+1@0000000000000001.4242@worker-3.log.gz",
		} {
			if _, err := s.Open(7, bad, 0); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: got %v, want %v", bad, err, fs.ErrNotExist)
			}
		}
		if _, err := s.Open(7, name, -1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("negative offset: got %v", err)
		}
		if _, err := s.Open(8, name, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("other attempt: got %v", err)
		}
		s.pack()
	}
	if infos, err := s.List(8); err != nil || len(infos) != 0 {
		t.Errorf("got %v, %v for an attempt without logs", infos, err)
	}
	if err := s.Pack(8); err != nil {
		t.Errorf("pack an attempt without logs: %v", err)
	}
}

func TestTheLimit(t *testing.T) {
	t.Parallel()
	const notice = "\n[the log ends here: it has reached its limit of 10 bytes]\n"
	for _, tt := range []struct {
		name  string
		print func(s store, w *tasklog.Writer)
		want  string
	}{
		{"exactly", func(s store, w *tasklog.Writer) { s.write(w, "0123456789") }, "0123456789"},
		{"one write", func(s store, w *tasklog.Writer) { s.write(w, "0123456789A") }, "0123456789" + notice},
		{"many writes", func(s store, w *tasklog.Writer) {
			for i := range 100 {
				s.write(w, fmt.Sprint(i%10))
			}
		}, "0123456789" + notice},
		{"command", func(s store, w *tasklog.Writer) { s.command(w, "printf 0123456789A") }, "0123456789" + notice},
		{"command exactly", func(s store, w *tasklog.Writer) { s.command(w, "printf 0123456789") }, "0123456789"},
		{"both", func(s store, w *tasklog.Writer) {
			s.write(w, "0123")
			s.command(w, "printf 456789; printf more")
			s.write(w, "and more")
			s.command(w, "printf more")
		}, "0123456789" + notice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, tasklog.Options{MaxBytes: 10})
			w := s.begin(1, 1)
			tt.print(s, w)
			size := s.list()[0].Size
			equal(t, "running", s.contents(), map[string]string{"1.1": tt.want})
			s.close(w)
			equal(t, "ended", s.contents(), map[string]string{"1.1": tt.want})
			next := s.begin(2, 1)
			s.command(next, "printf next")
			equal(t, "beside the next", s.contents(), map[string]string{"1.1": tt.want, "2.1": "next"})
			s.pack()
			equal(t, "packed", s.contents(), map[string]string{"1.1": tt.want, "2.1": "next"})
			equal(t, "size", s.list()[0].Size, size)
		})
	}
}

// What a running command prints beyond the limit leaves the disk within a
// second or so, and no reader sees it come and go.
func TestTheDiskIsGivenBackWhileTheCommandRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{MaxBytes: 100_000})
	w := s.begin(1, 1)
	s.command(w, "head -c 5000000 /dev/zero")
	lane := filepath.Join(s.dir, "0", "7.live", "0.out")
	size := func() int64 {
		info, err := os.Stat(lane)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	deadline := time.After(10 * time.Second)
	for ticks := time.Tick(20 * time.Millisecond); size() != 100_001; {
		select {
		case <-ticks:
		case <-deadline:
			t.Fatalf("the file still has %d bytes", size())
		}
	}
	before := s.list()
	s.command(w, "head -c 1000 /dev/zero")
	equal(t, "list", s.list(), before)
	s.close(w)
	equal(t, "list", s.list(), before)
}

func TestLanesAreUsedAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	want := map[string]string{}
	for i := range 50 {
		w := s.begin(uint64(i), 1)
		s.write(w, "cmd ")
		s.command(w, fmt.Sprintf("echo out %d", i))
		s.close(w)
		want[fmt.Sprintf("%d.1", i)] = fmt.Sprintf("cmd out %d\n", i)
	}
	equal(t, "logs", s.contents(), want)
	if got := len(s.files()); got > 6 { // the shard, 7.live, live, and hardly more than one lane
		t.Errorf("got %d files: %q", got, s.files())
	}
	s.pack()
	equal(t, "packed", s.contents(), want)
}

// A daemon that a command leaves behind must not write into the next log.
func TestADaemonKeepsItsLane(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	fifo, done := filepath.Join(t.TempDir(), "go"), filepath.Join(t.TempDir(), "done")
	if err := exec.Command("mkfifo", fifo, done).Run(); err != nil {
		t.Fatal(err)
	}
	w := s.begin(1, 1)
	s.command(w, "(read -r go <"+fifo+"; echo daemon; echo >"+done+") & echo up")
	s.close(w)
	var others []*tasklog.Writer
	for i := range 10 {
		w := s.begin(uint64(2+i), 1)
		s.command(w, "echo mine")
		others = append(others, w)
	}
	for path, text := range map[string]string{fifo: "go\n"} {
		if err := os.WriteFile(path, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.ReadFile(done); err != nil {
		t.Fatal(err)
	}
	for _, w := range others {
		s.close(w)
	}
	for key, text := range s.contents() {
		want := "mine\n"
		if key == "1.1" {
			want = "up\n"
		}
		if text != want {
			t.Errorf("%s: got %q, want %q", key, text, want)
		}
	}
}

func TestBigLogsLeaveTheSharedFile(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	small, big, lines := s.begin(1, 1), s.begin(2, 1), s.begin(3, 1)
	var want [3]strings.Builder
	for i := range 2000 {
		for n, text := range []string{"", strings.Repeat(fmt.Sprintf("%d,", i), 200) + "\n", fmt.Sprintln(i)} {
			want[n].WriteString(text)
			s.write([]*tasklog.Writer{small, big, lines}[n], text)
		}
	}
	s.write(small, "s")
	once := strings.Repeat("0123456789", 50_000)
	w := s.begin(4, 1)
	s.write(w, once)
	all := map[string]string{"1.1": "s", "2.1": want[1].String(), "3.1": want[2].String(), "4.1": once}
	if !cmp.Equal(s.contents(), all) {
		t.Error("the live logs differ")
	}
	s.pack()
	if !cmp.Equal(s.contents(), all) {
		t.Error("the packed logs differ")
	}
	for _, info := range s.list() {
		if info.Task == 4 {
			for _, at := range []int64{1, 65535, 65536, 65537, 300_001, 499_999} {
				if got := s.read(info.Name, at); got != once[at:] {
					t.Errorf("from %d: got %d bytes, want %d", at, len(got), len(once)-int(at))
				}
			}
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	long := strings.Repeat("x", 50_000)
	for i, text := range []string{"old\n", "a\r\nb\n\nc", long + "\n" + long + "\nlast\n", "one\ntwo\n"} {
		w := s.begin(uint64(max(1, i)), i)
		s.write(w, text)
		s.close(w)
	}
	for _, tt := range []struct {
		task  uint64
		lines int
		want  []string
	}{
		{1, 10, []string{"a", "b", "", "c"}},
		{1, 2, []string{"", "c"}},
		{1, 0, []string{}},
		{1, -1, []string{}},
		{2, 2, []string{long, "last"}},
		{2, 100, []string{long, "last"}},
		{3, 1, []string{"two"}},
		{4, 5, nil},
	} {
		got, err := s.Tail(7, tt.task, tt.lines)
		if err != nil || !cmp.Equal(got, tt.want) {
			t.Errorf("task %d, %d lines: got %.20q, %v, want %.20q", tt.task, tt.lines, got, err, tt.want)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	var group sync.WaitGroup
	want := map[string]string{}
	for i := range 16 {
		want[fmt.Sprintf("%d.1", i)] = strings.Repeat(fmt.Sprintf("%d\n", i), 500) + "end\n"
		group.Go(func() {
			w := s.begin(uint64(i), 1)
			for range 500 {
				if _, err := fmt.Fprintln(w, i); err != nil {
					t.Error(err)
				}
			}
			if i%4 == 0 {
				s.command(w, "echo end")
			} else {
				s.write(w, "end\n")
			}
			s.close(w)
		})
		group.Go(func() {
			for range 20 {
				infos, err := s.List(7)
				for _, info := range infos {
					r, openErr := s.Open(7, info.Name, 0)
					if openErr != nil {
						err = openErr
						break
					}
					n, readErr := io.Copy(io.Discard, r)
					if err = errors.Join(readErr, r.Close()); n < info.Size {
						t.Errorf("got %d bytes, want %d or more", n, info.Size)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	equal(t, "logs", s.contents(), want)
	for range 4 {
		group.Go(s.pack)
		group.Go(func() { equal(t, "while packing", len(s.list()), 16) })
	}
	group.Wait()
	equal(t, "packed", s.contents(), want)
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	w, other := s.begin(1, 1), s.begin(2, 1)
	s.write(w, "x")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("y")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v, want %v", err, fs.ErrClosed)
	}
	s.close(w)
	if _, err := w.File(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v, want %v", err, fs.ErrClosed)
	}
	s.close(other)
	again := newStore(t, tasklog.Options{Dir: s.dir})
	equal(t, "found again", again.contents(), map[string]string{"1.1": "x"})
}

// deflated is how the format's page defines a stream, by another hand.
func inflate(t *testing.T, b []byte) string {
	t.Helper()
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
