package journal

import (
	"io/fs"
	"os"
	"syscall"
)

// syncFile uses fdatasync: it makes the bytes and a changed size durable and leaves the times alone, which nothing here reads.
func syncFile(f *os.File) error {
	if err := onDescriptor(f, syscall.Fdatasync); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
