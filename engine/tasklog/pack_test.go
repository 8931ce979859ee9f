package tasklog_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/engine/tasklog"
)

func TestPackFormat(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{Agent: "agent"})
	s.write(s.begin(1, 1), "hello ")
	s.write(s.begin(2, 3), "world")
	s.pack()
	b, err := os.ReadFile(filepath.Join(s.dir, "0", "7.pack"))
	if err != nil {
		t.Fatal(err)
	}
	const header = "gitdag task logs 1\n"
	if !strings.HasPrefix(string(b), header) || !strings.HasSuffix(string(b), "gdlogpk1") {
		t.Fatalf("got %q", b)
	}
	trailer := b[len(b)-28:]
	off, length := binary.BigEndian.Uint64(trailer), binary.BigEndian.Uint64(trailer[8:])
	equal(t, "blocks", inflate(t, b[len(header):off]), "hello world")
	want := []byte{1, byte(off) - byte(len(header)), 11}
	want = append(want, 1, 5)
	want = append(want, "agent"...)
	want = append(want, 2)
	for i, log := range []struct{ task, execution, size byte }{{1, 1, 6}, {2, 3, 5}} {
		want = append(want, log.task, log.execution)
		want = binary.AppendVarint(want, noon.UnixNano()+int64(i))
		want = append(want, 0, log.size, 4)
		want = fmt.Appendf(want, "+w+%d", log.task)
	}
	equal(t, "index", []byte(inflate(t, b[off:off+length])), want)
}

func TestPackIsIdempotent(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	w := s.begin(1, 1)
	s.write(w, "one ")
	s.command(w, "echo lane")
	s.close(w)
	beside := s.crashed() // the live logs, for later
	s.pack()
	want := map[string]string{"1.1": "one lane\n"}
	s.pack()
	equal(t, "packed twice", s.contents(), want)

	// A crash between the publication of the pack and the removal.
	if err := os.CopyFS(s.dir, os.DirFS(beside.dir)); err != nil {
		t.Fatal(err)
	}
	next := s.crashed()
	equal(t, "both there", next.contents(), want)
	next.pack()
	equal(t, "packed again", next.contents(), want)
	equal(t, "files", next.files(), []string{"0", "0/7.pack"})

	// Something logs after the end: it gets a later time and joins the pack.
	late := next.begin(1, 2)
	next.write(late, "late")
	want["1.2"] = "late"
	equal(t, "beside the pack", next.contents(), want)
	next.pack()
	equal(t, "joined", next.contents(), want)
	equal(t, "order", []int{next.list()[0].Execution, next.list()[1].Execution}, []int{1, 2})
}

func TestDamagedPacks(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	for i := range 20 {
		s.write(s.begin(uint64(i), 1), strings.Repeat(fmt.Sprintln("line", i), 300))
	}
	s.pack()
	name := s.list()[0].Name
	path := filepath.Join(s.dir, "0", "7.pack")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte) {
		t.Helper()
		again := newStore(t, tasklog.Options{})
		if err := os.Mkdir(filepath.Join(again.dir, "0"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(again.dir, "0", "7.pack"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, listErr := again.List(7)
		r, err := again.Open(7, name, 0)
		if err == nil {
			_, err = r.Read(make([]byte, 10))
			r.Close()
		}
		if listErr == nil && err == nil {
			return // the damage is in another log
		}
		if listErr != nil && (err == nil || !strings.Contains(listErr.Error(), "list logs of attempt 7: read log pack ")) {
			t.Errorf("%s: got %v and %v", what, listErr, err)
		}
	}
	for i := 0; i < len(whole); i += 7 {
		try(fmt.Sprintf("cut at %d", i), whole[:i])
		flipped := slices.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("flip at %d", i), flipped)
	}
	for _, b := range [][]byte{nil, whole[:len(whole)-1], append(slices.Clone(whole), 0)} {
		again := newStore(t, tasklog.Options{Dir: s.dir})
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := again.List(7); err == nil || !strings.HasSuffix(err.Error(), "7.pack: damaged") {
			t.Errorf("%d bytes: got %v, want damaged", len(b), err)
		}
		if _, err := again.begin(1, 1).Write([]byte("x")); err == nil {
			t.Error("a log beside a damaged pack was begun")
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	for attempt := range uint64(6) {
		w := s.Begin(tasklog.Run{Attempt: attempt * 500, Task: 1, FullName: "+t", Time: noon})
		s.write(w, "some text")
		if attempt == 5 {
			s.command(w, ":") // lives on
			break
		}
		if err := s.Pack(attempt * 500); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	age := func(rel string, age time.Duration) int64 {
		t.Helper()
		path := filepath.Join(s.dir, rel)
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const day = 24 * time.Hour
	var size int64
	for i, rel := range []string{"0/0.pack", "0/500.pack", "1/1000.pack", "1/1500.pack", "2/2000.pack"} {
		size = age(rel, time.Duration(i)*day)
	}
	for _, rel := range []string{"0/.0.pack.0000000000000123.tmp", "0/.0.pack.0000000000000124.tmp", "notes"} {
		if err := os.WriteFile(filepath.Join(s.dir, rel), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	age("0/.0.pack.0000000000000123.tmp", 2*time.Hour)
	live := []string{"2/2500.live", "2/2500.live/0.out", "2/2500.live/live"}
	for _, tt := range []struct {
		name string
		keep tasklog.Retention
		want []string
	}{
		{"all", tasklog.Retention{}, []string{"0", "0/.0.pack.0000000000000124.tmp", "0/0.pack", "0/500.pack", "1", "1/1000.pack", "1/1500.pack", "2", "2/2000.pack"}},
		{"all fit", tasklog.Retention{Age: 5 * day, Bytes: 5*size + 10}, []string{"0", "0/.0.pack.0000000000000124.tmp", "0/0.pack", "0/500.pack", "1", "1/1000.pack", "1/1500.pack", "2", "2/2000.pack"}},
		{"age", tasklog.Retention{Age: 3*day + time.Hour}, []string{"0", "0/.0.pack.0000000000000124.tmp", "0/0.pack", "0/500.pack", "1", "1/1000.pack", "1/1500.pack", "2"}},
		{"bytes", tasklog.Retention{Age: 5 * day, Bytes: 2*size + size/2}, []string{"0", "0/.0.pack.0000000000000124.tmp", "0/0.pack", "0/500.pack", "2"}},
	} {
		if err := s.Sweep(now, tt.keep); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		equal(t, tt.name, s.files(), append(append(tt.want, live...), "notes"))
	}
	none := newStore(t, tasklog.Options{Dir: filepath.Join(s.dir, "none")})
	if err := none.Sweep(now, tasklog.Retention{}); err != nil {
		t.Errorf("sweep what never was: %v", err)
	}
	bad := newStore(t, tasklog.Options{Dir: filepath.Join(s.dir, "notes")})
	if err := bad.Sweep(now, tasklog.Retention{}); err == nil || !strings.HasPrefix(err.Error(), "sweep logs: ") {
		t.Errorf("got %v, want an error", err)
	}
}
