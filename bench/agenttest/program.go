package agenttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds the program without the race detector, as users run it, and
// returns its file.
func Build(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gitdag")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", file, "gitdag/cmd/gitdag")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return file
}

// Run runs the program to its end and returns what it printed.
func Run(t testing.TB, program string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), Quick)
	out, err := cmd.Output()
	return string(out), err
}
