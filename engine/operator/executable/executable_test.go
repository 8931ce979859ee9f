package executable_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/operator/executable"
	"gitdag/engine/params"
)

// TestRequest shows all that a program is told, with each value of its own type.
func TestRequest(t *testing.T) {
	p := newProject(t)
	p.script("tell", "cat")
	task := p.task(
		params.Of("x", params.Of("z", 1, "a", params.List{true, nil, params.Number("1.50")}),
			"tell", params.Of("color", "default", "size", 3), "big", params.Number("12345678901234567890")),
		"tell>", "hello", "color", "red", "_secrets", params.Of("a", "b"),
	)
	if _, err := p.run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	want := `{"protocol":1,"operator":"tell",` +
		`"task":{"name":"+w+t","id":"7","execution":2,"key":"uuid/3/7","time":"2024-01-02T03:04:05Z"},` +
		`"command":"hello","options":{"tell>":"hello","color":"red"},` +
		`"params":{"color":"red","size":3,"x":{"z":1,"a":[true,null,1.50]},"tell":{"color":"default","size":3},` +
		`"big":12345678901234567890,"tell>":"hello","_type":"tell","_command":"hello"},` +
		`"state":{},"secrets":{}}` + "\n"
	if diff := cmp.Diff(want, p.logged()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if files := p.scratch(); len(files) > 0 {
		t.Errorf("got files %v, want none", files)
	}
}

// TestAnswers shows what a program may answer when it succeeds (operators.md 2.4).
// What it stores and exports is data, its subtasks are written like a file's (L20).
func TestAnswers(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"nothing", "", `{}`},
		{"white space", " \n", `{}`},
		{"an empty object", "{}", `{}`},
		{"nulls", `{"store_params":null,"error":null}`, `{}`},
		{"store", `{"store_params":{"x":{"n":12345678901234567890,"t":"${y}"}}}`, `{"Store":{"x":{"n":12345678901234567890,"t":"${y}"}}}`},
		{"export", `{"export_params":{"x":1}}`, `{"Export":{"x":1}}`},
		{"reset", `{"reset_store_params":["a.b","c"]}`, `{"Reset":["a.b","c"]}`},
		{"subtasks", `{"subtask_config":{"+a":{"echo>":"${x}"}}}`, `{"Subtasks":{"+a":{"echo>":{"$":"${x}"}}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t)
			p.script("answer", `printf '%s' '`+tt.answer+`' >&3`)
			result, err := p.run(t.Context(), p.task(nil, "answer>", nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(result); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// shown is a result as text, in which templates are marked.
func shown(r *operator.Result) string {
	m := params.NewMap(0)
	for key, part := range map[string]*params.Map{"Store": r.Store, "Export": r.Export} {
		if part != nil {
			m.Set(key, part)
		}
	}
	if r.Subtasks != nil {
		task, _ := r.Subtasks.Lookup("+a")
		echo, _ := task.(*params.Map).Lookup("echo>")
		if text, ok := echo.(params.Template); ok {
			m.Set("Subtasks", params.Of("+a", params.Of("echo>", params.Of("$", string(text)))))
		}
	}
	if r.Reset != nil {
		list := params.List{}
		for _, path := range r.Reset {
			list = append(list, path)
		}
		m.Set("Reset", list)
	}
	return jsonOf(m)
}

// TestFailures shows how a program fails, and how its author finds out why.
func TestFailures(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"exit code", "exit 3", "operators/bad failed with code 3 (runtime)"},
		{"a signal", "kill -9 $$", "operators/bad failed with code 137 (runtime)"},
		{"exit code with a result", `echo '{"store_params":{"x":1}}' >&3; exit 3`, "operators/bad failed with code 3 (runtime)"},
		{"a text", `echo '{"error":"no rows"}' >&3`, "no rows"},
		{"a text with an exit code", `echo '{"error":"no rows"}' >&3; exit 4`, "no rows"},
		{"an object", `echo '{"error":{"message":"no rows","table":"t"}}' >&3; exit 4`, "no rows"},
		{"an error without a message", `echo '{"error":{}}' >&3`, "operators/bad failed"},
		{"no JSON", "echo done >&3", "operators/bad: read its result: "},
		{"no JSON with an exit code", "echo done >&3; exit 1", "operators/bad failed with code 1; read its result: "},
		{"no object", "echo '[1]' >&3", "operators/bad: its result is no JSON object (runtime)"},
		{"two results", "echo '{}{}' >&3", "operators/bad: read its result: "},
		{"an unknown key", `echo '{"store_param":{}}' >&3`, `operators/bad: its result has the unknown key "store_param": did you mean "store_params"? (runtime)`},
		{"a wrong type", `echo '{"store_params":[]}' >&3`, "operators/bad: Expected object type for key 'store_params' but got [] (array) (runtime)"},
		{"a wrong reset", `echo '{"reset_store_params":[1]}' >&3`, "operators/bad: Expected array of strings for key 'reset_store_params' but got [1] (array) (runtime)"},
		{"poll without interval", `echo '{"poll":{}}' >&3`, "operators/bad: Parameter 'interval' is required but not set (runtime)"},
		{"poll in the past", `echo '{"poll":{"interval":-1}}' >&3`, "operators/bad: Expected a number of seconds, or a duration such as 1m 30s, from 0 to 366d for key 'interval' but got -1 (number) (runtime)"},
		{"poll after all", `echo '{"poll":{"interval":1e30}}' >&3`, "operators/bad: Expected a number of seconds, or a duration such as 1m 30s, from 0 to 366d for key 'interval' but got 1e30 (number) (runtime)"},
		{"poll and more", `echo '{"poll":{"interval":1},"store_params":{}}' >&3`, "operators/bad: its result has poll and more: it is either to be run again, or done (runtime)"},
		{"poll with an exit code", `echo '{"poll":{"interval":1}}' >&3; exit 1`, "operators/bad failed with code 1 (runtime)"},
		{"poll with a wrong key", `echo '{"poll":{"after":1}}' >&3`, `operators/bad: its result has the unknown key "after" (runtime)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t)
			p.script("bad", tt.script)
			_, err := p.run(t.Context(), p.task(nil, "bad>", nil))
			var failure *operator.Error
			if !errors.As(err, &failure) {
				t.Fatalf("got %v, want a failure", err)
			}
			if got := failure.Error(); got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got\n  %s\nwant\n  %s", got, tt.want)
			}
			if files := p.scratch(); len(files) > 0 {
				t.Errorf("got files %v, want none", files)
			}
		})
	}
}

