// Package docker runs commands in containers: through the API of a Docker
// engine, or with a program that takes the arguments of Docker's own.
//
// It knows commands and containers, no tasks. Its invariant: a command that
// wants a container runs in one or fails, never on this machine; and what it
// has started is gone when the result of its run is safe, or carries the [Label]
// by which [Executor.TakeOver] finds it.
package docker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gitdag/engine/command"
)

const (
	// Label is the label that says which execution of which task a container
	// belongs to, as the marker of a process does.
	Label = "gitdag.run"
	// filesLabel and linesLabel say what an agent must know to go on with a
	// container: the path of its files, and how many lines its output had before.
	filesLabel, linesLabel = "gitdag.files", "gitdag.lines"
	// buildLabel is on the images that are built for tasks.
	buildLabel = "gitdag.build"

	defaultGrace = 10 * time.Second
	// callTimeout bounds calls that must be made although the run was ended.
	callTimeout = time.Minute
	// pingTimeout bounds the wait for an engine that may not be there.
	pingTimeout = 10 * time.Second
)

// Options are what an [Executor] works with.
type Options struct {
	// Host runs what wants no container, and the programs that stand for Docker.
	Host command.Executor
	// Grace lies between the signal that asks a container to end and the one that
	// makes it; 0 means 10 seconds.
	Grace time.Duration
	// Environ is where DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG,
	// DOCKER_CERT_PATH, DOCKER_TLS_VERIFY, DOCKER_API_VERSION and HOME are looked
	// up, as "NAME=value".
	Environ []string
	// Log takes what is of no consequence for a run; nil drops it.
	Log *slog.Logger
}

// Executor runs commands in containers, those without a container by its host.
// It looks for an engine when one is needed first. It may be used by many
// goroutines.
type Executor struct {
	o     Options
	turns turns
	// engine is what has answered; it is read and set in the turn "connect".
	engine *engine

	mu        sync.Mutex
	survivors map[string]survivor // by what their label says; until they are taken
	owed      string              // whose containers are to be ended
}

// New returns an executor.
func New(o Options) *Executor {
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Executor{o: o}
}

// Run implements [command.Executor].
func (x *Executor) Run(ctx context.Context, c command.Command) (command.Exit, error) {
	if c.Container == nil {
		return x.o.Host.Run(ctx, c)
	}
	if ctx.Err() != nil {
		return command.Exit{}, fmt.Errorf("start %s: %w", c.Container.Image, context.Cause(ctx))
	}
	run := x.runContainer
	if c.Container.Program != "" {
		run = x.runProgram
	}
	exit, err := run(ctx, c)
	if err != nil {
		return exit, fmt.Errorf("docker: %w", err)
	}
	return exit, nil
}

// look returns the value of a variable in env, the last one if it is there more
// than once.
func look(env []string, name string) (value string, ok bool) {
	for _, entry := range env {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			value, ok = v, true
		}
	}
	return value, ok
}

// turns lets one goroutine at a time do what has a name: two tasks do not build
// one image twice.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

// take waits for the turn; done passes it on.
func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	for {
		t.mu.Lock()
		busy, ok := t.taken[name]
		if !ok {
			if t.taken == nil {
				t.taken = map[string]chan struct{}{}
			}
			mine := make(chan struct{})
			t.taken[name] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, name)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
