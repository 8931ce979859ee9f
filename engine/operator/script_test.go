package operator_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

func TestSh(t *testing.T) {
	p := newProject(t)
	p.write("bin/tool.sh", "#!/bin/sh\necho \"tool $1\"\n", 0o755)
	p.write("shell.sh", "echo \"first: $(head -n 1 \"$1\")\"\n", 0o644)
	tests := []struct {
		name    string
		visible *params.Map
		own     []any
		want    string
	}{
		{"both streams in order", nil, []any{"sh>", "echo out; echo err >&2; echo out"}, "out\nerr\nout\n"},
		{"several lines", nil, []any{"sh>", "for w in a b\ndo\n  echo $w\ndone\n"}, "a\nb\n"},
		{"standard input is empty", nil, []any{"sh>", "cat; echo end"}, "end\n"},
		{"a relative script", nil, []any{"sh>", "./bin/tool.sh 2"}, "tool 2\n"},
		{"other scalars", nil, []any{"sh>", true}, ""},
		{"a shell", nil, []any{"sh>", "text", "shell", []any{"sh", "shell.sh"}}, "first: text\n"},
		{
			"a shell from the defaults", params.Of("sh", params.Of("shell", []any{"sh", "shell.sh"})),
			[]any{"sh>", "nested"},
			"first: nested\n",
		},
		{
			"a visible option beats the defaults",
			params.Of("shell", []any{"/bin/sh"}, "sh", params.Of("shell", []any{"sh", "shell.sh"})),
			[]any{"sh>", "echo ambient"},
			"ambient\n",
		},
		{
			"its own option beats all", params.Of("shell", []any{"/bin/false"}),
			[]any{"sh>", "own", "shell", []any{"sh", "shell.sh"}},
			"first: own\n",
		},
	}
	for _, tt := range tests {
		before := len(p.logged())
		mustRun(t, p.inherit(tt.visible, tt.own...))
		if got := p.logged()[before:]; got != tt.want {
			t.Errorf("%s: got output %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestShFailures(t *testing.T) {
	p := newProject(t)
	p.write("tool.sh", "#!/bin/sh\n", 0o755)
	wantFailure(t, p.task("sh>", "exit 37"), "Command failed with code 37 (runtime)")
	wantFailure(t, p.task("sh>", "kill -9 $$"), "Command failed with code 137 (runtime)")
	wantFailure(t, p.task("sh>", "tool.sh"), "Command failed with code 127 (runtime)") // O6: not on PATH
	wantFailure(t, p.task("sh>", nil), "Parameter '_command' is required but not set (config)")
	wantFailure(t, p.task("sh>", "true", "shell", "bash"),
		`Expected array of strings for key 'shell' but got "bash" (string) (config)`)
	wantFailure(t, p.task("sh>", "true", "shell", []any{[]any{}}),
		`Expected array of strings for key 'shell' but got [[]] (array) (config)`)
	wantFailure(t, p.task("sh>", "true", "sh", "x"),
		`Expected object type for key 'sh' but got "x" (string) (config)`)
	_, err := run(t, p.task("sh>", "true", "shell", []any{"no-such-shell-here"}))
	if err == nil || !strings.Contains(err.Error(), "no-such-shell-here") || !strings.HasSuffix(err.Error(), " (runtime)") {
		t.Errorf("got %v, want a runtime failure that names the shell", err)
	}
	p.workdir = "missing"
	_, err = run(t, p.task("sh>", "true"))
	if err == nil || !strings.Contains(err.Error(), "working directory") {
		t.Errorf("got %v, want a failure that names the working directory", err)
	}
}

func TestShRunsInTheWorkingDirectory(t *testing.T) {
	p := newProject(t)
	p.write("data/in/keep", "", 0o644)
	p.workdir = "data/in"
	mustRun(t, p.task("sh>", `pwd; echo "$0"`))
	want := filepath.Join(p.root, "data/in") + "\n../../.digdag/tmp/attempt/sh-7-1\n"
	if got := p.logged(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func (p *project) scratchFiles() string {
	p.t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.root, ".digdag/tmp/attempt"))
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// The script is gone when the task ends, well or not. What is left of it is a
// spare file for the next one, unless it held secrets or somebody may still
// read it.
func TestShLeavesNoScript(t *testing.T) {
	p := newProject(t)
	mustRun(t, p.task("sh>", `test -f "$0"`, "shell", []any{"sh", "-e"}))
	secret := p.task("sh>", `test -f "$0" # ${secret:token}`)
	secret.Secrets = secrets{"token": "x"}
	mustRun(t, secret)
	if got := p.scratchFiles(); got != "" {
		t.Errorf("got files %s, want none", got)
	}
	mustRun(t, p.task("sh>", `test -f "$0"`))
	wantFailure(t, p.task("sh>", "exit 1"), "Command failed with code 1 (runtime)")
	mustRun(t, secret)
	if got, want := p.scratchFiles(), "spare"; got != want {
		t.Errorf("got files %s, want %s", got, want)
	}
}

// Whatever a task does to its own script, the next one has its own text, and
// nothing that is not the script is written to.
func TestShScriptsDoNotMeet(t *testing.T) {
	for _, mischief := range []string{
		"true", `ln -f "$0" kept`, `rm "$0"`, `rm "$0"; ln -s "$PWD/kept" "$0"`, `rm "$0"; mkfifo "$0"`, `chmod 000 "$0"`,
		`rm "$0"; mkdir "$0"`, "exit 1", "# a longer text than that of the next script, all of which must go",
	} {
		p := newProject(t)
		p.write("kept", "", 0o644)
		_, _ = run(t, p.task("sh>", "echo first > kept; "+mischief))
		before, err := os.ReadFile(filepath.Join(p.root, "kept"))
		if err != nil {
			t.Fatal(err)
		}
		mustRun(t, p.task("sh>", `echo second; cat "$0"`))
		if got, want := p.logged(), "second\necho second; cat \"$0\""; got != want {
			t.Errorf("after %s: got %q, want %q", mischief, got, want)
		}
		if after, err := os.ReadFile(filepath.Join(p.root, "kept")); err != nil || string(after) != string(before) {
			t.Errorf("after %s: a file of the project became %q, %v, want %q", mischief, after, err, before)
		}
	}
}

func TestShRunsManyAtATime(t *testing.T) {
	p := newProject(t)
	var wg sync.WaitGroup
	for i := range 20 {
		task := p.task("sh>", fmt.Sprintf("echo line %02d", i))
		task.ID = uint64(i)
		wg.Go(func() {
			if _, err := run(t, task); err != nil {
				t.Errorf("task %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	lines := strings.Fields(strings.ReplaceAll(p.logged(), "line ", ""))
	slices.Sort(lines)
	if len(lines) != 20 || lines[0] != "00" || lines[19] != "19" || len(slices.Compact(lines)) != 20 {
		t.Errorf("got lines %v, want 00 to 19", lines)
	}
}

func TestShWithoutRoomForItsScript(t *testing.T) {
	p := newProject(t)
	p.write(".digdag/tmp/attempt/sh-7-1/x", "", 0o644)
	_, err := run(t, p.task("sh>", "true"))
	if err == nil || !strings.HasPrefix(err.Error(), "write a scratch file: ") || !strings.HasSuffix(err.Error(), " (runtime)") {
		t.Errorf("got %v, want a runtime failure that names the script", err)
	}
}

// A script with secrets is readable for its owner only, others for everybody:
// the shell may be one that changes the account.
func TestShScriptMode(t *testing.T) {
	p := newProject(t)
	for text, want := range map[string]string{
		`ls -l "$0" | cut -c1-10`:                   "-rw-r--r--\n",
		`ls -l "$0" | cut -c1-10 # ${secret:token}`: "-rw-------\n",
	} {
		before := len(p.logged())
		task := p.task("sh>", text)
		task.Secrets = secrets{"token": "x"}
		mustRun(t, task)
		if got := p.logged()[before:]; got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestShEnvironment(t *testing.T) {
	p := newProject(t)
	visible := params.Of(
		"int", 42, "float", params.Number("1.5"), "exp", params.Number("1e3"), "tiny", params.Number("1e-7"),
		"big", params.Number("12345678901234567890"), "yes", true, "empty", "", "text", `two  "q" $HOME`+"\nline",
		"list", []any{1, "a", nil, true}, "map", params.Of("k", "v", "n", params.Of("x", params.Number("1.0"))),
		"nothing", nil, "bad-dash", "c", "1digit", "d", "dotted.name", "e", "ünï", "f", "_under", "g",
		"HOME", "/mine", "_env", params.Of("IGNORED", "x"), "_secrets", params.Of("a", "b"), "GITDAG_RUN", "stolen",
	)
	task := p.inherit(visible, "local", "l", "sh>", "true")
	task.Environ = append(task.Environ, "GITDAG_RUN=data/7/1", "nothing=inherited", "empty=x")
	var seen []string
	task.Commands = executor(func(c command.Command) (command.Exit, error) {
		seen = c.Env
		return command.Exit{}, nil
	})
	mustRun(t, task)
	slices.Sort(seen)
	want := []string{
		"GITDAG_RUN=data/7/1", "HOME=/mine", "PATH=" + os.Getenv("PATH"), "_command=true",
		`_env={"IGNORED":"x"}`, "_type=sh", "_under=g", "big=12345678901234567890", "empty=", "exp=1000.0", "float=1.5",
		"int=42", `list=[1,"a",null,true]`, "local=l", `map={"k":"v","n":{"x":1.0}}`, "nothing=inherited",
		"text=two  \"q\" $HOME\nline", "tiny=1.0E-7", "yes=true",
	}
	if strings.Join(seen, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
}

func TestShOwnVariables(t *testing.T) {
	p := newProject(t)
	visible := params.Of("_env", params.Of("ABOVE", "inherited"), "B", "parameter")
	task := p.inherit(visible,
		"_env", params.Of("A", "${secret:token}", "B", "<${secret: user }:${secret:token}>", "N", 7, "F", params.Number("1.50")),
		"_secrets", params.Of("token", "other"), // not for _env
		"sh>", `echo "$ABOVE $A $B $N $F"`)
	task.Secrets = secrets{"token": "to$1k", "user": "joe", "other": "wrong"}
	mustRun(t, task)
	if got, want := p.logged(), "inherited to$1k <joe:to$1k> 7 1.5\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestShOwnVariablesRefused(t *testing.T) {
	p := newProject(t)
	for _, name := range []string{"a-b", "1X", "", "é"} {
		wantFailure(t, p.task("_env", params.Of(name, "x"), "sh>", "true"),
			"Invalid _env key name: "+name+" (config)")
	}
	wantFailure(t, p.task("_env", params.Of("M", params.Of("a", 1)), "sh>", "true"),
		`Expected string type for key 'M' but got {"a":1} (object) (config)`)
	wantFailure(t, p.task("_env", params.Of("M", nil), "sh>", "true"),
		"Parameter 'M' is required but null (config)")
	wantFailure(t, p.task("_env", "x", "sh>", "true"),
		`Expected object type for key '_env' but got "x" (string) (config)`)
	wantFailure(t, p.task("_env", params.Of("A", "${secret:other.missing}"), "sh>", "true"),
		"Secret not found for key: 'other.missing' (secret not found)")
	wantFailure(t, p.task("_env", params.Of("A", "${x:y}"), "sh>", "true"),
		`invalid parametrization: "${x:y}" (config)`)
}

func TestShSecrets(t *testing.T) {
	p := newProject(t)
	store := secrets{
		"token": "tok", "db.password": `p@ss word$1 \1 ${secret:token}`, "shared.pw": "1", "deep.prefix.x.y": "3",
		"team.password": "2",
	}
	tests := []struct {
		name string
		own  []any
		want string
	}{
		{
			"values are taken as they are",
			[]any{"sh>", `printf '%s|' '${secret:token}' '${secret:db.password}' '${secret: token }'`},
			`tok|p@ss word$1 \1 ${secret:token}|tok|`,
		},
		{
			"remapped", []any{
				"_secrets", params.Of("team", params.Of("password", "shared.pw"), "pre", "deep.prefix"),
				"sh>", `printf '%s|' '${secret:team.password}' '${secret:pre.x.y}' '${secret:token}'`,
			}, "1|3|tok|",
		},
		{
			"grants of old, and keys that lead elsewhere", []any{
				"_secrets", params.Of("team", true, "token", params.Of("more", "x"), "db", params.Of("user", "x")),
				"sh>", `printf '%s|' '${secret:team.password}' '${secret:token}' '${secret:shared.pw}'`,
			}, "2|tok|1|",
		},
		{"incomplete forms are text", []any{"sh>", `printf '%s|' '${' '${a' '${a}' '${}'`}, "${|${a|${a}|${}|"},
	}
	for _, tt := range tests {
		before := len(p.logged())
		task := p.task(tt.own...)
		task.Secrets = store
		mustRun(t, task)
		if got := p.logged()[before:]; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestShSecretsRefused(t *testing.T) {
	p := newProject(t)
	wantFailure(t, p.task("sh>", "echo ${secret:nowhere.key}"),
		"Secret not found for key: 'nowhere.key' (secret not found)")
	wantFailure(t, p.task("sh>", "echo ${foo:-bar} > never.txt"), `invalid parametrization: "${foo:-bar}" (config)`)
	wantFailure(t, p.task("sh>", "echo '${ {'\necho 'a:b }'"),
		`invalid parametrization: "${ {'\necho 'a:b }" (config)`)
	wantFailure(t, p.task("_secrets", "x", "sh>", "true"),
		`Expected object type for key '_secrets' but got "x" (string) (config)`)
	wantFailure(t, p.task("_secrets", params.Of("a", 1), "sh>", "${secret:a.b}"),
		"Invalid _secrets entry for key 'a.b': 1 (config)")
	if _, err := os.Stat(filepath.Join(p.root, "never.txt")); err == nil {
		t.Error("the script ran, want a failure before it starts")
	}
}

// What the context ends is no failure of the task: the engine knows why.
func TestShEndsWithItsContext(t *testing.T) {
	p := newProject(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	task := p.task("sh>", "echo never")
	killed := errors.New("attempt killed")
	task.Commands = executor(func(c command.Command) (command.Exit, error) {
		cancel(killed)
		return command.Local{}.Run(ctx, c)
	})
	_, err := operator.Builtin()["sh"].Operator.Run(ctx, task)
	var failure *operator.Error
	if !errors.Is(err, killed) || errors.As(err, &failure) {
		t.Errorf("got %T %v, want the cause", err, err)
	}
}

type executor func(command.Command) (command.Exit, error)

func (e executor) Run(_ context.Context, c command.Command) (command.Exit, error) { return e(c) }

// BenchmarkSh compares a task with the bare run of the same shell.
func BenchmarkSh(b *testing.B) {
	p := newProject(b)
	script := filepath.Join(p.root, "bare.sh")
	p.write("bare.sh", "true", 0o644)
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			c := exec.Command("/bin/sh", script)
			c.Stdout, c.Stderr = p.log, p.log
			if err := c.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("task", func(b *testing.B) {
		sh := operator.Builtin()["sh"].Operator
		task := p.inherit(params.Of("session_time", "2024-01-02T00:00:00+00:00", "attempt_id", 1), "sh>", "true")
		for b.Loop() {
			if _, err := sh.Run(b.Context(), task); err != nil {
				b.Fatal(err)
			}
		}
	})
}