// What a program tells of its failure is there for `_error` tasks.
func TestErrorObject(t *testing.T) {
	p := newProject(t)
	p.script("bad", `echo '{"error":{"message":"no rows in ${table}","table":{"name":"t","rows":0}}}' >&3`)
	failure := p.fails(p.task(nil, "bad>", nil), "no rows in ${table}")
	if got, want := jsonOf(failure.Object()), `{"message":"no rows in ${table}","table":{"name":"t","rows":0}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A program waits by asking to be run again; its state is all that it keeps.
func TestPolling(t *testing.T) {
	p := newProject(t)
	p.script("job", `
request=$(cat)
case $request in
*'"state":{}'*) echo '{"poll":{"interval":90,"state":{"job":"j-1"}}}' >&3 ;;
*'"state":{"job":"j-1"}'*) echo '{"poll":{"interval":"1m 30s","state":{"job":"j-1","seen":true}}}' >&3 ;;
*'"state":{"job":"j-1","seen":true}'*) echo '{"poll":{"interval":0.5}}' >&3 ;;
esac`)
	task := p.task(nil, "job>", nil)
	for _, want := range []struct {
		after time.Duration
		state string
	}{
		{90 * time.Second, `{"job":"j-1"}`}, {90 * time.Second, `{"job":"j-1","seen":true}`}, {time.Second / 2, `{}`},
	} {
		_, err := p.run(t.Context(), task)
		var poll *operator.Poll
		if !errors.As(err, &poll) || poll.After != want.after || jsonOf(poll.State) != want.state {
			t.Fatalf("got %#v, want to be run after %v with %s", err, want.after, want.state)
		}
		task.State = poll.State
	}
}

// TestSecrets: a program gets what the file beside it asks for, in its request and
// nowhere else; nothing is executed to find out.
func TestSecrets(t *testing.T) {
	const canary = "s3cr3t-canary"
	p := newProject(t)
	p.script("vault", `
