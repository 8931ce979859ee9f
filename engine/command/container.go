package command

import "io"

// Container says in what a command runs instead of on this machine.
type Container struct {
	// Image is what the container is made of, or with Build what its image is
	// built on.
	Image string
	// Build are shell commands that are run on Image once, a line each; the
	// result is kept as an image.
	Build []string
	// RunOptions and BuildOptions are options of `docker run` and `docker build`.
	RunOptions, BuildOptions []string
	// PullAlways asks for Image anew before each run.
	PullAlways bool
	// SELinux labels Project for this container.
	SELinux bool
	// Project is the directory that the container sees, under the same path.
	Project string
	// Program is run with Docker's arguments, in Project; empty for Docker itself.
	Program string
	// Files is what Prepare writes for the program and the program for us: a path
	// in Project, the same in every agent. Empty for nothing.
	Files string
	// Prepare is called before the program is started, but not if one goes on that
	// an agent which is gone has started. Nil for nothing to do.
	Prepare func() error
	// Printed opens what agents that are gone have kept of the run's output; nil
	// for nothing.
	Printed func() (io.ReadCloser, error)
	// Lines tells how many lines this agent has put into what keeps the run's
	// output; nil for none.
	Lines func() int
	// Later has something done when the result of the run is safe. Where it and
	// Files are set, the container stays until then, so that the next agent can
	// take what this one could not.
	Later func(func())
	// Environ is the environment of Program, and what RunOptions take a variable
	// from that they only name. The container gets [Command.Env] alone, without
	// the [Marker].
	Environ []string
	// Private names variables of [Command.Env] whose values nobody may see among
	// the arguments of Program: it inherits them, beside Environ.
	Private []string
}
