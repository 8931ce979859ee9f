package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gitdag/bench/agenttest"
)

// TestMain lets the test binary stand in for the program: scripts, and tests
// that need a process of its own, run it under the name gitdag.
func TestMain(m *testing.M) {
	name, value, _ := strings.Cut(agenttest.Quick, "=")
	_ = os.Setenv(name, value) // for the processes that tests start
	testscript.Main(m, map[string]func(){"gitdag": main})
}

// program returns the path of a gitdag that tests may start.
func program(t *testing.T) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		file := filepath.Join(dir, "gitdag")
		if _, err := os.Lstat(file); err == nil {
			return file
		}
	}
	t.Fatal("no gitdag on the PATH that testscript has set")
	return ""
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("..", "..", "testdata", "scripts"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serve, "like": like, "ask": ask, "stop": stop, "hangup": hangup},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Vars = append(e.Vars, agenttest.Quick)
			e.Values[lastKey] = &last{}
			return nil
		},
	})
}
