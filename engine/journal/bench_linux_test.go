package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gitdag/engine/journal"
)

// BenchmarkAppend measures a batch of one record of 200 bytes against a plain write and fsync, and write and fdatasync, of as many bytes
// at the end of a file on the same disk. The three take turns, so that a disk that changes its pace changes it for all.
func BenchmarkAppend(b *testing.B) {
	j, _, err := journal.Open(journal.OSFS(filepath.Join(b.TempDir(), "data")), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	record := [][]byte{bytes.Repeat([]byte{'r'}, 200)}
	plain := bytes.Repeat([]byte{'p'}, 230) // record, line end and commit line
	fsync := plainFile(b, func(f *os.File) error { return f.Sync() }, plain)
	fdatasync := plainFile(b, datasync, plain)
	var journaled, synced, datasynced time.Duration
	for b.Loop() {
		journaled += timed(b, func() error { _, err := j.Append(record); return err })
		synced += timed(b, fsync)
		datasynced += timed(b, fdatasync)
	}
	b.ReportMetric(float64(journaled.Microseconds())/float64(b.N), "µs/append")
	b.ReportMetric(float64(journaled)/float64(synced), "×write+fsync")
	b.ReportMetric(float64(journaled)/float64(datasynced), "×write+fdatasync")
}

func plainFile(b *testing.B, sync func(*os.File) error, data []byte) func() error {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return func() error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		return sync(f)
	}
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkReplay opens a journal of 100,000 records of 200 bytes in batches of ten and replays it without decoding.
func BenchmarkReplay(b *testing.B) {
	const records, batch = 100_000, 10
	fsys := journal.OSFS(b.TempDir())
	j, _, err := journal.Open(fsys, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var data [][]byte
	for i := range batch {
		data = append(data, fmt.Appendf(nil, `{"record":%d,"text":%q}`, i, bytes.Repeat([]byte{'r'}, 175)))
	}
	for range records / batch {
		if _, err := j.Append(data); err != nil {
			b.Fatal(err)
		}
	}
	_ = j.Close()
	b.ReportAllocs()
	for b.Loop() {
		j, r, err := journal.Open(fsys, journal.Options{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := r.Replay(func(uint64, []byte) error { n++; return nil }); err != nil || n != records {
			b.Fatalf("got %d records, want %d (%v)", n, records, err)
		}
		_ = j.Close()
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
