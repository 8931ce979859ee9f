package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestLogFilesArePacked: full log files are packed and new ones begun, five are kept (language.md 9.1).
func TestLogFilesArePacked(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "gitdag.log")
	f, err := openLogFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const files = 8
	for i := range files * 2 { // two texts fill a file
		if _, err := f.Write(bytes.Repeat([]byte{'a' + byte(i/2)}, logFileSize<<19)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var packed []string
	for len(packed) != logFileKept {
		if ctx.Err() != nil {
			entries, _ := os.ReadDir(dir)
			t.Fatalf("got %v, want %d packed files", entries, logFileKept)
		}
		runtime.Gosched() // they are packed beside us
		all, _ := filepath.Glob(filepath.Join(dir, "gitdag-*"))
		if packed, _ = filepath.Glob(filepath.Join(dir, "gitdag-*.log.gz")); len(all) != len(packed) {
			packed = nil
		}
	}
	newest := packed[len(packed)-1]
	g, err := os.Open(newest)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	z, err := gzip.NewReader(g)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if want := bytes.Repeat([]byte{'a' + files - 2}, logFileSize<<20); err != nil || !bytes.Equal(text, want) {
		t.Errorf("the newest packed file has %d bytes, %v, want %d", len(text), err, len(want))
	}
	info, err := os.Stat(name)
	if err != nil || info.Size() != logFileSize<<20 || info.Mode().Perm()&0o444 != 0o444 {
		t.Errorf("got %v, %v, want the last texts, readable", info, err)
	}
}

func TestLogFileThatCannotBeOpened(t *testing.T) {
	if _, err := openLogFile(filepath.Join(t.TempDir(), "none", "x.log")); err == nil {
		t.Error("got no error")
	}
}
