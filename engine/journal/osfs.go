package journal

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// OSFS is the FS of a directory of the operating system. The directory is made, with mode 0700, by the first Mkdir.
func OSFS(dir string) FS { return osFS(dir) }

type osFS string

type osFile struct{ *os.File }

func (d osFS) path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

func (d osFS) open(name string, flag int) (File, error) {
	f, err := os.OpenFile(d.path(name), flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d osFS) Create(name string) (File, error) { return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL) }
func (d osFS) Open(name string) (File, error)   { return d.open(name, os.O_RDONLY) }
func (d osFS) Edit(name string) (File, error)   { return d.open(name, os.O_RDWR) }
func (d osFS) Rename(from, to string) error     { return os.Rename(d.path(from), d.path(to)) }
func (d osFS) Remove(name string) error         { return os.Remove(d.path(name)) }
func (d osFS) SyncDir(dir string) error         { return syncDir(d.path(dir)) }

func (d osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(d.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Mkdir makes the data directory too, and what leads to it, when it is new.
func (d osFS) Mkdir(dir string) error {
	path := d.path(dir)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Lock uses flock: it ends with the process, however that ends, and it is not inherited by children, whose descriptors are closed on exec.
func (d osFS) Lock(name string) (io.Closer, error) {
	path := d.path(name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flockSoon(f); err != nil {
		defer func() { _ = f.Close() }()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{Path: path, PID: readPID(f)}
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	// The pid is for people only, so a full disk must not stop the agent here.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return f, nil
}

// lockPatience is how long the lock of a dead holder is waited for.
const lockPatience = 5 * time.Second

// flockSoon takes the lock, or says who has it. A killed process may leave a child that it was just starting: that has the lock until it
// becomes the program to be started, and does so before anybody else takes stock of what was left.
func flockSoon(f *os.File) error {
	for end := time.Now().Add(lockPatience); ; time.Sleep(time.Millisecond) {
		err := flock(f)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			return err
		}
		if pid := readPID(f); pid == 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return err
		}
	}
}

func flock(f *os.File) error {
	return onDescriptor(f, func(fd int) error { return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) })
}

func readPID(f *os.File) int {
	buf := make([]byte, 32)
	n, _ := f.ReadAt(buf, 0)
	pid, err := strconv.Atoi(string(bytes.TrimSpace(buf[:n])))
	if err != nil {
		return 0
	}
	return pid
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Sync() error { return syncFile(f.File) }

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// onDescriptor calls do with f's descriptor until it is not interrupted.
func onDescriptor(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = conn.Control(func(fd uintptr) {
		for {
			if result = do(int(fd)); !errors.Is(result, syscall.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, result)
}
