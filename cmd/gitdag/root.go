package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// cli is what every command works with: the streams, the environment and the
// version, so that tests can have their own.
type cli struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ func() []string
	version string

	bannered bool // the banner has been printed
}

// usageError is the error for a command that was asked for in a wrong way.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitError ends the command with a status of its own, after it has said all
// there is to say.
type exitError struct{ status int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// hinter is an error that knows what the user can do about it.
type hinter interface{ Hint() string }

// main runs one command line and returns its exit status.
func (c *cli) main(args []string) int {
	if slices.Contains(options(args), "--version") {
		fmt.Fprintln(c.stdout, c.version) // whatever else is there, as in Digdag
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := c.rootCommand()
	root.SetArgs(doubleDashed(args))
	cmd, err := root.ExecuteContextC(ctx)
	var exit *exitError
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.status
	case errors.As(err, &usage):
		if !slices.Contains(options(args), "--json") {
			c.banner()
		}
		fmt.Fprint(c.stderr, cmd.UsageString())
		c.fail(err)
		return 2
	}
	c.fail(err)
	return 1
}

// options are the arguments in front of a -- that ends them.
func options(args []string) []string {
	if end := slices.Index(args, "--"); end >= 0 {
		return args[:end]
	}
	return args
}

// banner opens usage and what the local commands print on standard error, once.
func (c *cli) banner() {
	if !c.bannered {
		fmt.Fprintf(c.stderr, "%s: gitdag v%s\n", time.Now().Format("2006-01-02 15:04:05 -0700"), c.version)
	}
	c.bannered = true
}

// doubleDashed gives -help, as Digdag takes it, its second dash.
func doubleDashed(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "-help" {
			args[i] = "--help"
		}
	}
	return args
}

// fail prints an error as people read it, with its hint.
func (c *cli) fail(err error) {
	fmt.Fprintf(c.stderr, "error: %s\n", strings.TrimRight(err.Error(), "\n"))
	var h hinter
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(c.stderr, "hint: %s\n", h.Hint())
	}
}

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "gitdag",
		Short:         "Runs Digdag workflows that live in a Git repository",
		Version:       c.version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.banner()
			fmt.Fprint(c.stderr, cmd.UsageString())
			return nil
		},
	}
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetIn(c.stdin)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	new(commonOptions).add(root.Flags()) // Digdag takes them without a command too
	root.AddCommand(c.commands()...)
	for _, cmd := range root.Commands() {
		cmd.Version = c.version // --version works behind any command
	}
	return root
}

// arguments wraps a check of positional arguments so that a breach is a usage
// error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}
