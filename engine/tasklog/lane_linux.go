package tasklog

import (
	"os"

	"golang.org/x/sys/unix"
)

// unwritten reports whether no process has the file open for writing: only then
// does the system grant a read lease.
func unwritten(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return false
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}
