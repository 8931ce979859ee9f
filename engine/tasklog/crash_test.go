package tasklog_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gitdag/engine/tasklog"

	"github.com/google/go-cmp/cmp"
)

// crashed returns a store on a copy of what is on the disk now: what a process
// finds that starts after this one was killed.
func (s store) crashed() store {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "logs")
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	return newStore(s.t, tasklog.Options{Dir: dir, Agent: "next@worker-3"})
}

func TestAfterACrash(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	for i := range 3 {
		w := s.begin(uint64(i), 1)
		s.write(w, fmt.Sprintf("cmd %d\n", i))
		s.command(w, "echo done")
		s.close(w)
	}
	running := s.begin(3, 1)
	s.command(running, "echo partial")
	s.write(s.begin(4, 1), "not on the disk yet")

	next := s.crashed()
	want := map[string]string{"0.1": "cmd 0\ndone\n", "1.1": "cmd 1\ndone\n", "2.1": "cmd 2\ndone\n", "3.1": "partial\n"}
	equal(t, "partial logs", next.contents(), want)
	names := next.list()

	// The task runs again: under another agent, and after the first in order.
	w := next.begin(3, 2)
	next.command(w, "echo again")
	next.close(w)
	want["3.2"] = "again\n"
	equal(t, "with the next execution", next.contents(), want)
	after := next.list()
	equal(t, "names of before", after[:4], names)
	if last := after[4]; last.Agent != "next@worker-3" || !last.Time.After(after[3].Time) {
		t.Errorf("got %+v, want it after %+v", last, after[3])
	}
	next.pack()
	equal(t, "packed", next.contents(), want)
	equal(t, "packed list", next.list(), after)
}

func TestFlushedWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, tasklog.Options{})
		s.write(s.begin(1, 1), "x")
		equal(t, "at once", len(s.files()), 0)
		time.Sleep(time.Second) // the bubble's clock
		synctest.Wait()
		equal(t, "after a second", s.files(), []string{"0", "0/7.live", "0/7.live/live"})
		equal(t, "found", s.crashed().contents(), map[string]string{"1.1": "x"})
		s.write(s.begin(2, 1), "y")
		time.Sleep(time.Second)
		synctest.Wait()
		equal(t, "found", s.crashed().contents(), map[string]string{"1.1": "x", "2.1": "y"})
		s.pack()
	})
}

// Whatever length of the file a crash leaves, what is whole is there and new
// logs can follow.
func TestEveryCut(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	want := map[string]string{}
	for i := range 4 {
		w := s.begin(uint64(i), 1)
		s.write(w, strings.Repeat("x", i+1))
		if i%2 == 1 {
			s.command(w, "printf lane")
			want[fmt.Sprintf("%d.1", i)] = strings.Repeat("x", i+1) + "lane"
		} else {
			want[fmt.Sprintf("%d.1", i)] = strings.Repeat("x", i+1)
		}
		s.close(w)
	}
	equal(t, "whole", s.contents(), want) // and flushed
	path := filepath.Join("0", "7.live", "live")
	whole, err := os.ReadFile(filepath.Join(s.dir, path))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		next := s.crashed()
		if err := os.WriteFile(filepath.Join(next.dir, path), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		found := next.contents()
		for key, text := range found {
			// A lane's last known log may show what later ones printed.
			if head, _, _ := strings.Cut(want[key], "lane"); !strings.HasPrefix(text, head) && !strings.HasPrefix(head, text) {
				t.Errorf("cut at %d: log %s is %q, want %q", cut, key, text, want[key])
			}
		}
		if cut%8 != 0 { // the rest makes many files
			continue
		}
		w := next.begin(99, 1)
		next.write(w, "new ")
		next.command(w, "printf log")
		next.close(w)
		found["99.1"] = "new log"
		if got := next.crashed().contents(); !cmp.Equal(got, found) {
			t.Errorf("cut at %d: %s", cut, cmp.Diff(found, got))
		}
		next.pack()
		if got := next.contents(); !cmp.Equal(got, found) {
			t.Errorf("cut at %d, packed: %s", cut, cmp.Diff(found, got))
		}
	}
}

