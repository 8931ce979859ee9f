package param_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gitdag/engine/operator"
	"gitdag/engine/operator/param"
	"gitdag/engine/params"
)

// at returns operators whose values are in a directory.
func at(dir string) operators { return param.Operators(param.Server{}, dir) }

func TestDirectoryIsTheAccountsAlone(t *testing.T) {
	dir := param.Local(t.TempDir())
	if got := at(dir).run(t, "param_get>", nil, "a", "a"); got != `{"a":""}` {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("to read has made the directory")
	}
	at(dir).run(t, "param_set>", nil, "a", "<x>")
	for name, want := range map[string]os.FileMode{".": 0o700, "values.json": 0o600, "lock": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "values.json"))
	if err != nil || !strings.Contains(string(text), `"value": "<x>"`) {
		t.Errorf("got %s, %v", text, err)
	}
	// Another process, or the next one, finds it.
	if got := at(dir).run(t, "param_get>", nil, "a", "a"); got != `{"a":"<x>"}` {
		t.Errorf("got %s", got)
	}
}

// A value goes 90 days after it was last written, and then leaves the file.
func TestDirectoryForgets(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := at(dir)
		o.run(t, "param_set>", nil, "a", "1", "b", "1")
		time.Sleep(50 * 24 * time.Hour)
		o.run(t, "param_set>", nil, "b", "2")
		time.Sleep(40 * 24 * time.Hour)
		if got := o.run(t, "param_get>", nil, "a", "a", "b", "b"); got != `{"a":"1","b":"2"}` {
			t.Errorf("after 90 days: got %s", got)
		}
		time.Sleep(time.Second)
		if got := o.run(t, "param_get>", nil, "a", "a", "b", "b"); got != `{"a":"","b":"2"}` {
			t.Errorf("after more: got %s", got)
		}
		o.run(t, "param_set>", nil, "c", "3")
	})
	if text, err := os.ReadFile(filepath.Join(dir, "values.json")); err != nil || strings.Contains(string(text), `"a"`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestDirectoryIsBounded(t *testing.T) {
	const prefix, hint = "too much for the values that are kept without a server: ", "; with param_server PostgreSQL or Redis keeps them"
	o := at(t.TempDir())
	big := strings.Repeat("x", 1<<20)
	o.wantFailure(t, prefix+fmt.Sprintf("the key %.50q: keys may have 1024 bytes, values 1048576", big)+hint, "param_set>", nil, big[:1025], "x")
	o.wantFailure(t, prefix+`the key "k": keys may have 1024 bytes, values 1048576`+hint, "param_set>", nil, "k", big+"x")
	full := []any{"param_set>", nil}
	for i := range 15 {
		full = append(full, fmt.Sprint("k", i), big)
	}
	o.run(t, full...)
	o.wantFailure(t, prefix+"there may be 10000 values, of 16777216 bytes together"+hint, "param_set>", nil, "k15", big)
	o.run(t, "param_set>", nil, "k0", "", "k15", big)

	o = at(t.TempDir())
	many := params.Of("param_set>", nil)
	for i := range 10_000 {
		many.Set(strconv.Itoa(i), "x")
	}
	own := []any{}
	for key, v := range many.All() {
		own = append(own, key, v)
	}
	o.run(t, own...)
	o.wantFailure(t, prefix+"there may be 10000 values, of 16777216 bytes together"+hint, "param_set>", nil, "one more", "x")
}

func TestDirectoryThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "values.json")
	for text, want := range map[string]string{
		`{"version": 2}`: "they have version 2, and this program knows 1", `{"version": 1`: "unexpected end of JSON input",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at(dir).wantFailure(t, "get 1 values: read the values of "+file+": "+want+" (runtime)", "param_get>", nil, "a", "a")
		at(dir).wantFailure(t, "set 1 values: read the values of "+file+": "+want+" (runtime)", "param_set>", nil, "a", "a")
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("got %s, want the file as it was", got)
		}
	}
	// What is no directory.
	_, err := at(file).try(t.Context(), task(t, "param_set>", nil, "a", "a"))
	if failure := (*operator.Error)(nil); !errors.As(err, &failure) || failure.Kind != "runtime" {
		t.Errorf("got %v", err)
	}
}

// A task that waits for another process ends when it is killed, and not before that one.
func TestDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	o := at(dir)
	o.run(t, "param_set>", nil, "a", "1")
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancelCause(t.Context())
	killed := errors.New("killed")
	done := make(chan error, 2)
	for range cap(done) { // one waits for the process, the other for the one
		go func() {
			_, err := o.try(ctx, task(t, "param_set>", nil, "a", "2"))
			done <- err
		}()
	}
	select {
	case err := <-done:
		t.Fatalf("got %v, want a wait", err)
	case <-time.After(50 * time.Millisecond):
	}
	kill(killed)
	for range cap(done) {
		if err := <-done; !errors.Is(err, killed) {
			t.Errorf("got %v, want the end of the context", err)
		}
	}
	if got := o.run(t, "param_get>", nil, "a", "a"); got != `{"a":"1"}` {
		t.Errorf("got %s", got)
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = f.Close() })
	o.run(t, "param_set>", nil, "a", "3")
}

// writeForever has this program write pairs of equal values until it is killed.
const writeForever = "GITDAG_TEST_WRITE_PARAMS"

func writePairs(dir string) {
	o := at(dir)
	for n := 0; ; n++ {
		local := params.Of("a", n, "b", n)
		if _, err := o.try(context.Background(), &operator.Task{Type: "param_set", Local: local}); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// Whenever a process is killed, what it was told to be written is there, and nothing in
// halves; the next one goes on.
func TestDirectoryOutlivesKills(t *testing.T) {
	dir := t.TempDir()
	for round := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writeForever+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range round + 1 {
			if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
				t.Fatalf("got %q", lines.Text())
			}
		}
		time.AfterFunc(time.Duration(round)*300*time.Microsecond, func() { _ = cmd.Process.Kill() })
		told := lines.Text()
		for lines.Scan() {
			told = lines.Text()
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		result, err := at(dir).try(t.Context(), task(t, "param_get>", nil, "a", "a", "b", "b"))
		if err != nil {
			t.Fatal(err)
		}
		a, _ := result.Store.Lookup("a")
		b, _ := result.Store.Lookup("b")
		last, _ := strconv.Atoi(told)
		if n, err := strconv.Atoi(fmt.Sprint(a)); err != nil || a != b || n < last || n > last+1 {
			t.Errorf("got %v and %v after %s was written", a, b, told)
		}
	}
	at(dir).run(t, "param_set>", nil, "c", "c")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, %v, want the lock and the values alone", entries, err)
	}
}

// BenchmarkDirectory sets one value beside others that are there.
func BenchmarkDirectory(b *testing.B) {
	for _, values := range []int{1, 100, 10_000} {
		b.Run(strconv.Itoa(values), func(b *testing.B) {
			o := at(b.TempDir())
			own := []any{"param_set>", nil}
			for i := range values {
				own = append(own, fmt.Sprint("key", i), strings.Repeat("x", 100))
			}
			o.run(b, own...)
			for b.Loop() {
				o.run(b, "param_set>", nil, "key0", "y")
			}
		})
	}
}
