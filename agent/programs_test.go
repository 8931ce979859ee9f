package agent

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/engine/flow"
)

const (
	// stepper polls twice, and then tells what it was told. Each time it leaves a line.
	stepper = `#!/bin/sh
request=$(cat)
case $request in
*'"state":{}'*) echo first >>"$OUT"; echo '{"poll":{"interval":0.05,"state":{"step":1}}}' >&3 ;;
*'"state":{"step":1}'*) echo second >>"$OUT"; echo '{"poll":{"interval":1,"state":{"step":2}}}' >&3 ;;
*) echo third >>"$OUT"; echo "told: $request"; echo "$request" | sed 's/.*"secrets"://' >>"$OUT"; echo '{"store_params":{"stored":"yes"}}' >&3 ;;
esac
`
	stepping = "+a: {step>: x, _env: {OUT: OUTFILE}}\n+b: {sh>: 'echo stored ${stored} >>OUTFILE'}\n"
)

// A project's own operator comes with its commit, permission included, polls across
// a restart of the agent, and is told its secrets.
func TestOwnOperators(t *testing.T) {
	t.Setenv("GITDAG_SECRET_STEP_TOKEN", "canary-t0ken")
	out := filepath.Join(t.TempDir(), "out")
	r := newRig(t)
	r.start()
	r.push("own", map[string]string{
		"w.dig":               strings.ReplaceAll(stepping, "OUTFILE", out),
		"operators/step":      stepper,
		"operators/step.yaml": "secrets: [step.token]\n",
	})
	attempt := r.begin("w", time.Unix(1_700_000_000, 0))
	r.eventually("the second poll", func() bool {
		return strings.Count(readOut(t, out), "\n") == 2 && r.states()[flow.RetryWaiting] == 1
	})
	r.stop()
	r.start()
	if !r.ended(attempt) {
		t.Fatalf("the attempt has failed\n%s", r.log)
	}
	if got, want := readOut(t, out), "first\nsecond\nthird\n{\"step.token\":\"canary-t0ken\"}}\nstored yes\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if strings.Contains(r.log.String(), "unknown task type") {
		t.Errorf("a warning of an operator that is there\n%s", r.log)
	}
	logs := logsOf(t, r)
	if !strings.Contains(logs, `"secrets":{"step.token":"***"}`) || strings.Contains(logs, "canary-t0ken") {
		t.Errorf("got logs\n%s\nwant what the program was told, its secret masked", logs)
	}
}

// logsOf is what all task logs have.
func logsOf(t *testing.T, r *rig) string {
	t.Helper()
	var all strings.Builder
	for id := uint64(1); id <= 10; id++ {
		lines, err := r.agent.logs.Tail(1, id, 100)
		if err == nil {
			all.WriteString(strings.Join(lines, "\n") + "\n")
		}
	}
	return all.String()
}

func readOut(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// A pushed archive keeps the permission too; without it the task fails, and says so.
func TestOwnOperatorsOfAPush(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := newPushRig(t)
	r.start()
	script := "#!/bin/sh\necho '{\"store_params\":{\"stored\":\"pushed\"}}' >&3\n"
	workflow := strings.ReplaceAll(stepping, "OUTFILE", out)
	for _, tt := range []struct {
		revision string
		mode     int64
		want     bool
	}{{"r1", 0o755, true}, {"r2", 0o644, false}} {
		r.upload("p", tt.revision, packedEntries(t, []tar.Header{
			{Typeflag: tar.TypeReg, Name: "w.dig", Mode: 0o644, Size: int64(len(workflow))},
			{Typeflag: tar.TypeReg, Name: "operators/step", Mode: tt.mode, Size: int64(len(script))},
		}, []string{workflow, script}))
		if _, ok := r.startByID(r.definition("p", "w"), "{}"); ok != tt.want {
			t.Errorf("%s: got success %t, want %t\n%s", tt.revision, ok, tt.want, r.log)
		}
	}
	if got, want := readOut(t, out), "stored pushed\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	failed := r.told.of(flow.AlertFailed)
	if len(failed) != 1 || !strings.Contains(failed[0].Message, "operators/step is not executable") {
		t.Errorf("got alerts %+v, want one that names the file", failed)
	}
	if !strings.Contains(r.log.String(), "operators/step is not executable: the task will fail") {
		t.Errorf("the deployment gave no warning\n%s", r.log)
	}
}

// Folders are meant from the configuration's own; another one needs a restart.
func TestOperatorPath(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(file, []byte("tasks: {operator_path: [ops, /opt/ops]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.Tasks.OperatorPath, " "), filepath.Join(dir, "ops")+" /opt/ops"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	next := c
	next.Tasks.OperatorPath = nil
	if !c.needsRestart(&next) {
		t.Error("a change of the folders needs no restart, it seems")
	}
}

// The operators of a machine are there for every project.
func TestOperatorsOfTheMachine(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$0\" >>" + out + "\n"
	if err := os.WriteFile(filepath.Join(dir, "gitdag-operator-step"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.config.Tasks.OperatorPath = []string{dir}
	r.start()
	r.push("own", map[string]string{"w.dig": "+a: {step>: x}\n"})
	if !r.run("w") {
		t.Fatalf("the attempt has failed\n%s", r.log)
	}
	if got, want := readOut(t, out), filepath.Join(dir, "gitdag-operator-step")+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if strings.Contains(r.log.String(), "unknown task type") {
		t.Errorf("a warning of an operator that is there\n%s", r.log)
	}
}