// Bytes that no crash of ours leaves, but a machine's might.
func TestDamagedLiveFiles(t *testing.T) {
	t.Parallel()
	header := "gitdag live task logs 1\n"
	record := func(kind byte, payload ...byte) string {
		return string(append(binary.AppendUvarint([]byte{kind}, uint64(len(payload))), payload...))
	}
	good := record('a', 'x') + record('b', 5, 1, 2, '+', 'a') + record('d', 0, 'h', 'i')
	for _, tt := range []struct {
		name, file string
		refused    bool
	}{
		{"zeros", header + good + "\x00\x00\x00\x00", false},
		{"unknown record", header + good + record('z', 1), false},
		{"data of no log", header + good + record('d', 9, 'x'), false},
		{"empty data", header + good + record('d', 0), false},
		{"no log number", header + good + record('d'), false},
		{"lane of no log", header + good + record('f', 9, 0, 0), false},
		{"lane out of order", header + good + record('f', 0, 7, 0), false},
		{"two lanes", header + good + record('f', 0, 0, 0) + record('f', 0, 0, 0), false},
		{"short lane", header + good + record('f', 0), false},
		{"same time", header + good + record('b', 6, 1, 2, '+', 'b'), false},
		{"short begin", header + good + record('b', 6), false},
		{"huge record", header + good + "b\xff\xff\xff\xff\xff\x01", false},
		{"endless number", header + good + "b\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false},
		{"other version", strings.Replace(header, "1", "2", 1) + good, true},
		{"other file", "x", true},
	} {
		s := newStore(t, tasklog.Options{})
		dir := filepath.Join(s.dir, "0", "7.live")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "live"), []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.refused {
			want := "read live logs of attempt 7: not a file of this version's logs"
			for _, err := range []error{second(s.List(7)), second(s.begin(1, 1).Write([]byte("x"))), s.Pack(7)} {
				if err == nil || !strings.HasSuffix(err.Error(), want) {
					t.Errorf("%s: got %v, want %s", tt.name, err, want)
				}
			}
			continue
		}
		equal(t, tt.name, s.contents(), map[string]string{"5.1": "hi"})
		s.write(s.begin(6, 1), "new")
		equal(t, tt.name, s.contents(), map[string]string{"5.1": "hi", "6.1": "new"})
		equal(t, tt.name, s.crashed().contents(), map[string]string{"5.1": "hi", "6.1": "new"})
	}
}

func second[T any](_ T, err error) error { return err }

func TestADiskThatTakesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	w := s.begin(1, 1)
	written := strings.Builder{}
	line := strings.Repeat("x", 1023) + "\n"
	s.write(w, line)
	written.WriteString(line)
	name := s.list()[0].Name
	if err := os.WriteFile(filepath.Join(s.dir, "0"), nil, 0o600); err != nil { // where the directory should be
		t.Fatal(err)
	}
	for range 60 {
		s.write(w, line)
		written.WriteString(line)
	}
	if _, err := w.File(); err == nil {
		t.Error("a command got a file")
	}
	var err error
	for i := 0; err == nil && i < 10_000; i++ {
		_, err = s.begin(2, i).Write([]byte(line))
	}
	if err == nil || !strings.HasPrefix(err.Error(), "write logs: ") {
		t.Errorf("got %v, want the memory to be limited", err)
	}
	if _, err := s.Open(7, name, 0); err == nil {
		t.Error("read what cannot be written")
	}
	if err := s.Pack(7); err == nil {
		t.Error("packed what cannot be written")
	}
	// The disk is back: nothing that was taken is lost.
	if err := os.Remove(filepath.Join(s.dir, "0")); err != nil {
		t.Fatal(err)
	}
	s.pack()
	if got := s.contents()["1.1"]; got != written.String() {
		t.Errorf("got %d bytes, want %d", len(got), written.Len())
	}
}
