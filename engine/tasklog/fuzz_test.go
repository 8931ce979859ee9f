package tasklog

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzLive reads arbitrary bytes as a live file: what is refused is refused
// with an error, and what is taken is the same when it is read again.
func FuzzLive(f *testing.F) {
	good := liveHeader + "a\x01x" + "b\x05\x05\x01\x02+a" + "d\x03\x00hi" + "f\x03\x00\x00\x00"
	f.Add([]byte(good))
	f.Add([]byte(good[:len(good)-1]))
	f.Add([]byte(liveHeader + "\x00\x00"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		s := NewStore(Options{Dir: dir, Agent: "next"})
		live := s.path(7, ".live")
		if err := os.MkdirAll(live, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(live, liveName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := s.List(7)
		if err != nil {
			return
		}
		again, err := NewStore(Options{Dir: dir}).List(7)
		if err != nil || len(again) != len(first) {
			t.Fatalf("got %v, %v when read again, want %v", again, err, first)
		}
		for _, info := range first {
			r, err := s.Open(7, info.Name, 0)
			if err != nil {
				// The form of a name is ours to find a time in, not that of a
				// time before 1970 or of an agent that looks like one.
				continue
			}
			if n, err := io.Copy(io.Discard, r); err != nil || n != info.Size {
				t.Errorf("%q: got %d bytes, %v, want %d", info.Name, n, err, info.Size)
			}
			r.Close()
		}
		w := s.Begin(Run{Attempt: 7, FullName: "+new", Time: time.Unix(1, 0)})
		if _, err := w.Write([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if more, err := s.List(7); err != nil || len(more) != len(first)+1 {
			t.Errorf("got %d logs, %v after another, want %d", len(more), err, len(first)+1)
		}
		if err := s.Pack(7); err != nil {
			t.Error(err)
		}
		if more, err := s.List(7); err != nil || len(more) != len(first)+1 {
			t.Errorf("got %d logs, %v packed, want %d", len(more), err, len(first)+1)
		}
	})
}

// FuzzPackIndex reads arbitrary bytes as the index of a pack with one block.
func FuzzPackIndex(f *testing.F) {
	var block bytes.Buffer
	block.WriteString(packHeader)
	w, err := flate.NewWriter(&block, flate.BestSpeed)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte("hello world")); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	length := byte(block.Len() - len(packHeader))
	f.Add([]byte{1, length, 11, 1, 1, 'x', 2, 1, 1, 2, 0, 6, 1, 'a', 2, 1, 4, 0, 5, 1, 'b'})
	f.Add([]byte{1, length, 12, 1, 1, 'x', 1, 1, 1, 2, 0, 12, 1, 'a'})
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, index []byte) {
		p := &pack{path: "fuzz"}
		if err := p.decode(&cursor{b: index}, int64(block.Len())); err != nil {
			return
		}
		for _, l := range p.logs {
			n, err := io.Copy(io.Discard, p.read(bytes.NewReader(block.Bytes()), l, 0))
			if err == nil && n != l.Size {
				t.Errorf("got %d bytes without an error, want %d", n, l.Size)
			}
		}
	})
}
