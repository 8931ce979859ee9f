package operator_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/engine/expr"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// withEmbulk gives tasks an `embulk` that shows what it was called with.
func (p *project) withEmbulk(task *operator.Task) *operator.Task {
	p.write("bin/embulk", "#!/bin/sh\necho \"$1 $(basename \"$2\") $(stat -c %a \"$2\") $MINE\"\ncat \"$2\"\nexit ${EXIT:-0}\n", 0o755)
	task.Environ = []string{"PATH=" + filepath.Join(p.root, "bin") + ":" + os.Getenv("PATH")}
	task.Evaluator = expr.New(expr.Options{})
	return task
}

func TestEmbulk(t *testing.T) {
	p := newProject(t)
	p.write("conf/load.yml", `in:
  type: file
  path: ${where}/${session}
  skip: 1
  rate: 1.50
out: {type: pg, "${secret:field}": "${secret:pg.password}", when: 2024-01-02, on: [true, null, no]}
`, 0o644)
	task := p.withEmbulk(p.inherit(params.Of("where", "s3", "session", 7),
		"embulk>", "conf/load.yml", "_env", params.Of("MINE", "${secret:pg.password}")))
	task.Secrets = secrets{"field": "pass", "pg.password": `"quoted"`}
	mustRun(t, task)
	want := `run load.yml 600 "quoted"
{"in":{"type":"file","path":"s3/7","skip":1,"rate":1.50},"out":{"type":"pg","pass":"\"quoted\"","when":"2024-01-02","on":[true,null,"no"]}}
`
	if got := p.logged(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	left, err := filepath.Glob(filepath.Join(p.root, ".digdag/tmp/attempt/*"))
	if err != nil || len(left) != 0 {
		t.Errorf("got %v, %v left in the scratch directory, want nothing", left, err)
	}
}

func TestEmbulkWithAConfigurationOfTheTask(t *testing.T) {
	p := newProject(t)
	own := params.Of("in", params.Of("path", "${secret:stays}"))
	mustRun(t, p.withEmbulk(p.task("embulk>", nil, "config", own)))
	if got, want := p.logged(), `{"in":{"path":"${secret:stays}"}}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
	mustRun(t, p.withEmbulk(p.inherit(params.Of("embulk", params.Of("config", params.Of("x", 1))), "embulk>", nil)))
	if got, want := p.logged(), `{"x":1}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

func TestEmbulkFailures(t *testing.T) {
	p := newProject(t)
	p.write("good.yml", "in: 1\n", 0o644)
	p.write("twice.yml", "in: 1\nin: 2\n", 0o644)
	p.write("list.yml", "- 1\n", 0o644)
	p.write("unknown.yml", "in: ${typo}\n", 0o644)
	p.write("secret.yml", "in: '${secret:gone}'\n", 0o644)
	p.write("other.yml", "in: '${store:gone}'\n", 0o644)
	tests := []struct{ file, want string }{
		{"none.yml", "none.yml"},
		{"../out.yml", "it is outside of the project (config)"},
		{"twice.yml", "Failed to load twice.yml: "},
		{"list.yml", "Failed to load list.yml: "},
		{"unknown.yml", "typo is not defined"},
		{"secret.yml", "Secret not found for key: 'gone' (secret not found)"},
		{"other.yml", "invalid parametrization: "},
	}
	for _, tt := range tests {
		_, err := run(t, p.withEmbulk(p.task("embulk>", tt.file)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s in it", tt.file, err, tt.want)
		}
	}
	wantFailure(t, p.withEmbulk(p.task("embulk>", nil)), "Parameter 'config' is required but not set (config)")
	wantFailure(t, p.withEmbulk(p.task("embulk>", "good.yml", "_env", params.Of("EXIT", 3))), "Command failed with code 3 (runtime)")

	absent := p.task("embulk>", "good.yml")
	absent.Evaluator, absent.Environ = expr.New(expr.Options{}), []string{"PATH=/nowhere"}
	if _, err := run(t, absent); err == nil || !strings.Contains(err.Error(), "embulk") || !strings.HasSuffix(err.Error(), " (runtime)") {
		t.Errorf("got %v, want a runtime failure that names embulk", err)
	}
}
