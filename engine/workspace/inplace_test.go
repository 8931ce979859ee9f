package workspace_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitdag/engine/workspace"

	"github.com/google/go-cmp/cmp"
)

func TestInPlace(t *testing.T) {
	dir := t.TempDir()
	tmp := filepath.Join(dir, ".digdag", "tmp")
	var p workspace.InPlace
	if got, err := p.Make(1, dir); got != dir || err != nil {
		t.Errorf("got %s, %v, want the directory itself", got, err)
	}
	first, err := p.Scratch(1, tmp)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.Scratch(2, tmp); again != first || err != nil {
		t.Errorf("got %s, %v, want %s for all attempts", again, err, first)
	}
	// A scratch directory that the user has removed is made again.
	if err := os.RemoveAll(filepath.Join(dir, ".digdag")); err != nil {
		t.Fatal(err)
	}
	second, err := p.Scratch(3, tmp)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(second); err != nil || !info.IsDir() {
		t.Errorf("got %v, %v, want a directory", info, err)
	}
	p.Settled(1, true)
	p.Close()
	p.Close()
	if diff := cmp.Diff([]string{"0755 .digdag/", "0755 .digdag/tmp/"}, tree(t, dir)); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
}

// What a killed process has left goes, what may be in use stays.
func TestInPlaceRemovesLeftOvers(t *testing.T) {
	tmp := filepath.Join(t.TempDir(), "tmp")
	old := time.Now().Add(-48 * time.Hour)
	nobody := 1<<22 + 1 // beyond the largest process number
	for name, at := range map[string]time.Time{
		fmt.Sprintf("run-%d-old", nobody): old, fmt.Sprintf("run-%d-new", nobody): time.Now(),
		fmt.Sprintf("run-%d-ours", os.Getpid()): old, "run-x": old, "mine": old,
	} {
		if err := os.MkdirAll(filepath.Join(tmp, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(tmp, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	var p workspace.InPlace
	if _, err := p.Scratch(1, tmp); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, err := os.Stat(filepath.Join(tmp, fmt.Sprintf("run-%d-old", nobody))); !os.IsNotExist(err) {
		t.Errorf("a left-over: got %v, want it gone", err)
	}
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) != 4 {
		t.Errorf("got %v, %v, want the four others", entries, err)
	}
	if _, err := (&workspace.InPlace{}).Scratch(1, "no\x00directory"); err == nil {
		t.Error("an impossible directory is no error")
	}
}

// A process that goes on with what the one before it has begun finds its files.
func TestInPlaceByName(t *testing.T) {
	tmp := filepath.Join(t.TempDir(), ".digdag", "tmp")
	first, err := (&workspace.InPlace{Name: "agent-x"}).Scratch(1, tmp)
	if err != nil {
		t.Fatal(err)
	}
	next := &workspace.InPlace{Name: "agent-x"}
	if again, err := next.Scratch(2, tmp); again != first || err != nil {
		t.Errorf("got %s, %v, want %s", again, err, first)
	}
	if other, err := (&workspace.InPlace{Name: "agent-y"}).Scratch(1, tmp); other == first || err != nil {
		t.Errorf("got %s, %v, want another one", other, err)
	}
	next.Close()
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("got %v, want it to be gone", err)
	}
}
