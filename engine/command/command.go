// Package command runs the programs that tasks start. [Executor] is the seam;
// [Local] runs them as processes of this machine, package docker in containers.
//
// It knows nothing of tasks but the text of a marker in the environment, by
// which a restarted agent finds what a crashed one left running ([Survivors]).
// Its invariant: a process is signalled only while its number cannot have
// passed to another one.
package command

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Command is one program run.
type Command struct {
	// Args is the program and its arguments. A program without a slash is
	// looked up in the PATH of Env; one with a slash is relative to Dir.
	Args []string
	// Dir is the working directory; empty for this process's own.
	Dir string
	// Env is the whole environment, as "NAME=value"; nothing is inherited.
	Env []string
	// Input is what the program reads on standard input; nil for nothing. Result
	// is its descriptor 3; nil for none. A container has neither.
	Input  []byte
	Result *os.File
	// Output takes standard output and standard error in the order in which
	// they are written; nil drops them. The program writes straight into an
	// *os.File, or into the file of a writer that has a method
	// File() (*os.File, error); with any other writer, and where File answers
	// [errors.ErrUnsupported], a pipe lies between.
	Output io.Writer
	// Label is what errors call the run; empty means the program's name.
	Label string
	// Container is where the program runs; nil for this machine.
	Container *Container
}

func (c Command) label() string {
	if c.Label != "" || len(c.Args) == 0 {
		return c.Label
	}
	return c.Args[0]
}

// Exit is how a program ended.
type Exit struct {
	// Code is the exit status; 128 plus the signal's number if a signal ended
	// the program.
	Code int
	// Signal is the signal that ended the program; 0 if it ended by itself.
	Signal syscall.Signal
}

// Executor runs a program to its end. The error is for what is not the
// program's own result: it could not be started, its output could not be
// kept, or ctx ended it; in the latter cases Exit is filled all the same and
// the error wraps the context's cause. Many runs may be under way at a time.
type Executor interface {
	Run(ctx context.Context, c Command) (Exit, error)
}

const markerName = "GITDAG_RUN"

// CutMarker returns env without its [Marker], and what that says.
func CutMarker(env []string) (rest []string, run string) {
	rest = make([]string, 0, len(env))
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, markerName+"="); ok {
			run = value
			continue
		}
		rest = append(rest, entry)
	}
	return rest, run
}

// Marker returns the environment entry by which [Survivors] recognises the
// processes of one execution of a task. dataID names the data directory and
// has no slash.
func Marker(dataID string, task uint64, execution int) string {
	return markerName + "=" + Run(dataID, task, execution)
}

// Run is the name of an execution that its [Marker] has.
func Run(dataID string, task uint64, execution int) string {
	return dataID + "/" + strconv.FormatUint(task, 10) + "/" + strconv.Itoa(execution)
}

// ParseRun reads what a [Marker] says.
func ParseRun(run string) (dataID string, task uint64, execution int, ok bool) {
	dataID, rest, ok := strings.Cut(run, "/")
	s, read := parseMarker(rest)
	return dataID, s.Task, s.Execution, ok && read
}

// Allow returns the entries of environ whose name is in names; the last one
// counts where a name occurs twice. Nil names stand for PATH, HOME, LANG, TZ.
func Allow(environ, names []string) []string {
	if names == nil {
		names = []string{"PATH", "HOME", "LANG", "TZ"}
	}
	kept := make([]string, 0, len(names))
	seen := make(map[string]bool, len(names))
	for _, entry := range slices.Backward(environ) {
		name, _, ok := strings.Cut(entry, "=")
		if ok && !seen[name] && slices.Contains(names, name) {
			seen[name] = true
			kept = append(kept, entry)
		}
	}
	slices.Reverse(kept)
	return kept
}
