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
	Entries int   // files, links and folders, those without an entry of their own too
	Depth   int   // of a name: folders in folders
}

// overhead is what an entry may take in a tar beside its content: headers, long
// names, attributes, padding.
const overhead = 8 << 10

// stream is how long a tar within the limits can be; 0 for any length. It
// bounds what is in no entry, and so in no other limit.
func (l *Limits) stream() int64 {
	if l.Bytes <= 0 || l.Entries <= 0 {
		return 0
	}
	return l.Bytes + int64(l.Entries)*overhead + maxPadding
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
	u := &unpacker{root: root, limits: l, folders: map[string]bool{".": true}}
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
	// folders are those that there are.
	folders map[string]bool
}

func (u *unpacker) unpack(r io.Reader) error {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return err
	}
	whole := &bounded{from: z, rest: u.limits.stream(), limited: u.limits.stream() > 0}
	t := tar.NewReader(whole)
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
	if err := drain(whole); err != nil {
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
	name := path.Clean(h.Name)
	if !local(h.Name) {
		return fmt.Errorf("the entry %q leads out of the archive", clip(h.Name))
	}
	if depth := strings.Count(name, "/"); u.limits.Depth > 0 && depth > u.limits.Depth {
		return &TooLarge{fmt.Sprintf("%d folders in one another", u.limits.Depth)}
	}
	if h.Typeflag == tar.TypeDir {
		return u.folder(name)
	}
	if err := u.count(); err != nil {
		return err
	}
	if name == "." {
		return fmt.Errorf("the entry %q has no name", clip(h.Name))
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
	return fmt.Errorf("the entry %q is neither a file, a directory nor a symbolic link", clip(h.Name))
}

// count counts what takes a place in a folder.
func (u *unpacker) count() error {
	if u.stats.Files++; u.limits.Entries > 0 && u.stats.Files > u.limits.Entries {
		return &TooLarge{fmt.Sprintf("%d entries", u.limits.Entries)}
	}
	return nil
}

// folder makes a folder with those around it.
func (u *unpacker) folder(name string) error {
	for at := name; !u.folders[at]; at = path.Dir(at) {
		if err := u.count(); err != nil {
			return err
		}
		u.folders[at] = true
	}
	return u.root.MkdirAll(filepath.FromSlash(name), 0o755)
}

// clip shortens a name for an error.
func clip(name string) string {
	const most = 200
	if len(name) <= most {
		return name
	}
	return name[:most] + "…"
}

// local tells whether a name, with slashes, stays inside.
func local(name string) bool {
	return name != "" && !strings.HasPrefix(name, "/") && filepath.IsLocal(filepath.FromSlash(path.Clean(name)))
}

// clear makes the directory of an entry, and room for it: of two entries with
// one name the last one counts.
func (u *unpacker) clear(name string) error {
	if err := u.folder(path.Dir(name)); err != nil {
		return err
	}
	err := u.root.Remove(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if u.limits.Bytes > 0 && h.Size > u.limits.Bytes-u.stats.Bytes { // a sum could overflow
		return &TooLarge{fmt.Sprintf("%d bytes", u.limits.Bytes)}
	}
	u.stats.Bytes += h.Size
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
		return fmt.Errorf("the link %q leads out of the archive, to %q", clip(name), clip(target))
	}
	u.links = append(u.links, name)
	return u.root.Symlink(filepath.FromSlash(target), filepath.FromSlash(name))
}

// checkLinks follows each link: a target may look as if it were inside, and
// lead out by way of another link. One that leads nowhere is fine.
func (u *unpacker) checkLinks() error {
	for _, name := range u.links {
		if _, err := u.root.Stat(filepath.FromSlash(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the link %q does not stay in the archive: %w", clip(name), err)
		}
	}
	return nil
}

// bounded ends with an error where a reader goes on for too long.
type bounded struct {
	from    io.Reader
	rest    int64
	limited bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.rest -= int64(n); b.limited && b.rest < 0 {
		return 0, &TooLarge{"its entries can take"}
	}
	return n, err
}
