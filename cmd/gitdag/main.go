// Command gitdag runs Digdag-compatible workflows from a Git repository: as an
// agent that deploys every merge, or once, locally.
//
// It holds the commands, and nothing that two of them would share with a third
// program: flags, streams, exit codes and signals are decided here and nowhere
// else.
package main

import (
	"os"
	_ "time/tzdata" // workflows name zones that the machine may not have
)

func main() { os.Exit(run()) }

// version is set by the linker.
var version = "0.1.0-dev"

// run executes the command line and returns the exit status: 0 for success, 1
// when the work failed, 2 when it was asked for in a wrong way, 130 after
// Ctrl-C.
func run() int {
	c := &cli{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ, version: version}
	return c.main(os.Args[1:])
}
