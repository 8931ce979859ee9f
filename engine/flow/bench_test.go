package flow

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"gitdag/engine/params"
)

// BenchmarkParallel runs 10,000 parallel tasks of one attempt, events encoded.
func BenchmarkParallel(b *testing.B) {
	const n = 10_000
	benchmarkAttempt(b, n, Parallel{On: true}, 0)
}

// BenchmarkSequence1000 and BenchmarkSequence100000 run tasks one after
// another; the time a task is to be the same.
func BenchmarkSequence1000(b *testing.B) { benchmarkAttempt(b, 1000, Parallel{}, 0) }

// BenchmarkSequence100000 is the long one.
func BenchmarkSequence100000(b *testing.B) { benchmarkAttempt(b, 100_000, Parallel{}, 0) }

// BenchmarkParallelSlots runs 100,000 parallel tasks on four slots.
func BenchmarkParallelSlots(b *testing.B) { benchmarkAttempt(b, 100_000, Parallel{On: true}, 4) }

func benchmarkAttempt(b *testing.B, n int, order Parallel, slots int) {
	tree := wideTree(n, order)
	b.ReportAllocs()
	written := 0
	for b.Loop() {
		r := newRunner(b, tree, slots, true)
		for r.next() {
		}
		if a := r.s.Attempt(1); !a.Succeeded {
			b.Fatal("the attempt has not succeeded")
		}
		written = r.bytes
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*b.N), "ns/task")
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64(written)/float64(n), "written-B/task")
}

// halfDone is an attempt of n parallel tasks half of which are over, each with
// a configuration and a store of its own, as owner and follower have it; the
// follower has read its own copy of the tree.
func halfDone(tb testing.TB, n int) (owner, follower *State, tree *Tree) {
	tb.Helper()
	tree = wideTree(n, Parallel{On: true})
	for i := range tree.Nodes[1:] {
		tree.Nodes[i+1].Config = params.Of("sh>", params.Template(fmt.Sprintf("load part %d of ${session_date}", i)))
	}
	r := newRunner(tb, tree, 0, false)
	r.stores = true
	owner = r.s
	for range n / 2 {
		r.next()
	}
	var snapshot bytes.Buffer
	if err := owner.Encode(&snapshot); err != nil {
		tb.Fatal(err)
	}
	data, err := EncodeTree(tree)
	if err != nil {
		tb.Fatal(err)
	}
	objects := newMemObjects()
	if objects.trees[tree.Ref], err = DecodeTree(data); err != nil {
		tb.Fatal(err)
	}
	if follower, err = Decode(&snapshot, Config{}, objects); err != nil {
		tb.Fatal(err)
	}
	return owner, follower, tree
}

// BenchmarkMemory measures both states of a 100,000-task attempt.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := heapBytes()
		owner, follower, tree := halfDone(b, 100_000)
		b.ReportMetric(float64(heapBytes()-before)/1e6, "MB")
		runtime.KeepAlive(owner)
		runtime.KeepAlive(follower)
		runtime.KeepAlive(tree)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkEncode(b *testing.B) {
	owner, _, _ := halfDone(b, 100_000)
	size := 0
	for b.Loop() {
		var w bytes.Buffer
		if err := owner.Encode(&w); err != nil {
			b.Fatal(err)
		}
		size = w.Len()
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}

func BenchmarkDecode(b *testing.B) {
	owner, _, tree := halfDone(b, 100_000)
	var w bytes.Buffer
	if err := owner.Encode(&w); err != nil {
		b.Fatal(err)
	}
	objects := newMemObjects()
	objects.trees[tree.Ref] = tree
	for b.Loop() {
		if _, err := Decode(bytes.NewReader(w.Bytes()), Config{}, objects); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplay reads the journal of an attempt with 10,000 unfinished tasks
// and gets ready to go on.
func BenchmarkReplay(b *testing.B) {
	const n = 20_000
	tree := wideTree(n, Parallel{On: true})
	objects := newMemObjects()
	objects.trees[tree.Ref], objects.manifests["m"] = tree, benchManifest()
	s := New(Config{})
	var lines [][]byte
	var queue []*Dispatch
	take := func(in Input) {
		out, err := s.Step(at, in)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range out.Events {
			line, err := EncodeEvent(e)
			if err != nil {
				b.Fatal(err)
			}
			lines = append(lines, line)
		}
		for _, e := range out.Effects {
			if d, ok := e.(*Dispatch); ok {
				queue = append(queue, d)
			}
		}
	}
	take(&Deploy{Manifest: benchManifest()})
	take(&Start{Project: "p", Workflow: "w", Tree: tree, UUID: "u", Session: at})
	for _, d := range queue[:n/2] {
		take(&TaskSucceeded{Lease: d.Lease})
	}
	b.ResetTimer()
	for b.Loop() {
		again := New(Config{})
		for _, line := range lines {
			e, err := DecodeEvent(line, objects)
			if err != nil {
				b.Fatal(err)
			}
			again.Apply(e)
		}
		if _, err := again.Step(at, &Boot{}); err != nil {
			b.Fatal(err)
		}
		if got := len(again.Pending()); got != n/2 {
			b.Fatalf("%d effects are owed, want %d", got, n/2)
		}
	}
	b.ReportMetric(float64(len(lines)), "events")
}
