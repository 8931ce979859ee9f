package workspace

import (
	"os"

	"golang.org/x/sys/unix"
)

// clone makes dst share the disk blocks of src.
func clone(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}
