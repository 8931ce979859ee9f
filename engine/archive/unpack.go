package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits bound what an archive may hold, unpacked. Zero means no limit.
type Limits struct {
	Bytes   int64 // of all files together
	Entries int
}

// TooLarge is the error for an archive beyond a limit.
type TooLarge struct{ Limit string }

func (e *TooLarge) Error() string { return "the archive has more than " + e.Limit }

// Unpack unpacks an archive into dir, which exists and is empty. An entry whose
// name or, for a link, whose target leads out of dir is an error, and so is
// what is neither a file, a directory nor a symbolic link. After an error dir
// holds a part of the archive; nothing outside it was touched.
func Unpack(r io.Reader, dir string, l Limits) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpack an archive: %w", err)
	}
	defer root.Close()
	u := &unpacker{root: root, limits: l}
	if err := u.unpack(r); err != nil {
		return fmt.Errorf("unpack an archive: %w", err)
	}
	return nil
}

type unpacker struct {
	root   *os.Root
	limits Limits
	stats  Stats
	links  []string
}

func (u *unpacker) unpack(r io.Reader) error {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return err
	}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := u.entry(h, t); err != nil {
			return err
		}
	}
	if err := drain(z); err != nil {
		return err
	}
	return u.checkLinks()
}

// maxPadding is what may follow the last entry. GNU tar writes less than 10 KiB.
const maxPadding = 1 << 20

// drain reads to the end, where gzip has its checksum.
func drain(z io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(z, maxPadding))
	if err == nil && n == maxPadding {
		return errors.New("there is something behind the last entry")
	}
	return err
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // `git archive` writes one
	}
	if u.stats.Files++; u.limits.Entries > 0 && u.stats.Files > u.limits.Entries {
		return &TooLarge{fmt.Sprintf("%d entries", u.limits.Entries)}
	}
	name := path.Clean(h.Name)
	if !local(h.Name) {
		return fmt.Errorf("the entry %q leads out of the archive", h.Name)
	}
	if h.Typeflag == tar.TypeDir {
		return u.root.MkdirAll(filepath.FromSlash(name), 0o755)
	}
	if name == "." {
		return fmt.Errorf("the entry %q has no name", h.Name)
	}
	if err := u.clear(name); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, h, content)
	case tar.TypeSymlink:
		return u.link(name, h.Linkname)
	}
	return fmt.Errorf("the entry %q is neither a file, a directory nor a symbolic link", h.Name)
}

// local tells whether a name, with slashes, stays inside.
func local(name string) bool {
	return name != "" && !strings.HasPrefix(name, "/") && filepath.IsLocal(filepath.FromSlash(path.Clean(name)))
}

// clear makes the directory of an entry, and room for it: of two entries with
// one name the last one counts.
func (u *unpacker) clear(name string) error {
	if parent := path.Dir(name); parent != "." {
		if err := u.root.MkdirAll(filepath.FromSlash(parent), 0o755); err != nil {
			return err
		}
	}
	err := u.root.Remove(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if u.stats.Bytes += h.Size; u.limits.Bytes > 0 && u.stats.Bytes > u.limits.Bytes {
		return &TooLarge{fmt.Sprintf("%d bytes", u.limits.Bytes)}
	}
	f, err := u.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Chmod(fs.FileMode(h.Mode) & fs.ModePerm)
	}
	return errors.Join(err, f.Close())
}

func (u *unpacker) link(name, target string) error {
	if target == "" || path.IsAbs(target) || !local(path.Join(path.Dir(name), target)) {
		return fmt.Errorf("the link %q leads out of the archive, to %q", name, target)
	}
	u.links = append(u.links, name)
	return u.root.Symlink(filepath.FromSlash(target), filepath.FromSlash(name))
}

// checkLinks follows each link: a target may look as if it were inside, and
// lead out by way of another link. One that leads nowhere is fine.
func (u *unpacker) checkLinks() error {
	for _, name := range u.links {
		if _, err := u.root.Stat(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the link %q does not stay in the archive: %w", name, err)
		}
	}
	return nil
}
