package workspace_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gitdag/engine/workspace"

	"github.com/google/go-cmp/cmp"
)

// build makes a tree: "name/" is a directory, "name -> target" a link, else
// "name = content"; a leading "0640 " is the mode.
func build(t testing.TB, root string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		octal, rest, _ := strings.Cut(line, " ")
		mode, noMode := strconv.ParseUint(octal, 8, 9)
		if noMode == nil && len(octal) == 4 {
			line = rest
		}
		name, content, isFile := strings.Cut(line, " = ")
		link, target, isLink := strings.Cut(line, " -> ")
		var err error
		switch {
		case isLink:
			err = os.Symlink(target, filepath.Join(root, link))
		case isFile:
			err = os.WriteFile(filepath.Join(root, name), []byte(content), 0o644)
		default:
			err = os.MkdirAll(filepath.Join(root, name), 0o755)
		}
		if err == nil && noMode == nil && len(octal) == 4 {
			err = os.Chmod(filepath.Join(root, name), os.FileMode(mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tree shows a tree in the notation of build, with all modes.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch d.Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			lines = append(lines, rel+" -> "+target)
			return err
		case fs.ModeDir:
			lines = append(lines, fmt.Sprintf("%04o %s/", info.Mode().Perm(), rel))
		default:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if len(content) > 100 {
				content = fmt.Appendf(nil, "%d bytes", len(content))
			}
			lines = append(lines, fmt.Sprintf("%04o %s = %s", info.Mode(), rel, content))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestMakeCopiesTheCheckout(t *testing.T) {
	t.Parallel()
	checkout := t.TempDir()
	build(t, checkout,
		"0444 main.dig = +a:\n  sh>: ./run.sh", "0555 run.sh = #!/bin/sh", "0600 private = x", "empty = ", "0666 open = y",
		"sub/deep/er/", "sub/deep/er/file = z", "sub/link -> deep/er/file", "dangling -> nowhere", "absolute -> /etc/passwd",
		"0555 closed/", "large = "+strings.Repeat("0123456789", 20_000), "+odd name\\\xff = w")
	s := workspace.NewStore(filepath.Join(t.TempDir(), "workspaces"))
	path, err := s.Make(12, checkout)
	if err != nil {
		t.Fatal(err)
	}
	if want := s.Path(12); path != want || filepath.Base(path) != "12" {
		t.Errorf("got path %s, want %s", path, want)
	}
	want := []string{
		"0644 +odd name\\\xff = w", "absolute -> /etc/passwd", "0755 closed/", "dangling -> nowhere", "0644 empty = ",
		"0644 large = 200000 bytes", "0644 main.dig = +a:\n  sh>: ./run.sh", "0666 open = y", "0600 private = x",
		"0755 run.sh = #!/bin/sh", "0755 sub/", "0755 sub/deep/", "0755 sub/deep/er/", "0644 sub/deep/er/file = z", "sub/link -> deep/er/file",
	}
	if diff := cmp.Diff(want, tree(t, path)); diff != "" {
		t.Errorf("workspace (-want +got):\n%s", diff)
	}

	// What a task does there must not reach the checkout.
	if err := os.WriteFile(filepath.Join(path, "run.sh"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(checkout, "run.sh")); err != nil || string(got) != "#!/bin/sh" {
		t.Errorf("the checkout has %q, %v", got, err)
	}
	// A restarted process finds it again, changes and all.
	again, err := workspace.NewStore(filepath.Dir(path)).Make(12, checkout)
	if err != nil || again != path {
		t.Errorf("got %s, %v, want %s", again, err, path)
	}
	if got, err := os.ReadFile(filepath.Join(path, "run.sh")); err != nil || string(got) != "changed" {
		t.Errorf("got %q, %v, want what the task wrote", got, err)
	}
}

func TestHalfMadeCopies(t *testing.T) {
	t.Parallel()
	checkout, dir := t.TempDir(), t.TempDir()
	build(t, checkout, "a = 1", "b = 2")
	// As a crash leaves them: a copy under way, and a removal under way.
	build(t, dir, "7.part/", "7.part/a = ", "7.part/stray = x", "8.gone/", "8.gone/b = 2", "9.part/", "notes = mine", "10.other/", "11/", "11/c = 3")
	s := workspace.NewStore(dir)
	for _, attempt := range []uint64{7, 8} {
		path, err := s.Make(attempt, checkout)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"0644 a = 1", "0644 b = 2"}, tree(t, path)); diff != "" {
			t.Errorf("attempt %d (-want +got):\n%s", attempt, diff)
		}
	}
	if err := s.Sweep(func(attempt uint64) bool { return attempt == 7 }); err != nil {
		t.Fatal(err)
	}
	want := []string{"0755 10.other/", "0755 7/", "0644 7/a = 1", "0644 7/b = 2", "0644 notes = mine"}
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("after the sweep (-want +got):\n%s", diff)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	checkout, outside := t.TempDir(), t.TempDir()
	build(t, outside, "kept = x")
	build(t, checkout, "a = 1", "out -> "+outside)
	s := workspace.NewStore(filepath.Join(t.TempDir(), "w"))
	if err := s.Remove(3); err != nil {
		t.Errorf("remove what never was: %v", err)
	}
	if err := s.Sweep(nil); err != nil {
		t.Errorf("sweep what never was: %v", err)
	}
	path, err := s.Make(3, checkout)
	if err != nil {
		t.Fatal(err)
	}
	build(t, filepath.Dir(path), "3.gone/", "3.gone/old = x") // of an earlier crash
	if err := s.Remove(3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), tree(t, filepath.Dir(path))); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0644 kept = x"}, tree(t, outside)); diff != "" {
		t.Errorf("behind the link (-want +got):\n%s", diff)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	checkout := t.TempDir()
	build(t, checkout, "a = 1", "sub/")
	if err := syscall.Mkfifo(filepath.Join(checkout, "sub", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := workspace.NewStore(dir)
	for _, tt := range []struct{ from, want string }{
		{checkout, "make workspace of attempt 5 from " + checkout + ": sub/pipe is neither file, directory nor link"},
		{checkout + "/gone", "make workspace of attempt 5 from " + checkout + "/gone: open " + checkout + "/gone: no such file or directory"},
	} {
		if _, err := s.Make(5, tt.from); err == nil || err.Error() != tt.want {
			t.Errorf("got error %v, want %s", err, tt.want)
		}
		if _, err := os.Lstat(s.Path(5)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a half-made workspace has the whole one's name: %v", err)
		}
	}

	build(t, dir, "file = x")
	blocked := workspace.NewStore(filepath.Join(dir, "file"))
	if _, err := blocked.Make(1, checkout); err == nil || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v, want %v", err, syscall.ENOTDIR)
	}
	if err := blocked.Remove(1); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v, want %v", err, syscall.ENOTDIR)
	}
	if err := blocked.Sweep(nil); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v, want %v", err, syscall.ENOTDIR)
	}
}

func TestTasksOfOneAttemptAskAtOnce(t *testing.T) {
	t.Parallel()
	checkout := t.TempDir()
	for i := range 50 {
		build(t, checkout, fmt.Sprintf("f%d = %d", i, i))
	}
	s := workspace.NewStore(t.TempDir())
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			path, err := s.Make(uint64(i%3), checkout)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadDir(path); err != nil || len(got) != 50 {
				t.Errorf("got %d files, %v, want the whole copy", len(got), err)
			}
		})
	}
	group.Wait()
}

