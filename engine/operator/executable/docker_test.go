package executable_test

import (
	"os"
	"testing"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/command/docker"
	"gitdag/engine/params"
	"gitdag/internal/dockertest"
)

// In a real container a program is told the same and answers the same.
func TestRealContainer(t *testing.T) {
	e := dockertest.Start(t)
	e.Import(t, "box", (*dockertest.Pack).Base)
	p := newProject(t)
	p.script("in", `
test -f /.dockerenv && echo inside
sed 's/.*"secrets"://'
env | grep -c s3cr3t
echo '{"store_params":{"x":1}}' >&3`)
	p.write(p.root+"/operators/in.yaml", "secrets: [key]\n", 0o644)
	task := p.task(params.Of("docker", params.Of("image", "box")), "in>", "hello")
	task.Secrets = secrets{"key": "s3cr3t"}
	task.Environ = append(task.Environ, command.Marker("executable-test", 7, 2))
	task.Commands = docker.New(docker.Options{
		Host: command.Local{}, Environ: append(os.Environ(), e.Env...), Grace: time.Second,
	})
	result, err := p.run(t.Context(), task)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.logged())
	}
	if got, want := p.logged(), "inside\n{\"key\":\"s3cr3t\"}}\n0\n"; got != want || jsonOf(result.Store) != `{"x":1}` {
		t.Errorf("got output %q, want %q; store %s", got, want, jsonOf(result.Store))
	}
	if files := p.scratch(); len(files) > 0 {
		t.Errorf("got files %v, want none", files)
	}
}