env >environment
tr '\0' ' ' </proc/$$/cmdline >arguments
sed 's/.*"secrets"://'`)
	manifest := filepath.Join(p.root, "operators/vault.yaml")
	task := p.task(nil, "vault>", nil, "_secrets", params.Of("db", params.Of("password", "team.db")))
	task.Secrets = secrets{"db.user": "joe", "team.db": canary, "other": "x"}

	p.write(manifest, "secrets: [db.user, db.password]\noptional_secrets: [db.host]\n", 0o644)
	if _, err := p.run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if got, want := p.logged(), `{"db.user":"joe","db.password":"`+canary+`"}}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{"environment", "arguments"} {
		text, err := os.ReadFile(filepath.Join(p.root, name))
		if err != nil || len(text) == 0 || strings.Contains(string(text), canary) {
			t.Errorf("%s: got %q, %v, want something without the secret", name, text, err)
		}
	}
	if files := p.scratch(); len(files) > 0 {
		t.Errorf("got files %v, want none", files)
	}

	before := p.logged()
	for text, want := range map[string]string{
		"secrets: [db.user, gone]\n": "Secret not found for key: 'gone' (secret not found)",
		"secrets: db.user\n":         "operators/vault.yaml: Expected array of strings for key 'secrets' but got \"db.user\" (string) (config)",
		"optional_secrets: [1]\n":    "operators/vault.yaml: Expected array of strings for key 'optional_secrets' but got [1] (array) (config)",
		"secret: [db.user]\n":        `operators/vault.yaml: unknown key "secret": there are secrets and optional_secrets (config)`,
	} {
		p.write(manifest, text, 0o644)
		p.fails(task, want)
	}
	p.write(manifest, "secrets: [\n", 0o644)
	if _, err := p.run(t.Context(), task); err == nil || !strings.HasPrefix(err.Error(), "operators/vault.yaml: ") {
		t.Errorf("got %v, want a failure that names the file", err)
	}
	if got := p.logged(); got != before {
		t.Errorf("got %q: the program ran although it could not be told what it needs", got[len(before):])
	}
}

// TestFind: the project's own operator comes before the machine's, and both after
// what is built in.
func TestFind(t *testing.T) {
	p := newProject(t)
	low, high := t.TempDir(), t.TempDir()
	p.path = []string{"", high, low}
	for dir, names := range map[string][]string{low: {"both", "low", "own"}, high: {"both"}} {
		for _, name := range names {
			p.write(filepath.Join(dir, "gitdag-operator-"+name), "#!/bin/sh\necho "+filepath.Base(dir), 0o755)
		}
	}
	p.write(filepath.Join(low, "gitdag-operator-plain"), "#!/bin/sh\n", 0o644)
	p.script("own", "echo own")
	p.script("td", "echo td")
	p.write(filepath.Join(p.root, "operators/plain"), "#!/bin/sh\n", 0o644)
	for typ, want := range map[string]string{"own": "own", "both": filepath.Base(high), "low": filepath.Base(low), "td": "td"} {
		before := len(p.logged())
		if _, err := p.run(t.Context(), p.task(nil, typ+">", nil)); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		if got := p.logged()[before:]; got != want+"\n" {
			t.Errorf("%s: got %q, want %q", typ, got, want)
		}
	}
	p.fails(p.task(nil, "plain>", nil),
		"operators/plain is not executable: chmod +x operators/plain, and in Git: git update-index --chmod=+x operators/plain (config)")
	for _, typ := range []string{"gone", "../operators/own", "own.yaml", "-x"} {
		p.fails(p.task(nil, typ+">", nil), "Unknown task type: "+typ+" (config)")
	}
	finder := executable.NewFinder(p.path)
	for typ, want := range map[string]bool{"both": true, "low": true, "plain": false, "td": false, "../x": false} {
		if got := finder.Installed(typ); got != want {
			t.Errorf("%s: got installed %t, want %t", typ, got, want)
		}
	}
	none := operator.NewRegistry(nil)
	if op, err := none.Program(t.Context(), p.task(nil, "own>", nil)); op != nil || err != nil || none.Installed("low") {
		t.Errorf("got %v, %v, want nothing without programs", op, err)
	}
}

