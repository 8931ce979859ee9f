package journal

import (
	"errors"
	"fmt"
)

// Errors that a caller branches on with errors.Is.
var (
	// ErrNoSpace means that the disk or the quota is full. Nothing was kept and nothing is lost; the same call may be made again.
	ErrNoSpace = errors.New("no space left for the data directory")
	// ErrFatal means that the journal, or the object store, cannot go on: what it last wrote may or may not be durable. Every later call
	// fails with it. The process is expected to exit and to recover from the files.
	ErrFatal = errors.New("journal failed")
	// ErrSync means that a sync failed. It is always fatal, and never retried: the kernel may have dropped the bytes.
	ErrSync = errors.New("sync failed")
	// ErrTooLarge means that the records do not fit into one batch (MaxBatch).
	ErrTooLarge = errors.New("batch is too large")
	// ErrBadRecord means that a record is empty, contains a line end, or begins with '#'.
	ErrBadRecord = errors.New("not a record")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("journal is closed")
	// ErrSound is the answer of Truncate when there is no damage to cut at.
	ErrSound = errors.New("journal is sound: nothing to cut")
)

// CorruptError is damage that no crash explains.
type CorruptError struct {
	File   string // relative to the data directory
	Offset int64  // of the first byte that does not count
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.File, e.Offset, e.Reason)
}

// Hint says what the user can do about it.
func (e *CorruptError) Hint() string {
	return "keep a copy of the data directory; look with `gitdag journal verify` and `gitdag journal dump`; " +
		"restore a backup, or drop what follows the damage with `gitdag journal truncate`"
}

// VersionError refuses a file in a format, or with records, of a newer version.
type VersionError struct {
	File      string // relative to the data directory
	What      string // "format" or "record schema"
	Version   int
	Supported int
	Writer    string // version of the program that wrote the file
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has %s %d, written by gitdag %s; this version reads up to %d", e.File, e.What, e.Version, e.Writer, e.Supported)
}

// Hint says what the user can do about it.
func (e *VersionError) Hint() string {
	return fmt.Sprintf("start gitdag %s or newer", e.Writer)
}

// LockedError means that another process has the data directory open.
type LockedError struct {
	Path string // of the lock file
	PID  int    // 0 if it is not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("data directory is in use by another process (%s is locked)", e.Path)
	}
	return fmt.Sprintf("data directory is in use by process %d (%s is locked)", e.PID, e.Path)
}

// noSpace marks err as ErrNoSpace if that is what it is.
func noSpace(err error) error {
	if isNoSpace(err) && !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// syncError marks the error of a Sync or SyncDir. Even a full disk is fatal there, because the bytes were accepted before.
func syncError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w: %s: %w", ErrFatal, ErrSync, name, err)
}
