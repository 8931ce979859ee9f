package workspace_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"gitdag/engine/workspace"
)

// A task may close directories to their owner. Root may enter them all the
// same, so the removal is tried as somebody else: the file-system user of one
// thread is changed, which ends with its goroutine.
func TestRemoveWhatATaskHasClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build(t, dir, "w/", "w/4/", "w/4/top/", "w/4/top/inner/", "w/4/top/inner/file = x", "w/4/out -> /etc")
	const nobody = 65534
	root := os.Getuid() == 0
	if root {
		for _, path := range []string{"w", "w/4", "w/4/top", "w/4/top/inner", "w/4/top/inner/file"} {
			if err := os.Chown(filepath.Join(dir, path), nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	build(t, dir, "0000 w/4/top/inner/", "0000 w/4/top/", "0000 w/4/")
	removed := make(chan error)
	go func() {
		if root {
			runtime.LockOSThread() // never unlocked: the thread is dropped
			if err := syscall.Setfsuid(nobody); err != nil {
				removed <- err
				return
			}
		}
		removed <- workspace.NewStore(filepath.Join(dir, "w")).Remove(4)
	}()
	if err := <-removed; err != nil {
		t.Error(err)
	}
	if left := tree(t, filepath.Join(dir, "w")); len(left) != 0 {
		t.Errorf("got %q, want nothing left", left)
	}
}