// A program runs where the task's other programs would, with what they inherit.
func TestSurroundings(t *testing.T) {
	p := newProject(t)
	p.workdir = "sub"
	p.script("where", `pwd; echo "$INHERITED $OWN [$x]"; echo "$0"; cat <&0 >/dev/null; ls /dev/fd/ | grep -c '^3$'`)
	p.write(filepath.Join(p.root, "sub/keep"), "", 0o644)
	task := p.task(params.Of("x", "1"), "where>", nil, "_env", params.Of("OWN", "mine"))
	if _, err := p.run(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(p.root, "sub") + "\nyes mine []\n" + filepath.Join(p.root, "operators/where") + "\n1\n"
	if got := p.logged(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A program that does not read its request is none the worse; one that cannot be
// started says why.
func TestPrograms(t *testing.T) {
	p := newProject(t)
	p.script("deaf", "exec <&-; echo '{\"store_params\":{\"x\":1}}' >/dev/fd/3")
	big := strings.Repeat("x", 1<<20)
	if r, err := p.run(t.Context(), p.task(params.Of("big", big), "deaf>", nil)); err != nil || jsonOf(r.Store) != `{"x":1}` {
		t.Errorf("got %v, %v, want its result", r, err)
	}
	p.write(filepath.Join(p.root, "operators/lost"), "#!/no/such/program\n", 0o755)
	p.fails(p.task(nil, "lost>", nil), "start operators/lost: program "+filepath.Join(p.root, "operators/lost")+
		": its interpreter /no/such/program is missing: no such file or directory (runtime)")
	p.fails(p.task(nil, "deaf>", nil, "deaf", "x"), `Expected object type for key 'deaf' but got "x" (string) (config)`)
	p.fails(p.task(nil, "deaf>", nil, "_env", params.Of("a-b", "x")), "Invalid _env key name: a-b (config)")
}

// A kill reaches all that a program has started.
func TestKill(t *testing.T) {
	p := newProject(t)
	p.script("slow", `trap 'wait; echo ended; exit 1' TERM; (trap 'echo child ended; exit' TERM; echo up; while :; do sleep 0.05; done) & wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := p.run(ctx, p.task(nil, "slow>", nil))
		done <- err
	}()
	for tick := time.NewTicker(time.Millisecond); !strings.Contains(p.logged(), "up"); {
		<-tick.C
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	if got, want := p.logged(), "child ended\nended\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q at the end", got, want)
	}
}

// inside runs on this machine what is meant for a container, and knows that it was.
type inside struct {
	command.Executor
	image string
}

func (i *inside) Run(ctx context.Context, c command.Command) (command.Exit, error) {
	if c.Container != nil {
		if err := c.Container.Prepare(); err != nil {
			return command.Exit{}, err
		}
		i.image, c.Container = c.Container.Image, nil
	}
	return i.Executor.Run(ctx, c)
}

// In a container the request and the result are files of the project.
func TestContainer(t *testing.T) {
	p := newProject(t)
	p.script("in", `grep -c '"command":"hello","options"'; echo '{"store_params":{"x":1}}' >&3`)
	task := p.task(params.Of("docker", params.Of("image", "busybox")), "in>", "hello")
	i := &inside{Executor: command.Local{}}
	task.Commands = i
	result, err := p.run(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.logged(); i.image != "busybox" || got != "1\n" || jsonOf(result.Store) != `{"x":1}` {
		t.Errorf("got image %q, output %q, store %s", i.image, got, jsonOf(result.Store))
	}
	if files := p.scratch(); len(files) > 0 {
		t.Errorf("got files %v, want none", files)
	}
	p.path = []string{t.TempDir()}
	p.write(filepath.Join(p.path[0], "gitdag-operator-out"), "#!/bin/sh\n", 0o755)
	p.fails(p.task(params.Of("docker", params.Of("image", "busybox")), "out>", nil),
		"docker: gitdag-operator-out is a program of this machine, which a container does not see: put it into the project, as operators/out (config)")
}
