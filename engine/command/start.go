package command

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// start starts the program, with in as its standard input and out as its standard
// output and error.
func start(c Command, in, out *os.File) (*os.Process, error) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, fmt.Errorf("start %s: no program given", c.label())
	}
	path, err := lookUp(c)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.label(), cmp.Or(checkDir(c.Dir), err))
	}
	attr := &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []*os.File{in, out, out},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	}
	if c.Result != nil {
		attr.Files = append(attr.Files, c.Result)
	}
	if attr.Env == nil {
		attr.Env = []string{} // nil would mean our own
	}
	// A program written a moment ago is "busy" while a process that another
	// goroutine is just starting still holds the descriptor it was written by.
	for pause := time.Millisecond; ; pause *= 2 {
		p, err := os.StartProcess(path, c.Args, attr)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, syscall.ETXTBSY) || pause > 64*time.Millisecond {
			return nil, fmt.Errorf("start %s: %w", c.label(), cmp.Or(checkDir(c.Dir), explain(err, c, path)))
		}
		time.Sleep(pause)
	}
}

// lookUp returns the path to execute, as seen from c.Dir.
func lookUp(c Command) (string, error) {
	name := c.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := "/usr/local/bin:/usr/bin:/bin" // what shells use when PATH is not set
	for _, entry := range c.Env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	denied := false
	for _, dir := range filepath.SplitList(path) {
		// An empty element is the working directory, as in POSIX shells.
		candidate := filepath.Join(dir, name)
		if dir == "" {
			candidate = "./" + name
		}
		info, err := os.Stat(fromDir(c.Dir, candidate))
		if err != nil || info.IsDir() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return candidate, nil
		}
		denied = true
	}
	if denied {
		return "", fmt.Errorf("program %q found in PATH, but not executable: %w", name, fs.ErrPermission)
	}
	return "", fmt.Errorf("program %q not found in PATH %s: %w", name, path, exec.ErrNotFound)
}

func fromDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// checkDir tells what is wrong with a working directory.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("working directory: %s: %w", dir, syscall.ENOTDIR)
	}
	return nil
}

// explain finds out what a failure to start is about: the system has one
// answer for a missing program and a missing interpreter.
func explain(err error, c Command, path string) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	file := fromDir(c.Dir, path)
	info, statErr := os.Stat(file)
	switch {
	case errors.Is(err, syscall.E2BIG):
		return fmt.Errorf("arguments and environment are too long for the system: %w", err)
	case errors.Is(statErr, fs.ErrNotExist):
		return fmt.Errorf("program %s: %w", path, err)
	case statErr == nil && info.IsDir():
		return fmt.Errorf("program %s is a directory", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("program %s is neither a binary of this machine nor a script that begins with #!: %w", path, err)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("program %s: its interpreter %s is missing: %w", path, interpreter(file), err)
	}
	return fmt.Errorf("program %s: %w", path, err)
}

// interpreter returns what the first line of a script names.
func interpreter(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return "(unknown)"
	}
	defer f.Close()
	line, _ := bufio.NewReaderSize(f, 256).ReadSlice('\n') // longer lines do not work either
	rest, ok := strings.CutPrefix(string(line), "#!")
	if fields := strings.Fields(rest); ok && len(fields) > 0 {
		return fields[0]
	}
	return "(of a binary)"
}
