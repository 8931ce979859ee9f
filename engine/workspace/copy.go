package workspace

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// smallFile is up to where a file is copied by one read and one write.
const smallFile = 64 << 10

// copyTree copies a directory: files with their modes, links as they are.
func (s *Store) copyTree(from, to string) error {
	src, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	c := copier{store: s, src: src, dst: dst}
	if err := c.entries("."); err != nil {
		return err
	}
	info, err := src.Stat(".")
	if err != nil {
		return err
	}
	return dst.Chmod(".", info.Mode().Perm()|0o700)
}

type copier struct {
	store    *Store
	src, dst *os.Root
	buf      []byte
}

// entries copies what is in a directory, given by its path in both trees.
func (c *copier) entries(dir string) error {
	f, err := c.src.Open(dir)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.entry(path.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) entry(name string, e fs.DirEntry) error {
	switch e.Type() {
	case 0:
		return c.file(name)
	case fs.ModeSymlink:
		target, err := c.src.Readlink(name)
		if err != nil {
			return err
		}
		return c.dst.Symlink(target, name)
	case fs.ModeDir:
		if err := c.dst.Mkdir(name, 0o700); err != nil {
			return err
		}
		if err := c.entries(name); err != nil {
			return err
		}
		info, err := c.src.Lstat(name)
		if err != nil {
			return err
		}
		return c.dst.Chmod(name, info.Mode().Perm()|0o700)
	}
	return fmt.Errorf("%s is neither file, directory nor link", name)
}

func (c *copier) file(name string) (err error) {
	src, err := c.src.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm() | 0o200
	dst, err := c.dst.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := dst.Close(); err == nil {
			err = closeErr
		}
	}()
	if err := c.content(dst, src, info.Size()); err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	return dst.Chmod(mode) // beyond what the umask allows
}

func (c *copier) content(dst, src *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	if !c.store.noClone.Load() {
		err := clone(dst, src)
		if err == nil {
			return nil
		}
		// Whatever the reason, a copy is as good; ask no more.
		c.store.noClone.Store(true)
	}
	if size > smallFile {
		_, err := io.Copy(dst, src)
		return err
	}
	if c.buf == nil {
		c.buf = make([]byte, smallFile)
	}
	n, err := io.ReadFull(src, c.buf[:size])
	if err != nil {
		return err
	}
	_, err = dst.Write(c.buf[:n])
	return err
}
