package secret_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/operator"
	"gitdag/engine/secret"
)

// A reader is what operators ask.
var _ operator.Secrets = secret.Reader{}

// layers writes the files into a directory, which comes after the store and before
// the variables.
func layers(t *testing.T, files map[string]string, environ ...string) (secret.Reader, *secret.Store, string) {
	t.Helper()
	store, _ := newStore(t)
	dir := t.TempDir()
	for name, content := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	missing := func(key string) error { return fmt.Errorf("there is no %s", key) }
	return secret.NewReader(missing, store.Project(12), secret.Dir(dir), secret.NewEnviron(environ)), store, dir
}

// The store wins over files, files over variables (agent.md 7).
func TestReaderAsksInOrder(t *testing.T) {
	r, store, _ := layers(t, map[string]string{"a": "file", "b": "file"}, "GITDAG_SECRET_A=variable", "GITDAG_SECRET_B=variable", "GITDAG_SECRET_C=variable", "GITDAG_SECRET_D=")
	must(t, store.Set(12, "a", "store"))
	must(t, store.Set(13, "e", "another project's"))
	got := map[string]string{}
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		value, err := r.Secret(t.Context(), key)
		got[key] = fmt.Sprint(value, " ", err)
	}
	want := map[string]string{"a": "store <nil>", "b": "file <nil>", "c": "variable <nil>", "d": " <nil>", "e": " there is no e"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// failing is a source that cannot tell.
type failing struct{}

var errFailing = errors.New("cannot tell")

func (failing) Lookup(context.Context, string) (string, bool, error) { return "", false, errFailing }

// What cannot be read is not replaced by what a later source has.
func TestReaderStopsAtAFailure(t *testing.T) {
	r := secret.NewReader(nil, failing{}, secret.NewEnviron([]string{"GITDAG_SECRET_A=x"}))
	if value, err := r.Secret(t.Context(), "a"); value != "" || !errors.Is(err, errFailing) {
		t.Errorf("got %q, %v, want the failure", value, err)
	}
}

func TestDir(t *testing.T) {
	long := strings.Repeat("x", secret.MaxValue)
	_, _, dir := layers(t, map[string]string{
		"plain": "v", "newline": "v\n", "two": "v\n\n", "empty": "", "max": long + "\n", "db.password": "p", "-hidden": "x", ".hidden": "x",
	})
	must(t, os.Symlink(filepath.Join(dir, "plain"), filepath.Join(dir, "link"))) // as Kubernetes has them
	d := secret.Dir(dir)
	for key, want := range map[string]string{"plain": "v", "newline": "v", "two": "v\n", "empty": "", "max": long, "db.password": "p", "link": "v"} {
		if got, ok, err := d.Lookup(t.Context(), key); got != want || !ok || err != nil {
			t.Errorf("%s: got %.20q, %v, %v, want %.20q", key, got, ok, err, want)
		}
	}
	for _, key := range []string{"none", "-hidden", ".hidden", "..", "../" + filepath.Base(dir) + "/plain", "", filepath.Join(dir, "plain")} {
		if got, ok, err := d.Lookup(t.Context(), key); got != "" || ok || err != nil {
			t.Errorf("%s: got %q, %v, %v, want none", key, got, ok, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "plain"), []byte("replaced"), 0o600))
	if got, _, _ := d.Lookup(t.Context(), "plain"); got != "replaced" {
		t.Errorf("got %q, want what is there now", got)
	}
	for _, none := range []secret.Dir{"", secret.Dir(filepath.Join(dir, "none"))} {
		if got, ok, err := none.Lookup(t.Context(), "plain"); got != "" || ok || err != nil {
			t.Errorf("%q: got %q, %v, %v, want none", none, got, ok, err)
		}
	}
}

// What is there and is no secret is an error that names it and not its content.
func TestDirWithWhatIsNoSecret(t *testing.T) {
	_, _, dir := layers(t, map[string]string{"long": plain + strings.Repeat("x", secret.MaxValue), "huge": strings.Repeat("x", 1<<20), "binary": plain + "\xff"})
	must(t, os.Mkdir(filepath.Join(dir, "directory"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for _, key := range []string{"long", "huge", "binary", "directory", "pipe", "loop"} {
		got, ok, err := secret.Dir(dir).Lookup(t.Context(), key)
		if got != "" || ok || err == nil || !strings.Contains(err.Error(), filepath.Join(dir, key)) || shows(err.Error()) {
			t.Errorf("%s: got %q, %v, %v, want an error that names the file", key, got, ok, err)
		}
	}
}

func TestEnviron(t *testing.T) {
	for key, want := range map[string]string{
		"a": "GITDAG_SECRET_A", "a.b-c": "GITDAG_SECRET_A_B_C", "pg.password": "GITDAG_SECRET_PG_PASSWORD", "A_b.c1": "GITDAG_SECRET_A_B_C1",
	} {
		if got := secret.Variable(key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	e := secret.NewEnviron([]string{
		"GITDAG_SECRET_PG_PASSWORD=old", "GITDAG_SECRET_PG_PASSWORD=a=b\n", "GITDAG_SECRET_A", "GITDAG_SECRETS_KEY_FILE=f", "PG_PASSWORD=x", "gitdag_secret_b=x",
		"GITDAG_SECRET_BAD=" + plain + "\xff",
	})
	for _, key := range []string{"pg.password", "pg-password", "PG_PASSWORD"} {
		if got, ok, err := e.Lookup(t.Context(), key); got != "a=b\n" || !ok || err != nil {
			t.Errorf("%s: got %q, %v, %v, want the value", key, got, ok, err)
		}
	}
	for _, key := range []string{"a", "b", "s.key-file", "pg..password", "", "none"} {
		if got, ok, err := e.Lookup(t.Context(), key); got != "" || ok || err != nil {
			t.Errorf("%s: got %q, %v, %v, want none", key, got, ok, err)
		}
	}
	if _, _, err := e.Lookup(t.Context(), "bad"); err == nil || shows(err.Error()) || !strings.Contains(err.Error(), "GITDAG_SECRET_BAD") {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}
