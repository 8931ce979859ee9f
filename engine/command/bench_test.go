package command_test

import (
	"os"
	"path/filepath"
	"testing"

	"gitdag/engine/command"
)

// The budget of a task is a multiple of the bare fork and exec of its shell,
// so both are measured here in turn and the ratio is reported.
func BenchmarkRun(b *testing.B) {
	script := filepath.Join(b.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte(":\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	env := command.Allow(os.Environ(), nil)
	args := []string{"/bin/sh", script}

	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			p, err := os.StartProcess(args[0], args, &os.ProcAttr{Env: env, Files: []*os.File{null, log, log}})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := p.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("file", func(b *testing.B) {
		c := command.Command{Args: args, Env: append(env, command.Marker("bench", 1, 1)), Output: log}
		for b.Loop() {
			if _, err := (command.Local{}).Run(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pipe", func(b *testing.B) {
		c := command.Command{Args: args, Env: append(env, command.Marker("bench", 1, 1)), Output: discard{}}
		for b.Loop() {
			if _, err := (command.Local{}).Run(b.Context(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// discard is a sink that is no file.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
