package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"gitdag/engine/params"
)

// The files of an exchange; the runner's name gets its language's suffix.
const (
	runnerFile = "runner"
	inputFile  = "input.json"
	outputFile = "output.json"
)

// maxOutput bounds what a script may answer: it is held in memory.
const maxOutput = 64 << 20

// exchange is the directory through which one run of a script in another
// language is told what to do and answers (operators.md 6.2).
type exchange struct {
	dir, runner string
	// workdir is where the script runs, path the directory as seen from there.
	workdir, path string
	// shared tells that the script may run under any account.
	shared bool
}

// calledScript returns the script that runs and its first argument, the method
// to call. Without a command the parameter `script` takes the runner's place.
func calledScript(config *params.Map, runner string) (text string, args []string, err error) {
	if !config.Has("_command") {
		text, err = params.Required(config, "script", params.String)
		return text, nil, err
	}
	method, err := params.Required(config, "_command", params.String)
	return runner, []string{method}, err
}

// newExchange says where the directory will be; runner is the name of the script's
// file.
func newExchange(ctx context.Context, t *Task, runner string) (*exchange, error) {
	scratch, err := t.Workspace.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	x := &exchange{dir: filepath.Join(scratch, runName(t.Type, t)), runner: runner}
	if x.workdir, x.path, err = fromDir(ctx, t, x.dir); err != nil {
		return nil, err
	}
	x.shared = wantsContainer(t)
	return x, nil
}

// make makes the directory. What a crashed run left is not this run's answer.
func (x *exchange) make() error {
	err := os.RemoveAll(x.dir)
	if err == nil {
		err = os.Mkdir(x.dir, 0o755)
	}
	if err == nil && x.shared {
		// Who a container's user is, is not known here.
		err = os.Chmod(x.dir, 0o777|fs.ModeSticky)
	}
	if err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	return nil
}

// ask makes the directory, with the script and the parameters for it: without
// `_secrets`, which says where secrets are found.
func (x *exchange) ask(script string, config *params.Map) error {
	if err := x.make(); err != nil {
		return err
	}
	if config.Has("_secrets") {
		config = config.Clone()
		config.Delete("_secrets")
	}
	if err := (scratchFile{path: filepath.Join(x.dir, x.runner)}).write(script); err != nil {
		return err
	}
	input := params.AppendJSON(nil, params.Of("params", config))
	return (scratchFile{path: filepath.Join(x.dir, inputFile)}).write(string(input))
}

// args are the arguments of the language's program: the script, its own ones
// that are given, and where it reads and writes.
func (x *exchange) args(given ...string) []string {
	args := append([]string{filepath.Join(x.path, x.runner)}, given...)
	return append(args, filepath.Join(x.path, inputFile), filepath.Join(x.path, outputFile))
}

// answer reads what the script wrote: an error of kind [fs.ErrNotExist] if
// nothing.
func (x *exchange) answer() (*params.Map, error) {
	f, err := os.OpenFile(filepath.Join(x.dir, outputFile), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", outputFile, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxOutput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", outputFile, err)
	case len(text) > maxOutput:
		return nil, fmt.Errorf("%s is larger than %d MiB", outputFile, maxOutput>>20)
	}
	v, err := params.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", outputFile, err)
	}
	object, ok := v.(*params.Map)
	if !ok {
		return nil, fmt.Errorf("%s holds no object, but %s", outputFile, sample(v))
	}
	return object, nil
}

// result returns the answer of a script that succeeded. What it stores and
// exports is data; its subtasks are written like those of a file (L20).
func (x *exchange) result() (*Result, error) {
	answer, err := x.answer()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist. The script ended with exit status 0 before it was written", outputFile)
	}
	if err != nil {
		return nil, err
	}
	r := &Result{}
	for _, part := range []struct {
		key string
		of  **params.Map
	}{{"subtask_config", &r.Subtasks}, {"export_params", &r.Export}, {"store_params", &r.Store}} {
		if *part.of, err = params.Optional(answer, part.key, params.Object, nil); err != nil {
			return nil, err
		}
	}
	r.Subtasks = params.AsTemplate(r.Subtasks).(*params.Map)
	return r, nil
}

// scriptError is the error that a script answers with.
type scriptError struct {
	class, message string
	backtrace      []string
}

// failure returns the error that a failed script answered with, nil if it
// answered nothing. An answer that makes no sense is an error.
func (x *exchange) failure() (*scriptError, error) {
	answer, err := x.answer()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	object, err := params.Optional(answer, "error", params.Object, nil)
	if err != nil || object == nil {
		return nil, err
	}
	e := &scriptError{}
	if e.class, err = params.Optional(object, "class", params.String, ""); err != nil {
		return nil, err
	}
	if e.message, err = params.Optional(object, "message", params.String, ""); err != nil {
		return nil, err
	}
	e.backtrace, err = params.Optional(object, "backtrace", stringList, nil)
	return e, err
}

// String returns the message, the class and the backtrace, in Digdag's form.
func (e *scriptError) String() string {
	var b strings.Builder
	b.WriteString(e.message + " (" + e.class + ")")
	for _, entry := range e.backtrace {
		b.WriteString("\n\tfrom " + entry)
	}
	return b.String()
}

// discard ends the exchange.
func (x *exchange) discard() { _ = os.RemoveAll(x.dir) }