func TestResolve(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	build(t, base, "project/", "project/sub/deep/", "project/file = x", "project2/", "outside/",
		"project/in -> sub/deep", "project/out -> ../outside", "project/up -> ..", "project/abs -> "+base+"/outside",
		"project/far -> ../gone", "project/sub/back -> ..", "project/..dots/", `project/a\b/`, "project/loop -> loop", "alias -> project")
	project := filepath.Join(base, "project")
	for _, tt := range []struct{ workdir, want, err string }{
		{"", "", ""},
		{".", "", ""},
		{"sub", "sub", ""},
		{"sub/", "sub", ""},
		{"./sub//deep/.", "sub/deep", ""},
		{"sub/../sub/deep", "sub/deep", ""},
		{"../project/sub", "sub", ""},
		{"in", "in", ""},
		{"sub/back/sub", "sub/back/sub", ""},
		{"..dots", "..dots", ""},
		{`a\b`, `a\b`, ""},
		{project + "/sub", "sub", ""},
		{"..", "", "outside the project"},
		{"../outside", "", "outside the project"},
		{"sub/../../outside", "", "outside the project"},
		{"../project2", "", "outside the project"},
		{"/", "", "outside the project"},
		{"/etc", "", "outside the project"},
		{project + "2", "", "outside the project"},
		{"out", "", "through a link, outside the project"},
		{"up", "", "through a link, outside the project"},
		{"up/project", "", "path escapes"},
		{"abs", "", "through a link, outside the project"},
		{"far", "", "path escapes"},
		{"sub/back/out", "", "through a link, outside the project"},
		{"gone", "", "does not exist in the project"},
		{"sub/gone/..", "sub", ""},
		{"file", "", "is not a directory"},
		{"file/x", "", "not a directory"},
		{"loop", "", "too many"},
		{"a\x00b", "", "invalid argument"},
		{"..\\outside", "", "does not exist"},
		{"%2e%2e/outside", "", "does not exist"},
		{"․․/outside", "", "does not exist"}, // one dot leaders
		{" ..", "", "does not exist"},
		{"~", "", "does not exist"},
	} {
		got, err := workspace.Resolve(project, tt.workdir)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), fmt.Sprintf("%q", tt.workdir)) {
				t.Errorf("%q: got %q, %v, want an error with %q", tt.workdir, got, err, tt.err)
			}
			if strings.HasSuffix(tt.err, "outside the project") && !errors.Is(err, workspace.ErrOutside) {
				t.Errorf("%q: %v is not %v", tt.workdir, err, workspace.ErrOutside)
			}
			continue
		}
		if want := filepath.Join(project, tt.want); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", tt.workdir, got, err, want)
		}
	}

	// The project itself may be reached through a link.
	if got, err := workspace.Resolve(filepath.Join(base, "alias"), "sub"); err != nil || got != filepath.Join(base, "alias", "sub") {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := workspace.Resolve(filepath.Join(base, "nowhere"), "sub"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

// A workspace can cost no less than making its directories and files, so that
// is measured in the same run. Both depend on the file system far more than on
// this package: ext4 without a journal passes over inodes deleted in the last
// minutes one by one, so run it on a disk from which little was deleted lately.
func BenchmarkMake(b *testing.B) {
	checkout := b.TempDir()
	dirs := []string{".", "sql", "scripts"}
	content := strings.Repeat("x", 2000)
	build(b, checkout, "sql/", "scripts/")
	for i := range 10 {
		build(b, checkout, fmt.Sprintf("%s/file%d = %s", dirs[i%3], i, content))
	}
	b.Run("bare", func(b *testing.B) {
		base := b.TempDir()
		for n := 0; b.Loop(); n++ {
			root := filepath.Join(base, strconv.Itoa(n))
			err := errors.Join(os.Mkdir(root, 0o755), os.Mkdir(root+"/sql", 0o755), os.Mkdir(root+"/scripts", 0o755))
			for i := range 10 {
				err = errors.Join(err, os.WriteFile(filepath.Join(root, dirs[i%3], "file"+strconv.Itoa(i)), []byte(content), 0o644))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("workspace", func(b *testing.B) {
		s := workspace.NewStore(b.TempDir())
		for i := uint64(0); b.Loop(); i++ {
			if _, err := s.Make(i, checkout); err != nil {
				b.Fatal(err)
			}
		}
	})
}
