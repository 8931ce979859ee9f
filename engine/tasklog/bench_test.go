package tasklog_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"gitdag/engine/tasklog"
)

// An attempt of 100,000 in-process tasks with a line each.
func TestAHundredThousandLogs(t *testing.T) {
	t.Parallel()
	s := newStore(t, tasklog.Options{})
	const n = 100_000
	for i := range n {
		w := s.begin(uint64(i), 1)
		s.write(w, fmt.Sprintf("echo>: this is what task %d has to say\n", i))
		s.close(w)
	}
	if got := len(s.list()); got != n {
		t.Errorf("got %d live logs, want %d", got, n)
	}
	s.pack()
	infos := s.list()
	if len(infos) != n {
		t.Fatalf("got %d packed logs, want %d", len(infos), n)
	}
	for i := 0; i < n; i += 9973 {
		want := fmt.Sprintf("echo>: this is what task %d has to say\n", infos[i].Task)
		if got := s.read(infos[i].Name, 0); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	equal(t, "files", s.files(), []string{"0", "0/7.pack"})
}

func BenchmarkInProcess(b *testing.B) {
	s := newStore(b, tasklog.Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		w := s.Begin(tasklog.Run{Attempt: 7, Task: uint64(n), Execution: 1, FullName: "+workflow+group+task", Time: noon})
		if _, err := io.WriteString(w, "echo>: this is what the task has to say\n"); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		n++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "heap-B/log")
	if err := s.Pack(7); err != nil {
		b.Fatal(err)
	}
	if info, err := os.Stat(s.dir + "/0/7.pack"); err == nil {
		b.ReportMetric(float64(info.Size())/float64(n), "pack-B/log")
	}
}

// What a command's log costs beside the command.
func BenchmarkCommandFile(b *testing.B) {
	s := newStore(b, tasklog.Options{})
	for n := 0; b.Loop(); n++ {
		w := s.begin(uint64(n), 1)
		f, err := w.File()
		if err == nil {
			_, err = f.WriteString("what the command prints\n")
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		b.StopTimer()
		s := newStore(b, tasklog.Options{})
		for i := range n {
			s.write(s.begin(uint64(i), 1), "echo>: this is what the task has to say\n")
		}
		b.StartTimer()
		if err := s.Pack(7); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/log")
}
