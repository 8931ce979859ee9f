//go:build !linux

package gitsync

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
)

// syncAll is not there: the caller syncs file by file.
func syncAll(string) error { return errors.ErrUnsupported }

// residentBytes is the memory that a process holds.
func residentBytes(pid int) (int64, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, err
	}
	kb, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return kb << 10, err
}
