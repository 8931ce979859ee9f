// Package archive packs the files of a project as Digdag does, into a
// gzip-compressed tar, and unpacks what others have packed.
//
// It knows which files belong to an archive, and nothing of workflows, servers
// or revisions. Its invariant: what it unpacks stays inside the directory it
// was given, and what it packs can be unpacked so: no entry's name and no
// link's target leads out.
package archive

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gitdag/engine/dig"
)

// PackOptions say what belongs to an archive.
type PackOptions struct {
	// CopyOutgoing stores what links that lead out of the project point to, in
	// place of the links. Without it such a link is an error.
	CopyOutgoing bool
	// Except is a file that is left out, such as the archive itself. It need not
	// exist.
	Except string
	// Each is told the name of each file before it is packed, and of a link its
	// target; nil tells nobody.
	Each func(name, target string)
}

// Stats is what an archive holds.
type Stats struct {
	Files int   // links among them
	Bytes int64 // unpacked
}

// Pack writes the archive of the project in dir. Hidden files and what
// .digdagignore names are left out (language.md 1.2, 1.3). The same files, with
// the same modes, make the same bytes.
func Pack(w io.Writer, dir string, o PackOptions) (Stats, error) {
	p, err := newPacker(w, dir, o)
	if err != nil {
		return Stats{}, fmt.Errorf("archive %s: %w", dir, err)
	}
	err = p.directory("", p.dir)
	if err == nil {
		err = p.tar.Close()
	}
	if err == nil {
		err = p.gzip.Close()
	}
	if err != nil {
		return p.stats, fmt.Errorf("archive %s: %w", dir, err)
	}
	return p.stats, nil
}

type packer struct {
	options PackOptions
	dir     string // absolute, as it was named
	real    string // without links
	ignore  *dig.Ignore
	except  os.FileInfo // nil for none
	gzip    *gzip.Writer
	tar     *tar.Writer
	stats   Stats
	// outside are the directories out of the project that are being copied, each
	// reached by a link in the one before.
	outside []outside
}

// outside is a directory that stands in for a link to it.
type outside struct {
	name string // in the archive
	real string
}

func newPacker(w io.Writer, dir string, o PackOptions) (*packer, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ignore, err := dig.ReadIgnore(root)
	if err != nil {
		return nil, fmt.Errorf("read .digdagignore: %w", err)
	}
	z := gzip.NewWriter(w)
	p := &packer{options: o, dir: abs, real: real, ignore: ignore, gzip: z, tar: tar.NewWriter(z)}
	if o.Except != "" {
		if p.except, err = os.Lstat(o.Except); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return p, nil
}

// directory packs what is in a directory: name is its place in the archive,
// file where it lies.
func (p *packer) directory(name, file string) error {
	entries, err := os.ReadDir(file) // sorted
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := p.entry(path.Join(name, e.Name()), filepath.Join(file, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) entry(name, file string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if p.ignore.Match(name, info.IsDir()) || p.except != nil && os.SameFile(info, p.except) {
		return nil
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return p.directory(name, file)
	case mode.IsRegular():
		return p.file(name, file)
	case mode&os.ModeSymlink != 0:
		return p.link(name, file)
	default:
		return fmt.Errorf("%s is neither a file, a directory nor a symbolic link; .digdagignore can leave it out", name)
	}
}

func (p *packer) file(name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file any more", name)
	}
	if err := p.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: int64(info.Mode().Perm())}); err != nil {
		return err
	}
	n, err := io.CopyN(p.tar, f, info.Size())
	p.stats.Bytes += n
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s became shorter while it was read", name)
	}
	return err
}

// header begins an entry. Times and owners are left out: they differ from one
// checkout to the next.
func (p *packer) header(h *tar.Header) error {
	h.ModTime = time.Unix(0, 0)
	p.stats.Files++
	if p.options.Each != nil {
		p.options.Each(h.Name, h.Linkname)
	}
	return p.tar.WriteHeader(h)
}

// link packs a link that stays inside as one whose target is relative, and what
// it points to in place of one that leads out.
func (p *packer) link(name, file string) error {
	written, err := os.Readlink(file)
	if err != nil {
		return err
	}
	if target, ok := p.inside(name, file, written); ok {
		return p.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
	}
	if !p.options.CopyOutgoing {
		return &OutgoingLink{Name: name, Target: written}
	}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return fmt.Errorf("copy the target of %s: %w", name, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("copy the target of %s: %w", name, err)
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("copy the target of %s: %s is neither a file nor a directory", name, real)
		}
		return p.file(name, real)
	}
	around := func(d outside) bool { return within(real, d.real) }
	if within(real, p.real) || slices.ContainsFunc(p.outside, around) {
		return fmt.Errorf("copy the target of %s: %s holds the link itself", name, real)
	}
	p.outside = append(p.outside, outside{name, real})
	defer func() { p.outside = p.outside[:len(p.outside)-1] }()
	return p.directory(name, real)
}

// inside returns the target of a link relative to its place in the archive, if
// the archive has that target. Where both exist, the paths as written count, as
// in Digdag: the target need not exist. Inside a copied directory, that is a
// target in the same copy.
func (p *packer) inside(name, file, written string) (string, bool) {
	target := written
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(file), target)
	}
	target = filepath.Clean(target)
	roots := []outside{{"", p.dir}, {"", p.real}}
	if n := len(p.outside); n > 0 {
		roots = append(roots, p.outside[n-1])
	}
	for _, root := range roots {
		if !within(root.real, target) {
			continue
		}
		below, err := filepath.Rel(root.real, target)
		if err != nil {
			continue
		}
		place := filepath.Join("/", filepath.FromSlash(root.name), below)
		relative, err := filepath.Rel(filepath.Join("/", filepath.Dir(filepath.FromSlash(name))), place)
		if err != nil {
			continue
		}
		return filepath.ToSlash(relative), true
	}
	return "", false
}

// within tells whether a clean path is a directory or lies below it.
func within(dir, file string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel)
}

// OutgoingLink is the error for a link that leads out of the project.
type OutgoingLink struct {
	Name, Target string
}

func (e *OutgoingLink) Error() string {
	return fmt.Sprintf("the symbolic link %s leads out of the project, to %s", e.Name, e.Target)
}

// Hint says how to have it packed.
func (e *OutgoingLink) Hint() string {
	return "--copy-outgoing-symlinks stores what such links point to in their place"
}
