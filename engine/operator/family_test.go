package operator_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// TestSettings shows where a family's settings come from.
func TestSettings(t *testing.T) {
	p := newProject(t)
	task := p.inherit(params.Of("x", params.Of("host", "low", "port", 1, "user", "low"), "host", "ambient"),
		"echo>", "m", "port", 2, "_secrets", params.Of("x", params.Of("user", "team.user")))
	task.Secrets = secrets{"x.port": "3", "team.user": "joe\r\n", "x.flag": "canary"}
	s, err := operator.NewSettings(task, "x")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"host": "ambient", "port": "3", "user": "joe", "other": "none"} {
		if got, err := operator.Setting(t.Context(), s, key, params.String, "none"); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
		}
	}
	for key, want := range map[string]string{
		"flag": "Expected 'true' or 'false' for the secret 'x.flag' (config)", "gone": "Parameter 'gone' is required but not set",
	} {
		if _, err := operator.RequiredSetting(t.Context(), s, key, params.Bool); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", key, err, want)
		}
	}
	if _, err := s.Secret(t.Context(), "gone"); err == nil || err.Error() != "Secret not found for key: 'x.gone' (secret not found)" {
		t.Errorf("got %v, want that there is no such secret", err)
	}
	if _, err := operator.NewSettings(p.task("echo>", "m", "x", 1), "x"); err == nil {
		t.Error("want an error for defaults that are no object")
	}
}

func TestCreateInProject(t *testing.T) {
	p := newProject(t)
	p.workdir = "sub"
	p.write("sub/old.csv", "old", 0o600)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(p.root, "sub/link")); err != nil {
		t.Fatal(err)
	}
	task := p.task("echo>", "m")
	for _, name := range []string{"../../x", "link/x", "/x", filepath.Join(outside, "x")} {
		if f, err := operator.CreateInProject(t.Context(), task, name); err == nil {
			t.Errorf("%s: want an error", name)
			f.Close()
		}
	}
	for _, commit := range []bool{false, true} {
		f, err := operator.CreateInProject(t.Context(), task, "old.csv")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("new"); err != nil {
			t.Fatal(err)
		}
		want := "old"
		if commit {
			want = "new"
			if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(filepath.Join(p.root, "sub/old.csv")); err != nil || string(got) != want {
			t.Errorf("committed %t: got %q, %v, want %q", commit, got, err, want)
		}
	}
	f, err := operator.CreateInProject(t.Context(), task, "../up.csv")
	if err != nil || f.Commit() != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.root, "up.csv")); errors.Is(err, fs.ErrNotExist) {
		t.Error("the file above the working directory is not there")
	}
	entries, err := os.ReadDir(filepath.Join(p.root, "sub"))
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v left, want the file and the link", entries, err)
	}
}

func TestRegistryWith(t *testing.T) {
	r := operator.NewRegistry(map[string]operator.Entry{"a": {}, "b": {}})
	more := r.With(map[string]operator.Entry{"b": {Pure: true}, "c": {}})
	if got := more.Types(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
	if b, _ := more.Lookup("b"); !b.Pure {
		t.Error("the type that was given later does not come first")
	}
	if b, _ := r.Lookup("b"); b.Pure || len(r.Types()) != 2 {
		t.Error("the registry has changed")
	}
}
