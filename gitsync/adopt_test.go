package gitsync

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A project that came another way lies among the checkouts as any other, whole
// or not at all, and the sweep keeps it by its owner.
func TestAdopt(t *testing.T) {
	data, work := t.TempDir(), filepath.Join(t.TempDir(), "work")
	store, err := openStore(data)
	if err != nil {
		t.Fatal(err)
	}
	adopt := func(tree, owner string, fill func(dir string) error) error {
		t.Helper()
		if err := os.MkdirAll(work, 0o700); err != nil {
			t.Fatal(err)
		}
		return Adopt(Adoption{Data: data, Work: work, Tree: tree, Owner: owner}, fill)
	}
	write := func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.dig"), []byte("+a:\n"), 0o644) }
	if err := adopt("aaaa", "push:a", write); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(Checkout(data, "aaaa"), "a.dig")); err != nil || string(text) != "+a:\n" {
		t.Errorf("got %q, %v, want the file", text, err)
	}
	if got, want := Checkout(data, "aaaa"), store.dir("aaaa"); got != want {
		t.Errorf("the checkout lies in %s, want %s", got, want)
	}

	broken := errors.New("no archive")
	if err := adopt("bbbb", "push:b", func(dir string) error { return errors.Join(write(dir), broken) }); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if store.has("bbbb") {
		t.Error("half a checkout is published")
	}
	if left, err := os.ReadDir(work); err != nil || len(left) != 0 {
		t.Errorf("%d entries are left, %v, want none", len(left), err)
	}

	// What is there is used again, and is young again.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(data, "checkouts", "aaaa", originFile), old, old); err != nil {
		t.Fatal(err)
	}
	if err := adopt("cccc", "push:a", write); err != nil {
		t.Fatal(err)
	}
	if err := adopt("aaaa", "push:a", func(string) error { t.Error("it was filled again"); return nil }); err != nil {
		t.Error(err)
	}
	if _, err := store.sweep(func() ([]string, error) { return nil, nil }, 1); err != nil {
		t.Fatal(err)
	}
	if !store.has("aaaa") || store.has("cccc") {
		t.Error("the sweep kept another one than the newest of the owner")
	}
}
