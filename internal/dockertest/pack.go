package dockertest

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Pack writes a root file system made of this machine's own files: what a test
// runs in a container where no image can be fetched.
type Pack struct {
	out  *tar.Writer
	seen map[string]bool
}

func newPack(w io.Writer) *Pack {
	return &Pack{out: tar.NewWriter(w), seen: map[string]bool{}}
}

// add writes one entry unless its name is taken.
func (p *Pack) add(h *tar.Header, content io.Reader) error {
	h.Name = strings.TrimPrefix(h.Name, "/")
	if p.seen[h.Name] {
		return nil
	}
	p.seen[h.Name] = true
	if err := p.out.WriteHeader(h); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	_, err := io.Copy(p.out, content)
	return err
}

func (p *Pack) dir(name string, mode int64) error {
	return p.add(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
}

func (p *Pack) link(name, target string) error {
	return p.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

// Text writes a file.
func (p *Pack) Text(name, text string, mode int64) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(text))}
	return p.add(h, strings.NewReader(text))
}

// file copies a file, links followed, readable for everybody.
func (p *Pack) file(name, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return p.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}, f)
}

// tree copies a folder without what skip names; skip is asked with the path
// below the folder.
func (p *Pack) tree(name, source string, skip func(rel string, d fs.DirEntry) bool) error {
	return filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		switch {
		case skip(rel, d) && d.IsDir():
			return fs.SkipDir
		case skip(rel, d):
			return nil
		case d.IsDir():
			return p.dir(filepath.Join(name, rel), 0o755)
		case d.Type() == 0:
			return p.file(filepath.Join(name, rel), path)
		default:
			return nil // a link in a distribution's folder points out of what is copied
		}
	})
}

// program copies an executable to a name, with the shared libraries that it
// loads to their own.
func (p *Pack) program(name, source string) error {
	if err := p.file(name, source); err != nil {
		return err
	}
	out, err := exec.Command("ldd", source).Output()
	if err != nil {
		return nil // ldd says so of a static program
	}
	for line := range strings.Lines(string(out)) {
		for field := range strings.FieldsSeq(line) {
			if strings.HasPrefix(field, "/") {
				if err := p.file(field, field); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Found is program for a name that is looked up on PATH.
func (p *Pack) Found(names ...string) error {
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		if err := p.program("/usr/bin/"+name, path); err != nil {
			return err
		}
	}
	return nil
}

// Base writes what every system has: a shell with its commands, users, /tmp and
// certificates.
func (p *Pack) Base() error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	steps := []error{
		p.program("/bin/busybox", busybox),
		p.dir("/tmp", 0o1777),
		p.dir("/root", 0o700),
		p.Text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
		p.Text("/etc/group", "root:x:0:\n", 0o644),
		p.file("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt"),
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if name != "busybox" {
			steps = append(steps, p.link("/bin/"+name, "busybox"))
		}
	}
	return errors.Join(steps...)
}

// Python writes the interpreter that python3 stands for, and its library.
func (p *Pack) Python() error {
	const where = `import os, sys, sysconfig
print(os.path.realpath(sys.executable))
print(sysconfig.get_path("stdlib"))`
	interpreter := "/usr/bin/python3" // a version manager's needs its own environment
	if _, err := os.Stat(interpreter); err != nil {
		interpreter = "python3"
	}
	out, err := exec.Command(interpreter, "-c", where).Output()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	lines.Scan()
	program := lines.Text()
	lines.Scan()
	library := lines.Text()
	skip := func(rel string, _ fs.DirEntry) bool {
		switch name := filepath.Base(rel); name {
		case "__pycache__", "test", "tests", "idlelib", "ensurepip", "site-packages", "dist-packages":
			return true
		default:
			return strings.HasPrefix(name, "config-")
		}
	}
	steps := []error{p.program(program, program), p.tree(library, library, skip)}
	if program != "/usr/bin/python3" {
		steps = append(steps, p.link("/usr/bin/python3", program))
	}
	return errors.Join(steps...)
}

// Toolchain writes Go to /usr/local/go, without its own tests.
func (p *Pack) Toolchain() error {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	goroot := strings.TrimSpace(string(out))
	skip := func(rel string, d fs.DirEntry) bool {
		switch rel {
		case "api", "doc", "misc", "test":
			return true
		}
		return d.Name() == "testdata" || strings.HasSuffix(rel, "_test.go")
	}
	return errors.Join(p.program("/usr/local/go/bin/go", filepath.Join(goroot, "bin", "go")), p.tree("/usr/local/go", goroot, skip))
}
