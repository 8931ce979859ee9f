package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent"
	"gitdag/gitsync/sample"
	"gitdag/notify"
	"gitdag/notify/slack"
)

// demoAddress is where client commands look for an agent by default.
const demoAddress = "127.0.0.1:65432"

// demoCommand shows the agent at work on a repository that it makes itself. It
// needs nothing but this program, and leaves nothing behind.
func (c *cli) demoCommand() *cobra.Command {
	var verbose bool
	var webhook string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Makes a sample repository and shows an agent at work on it",
		Long: "Makes a sample repository in a temporary folder, starts an agent on it and shows a commit\n" +
			"being deployed, a schedule firing, a failure and its message, and the recovery.\n" +
			"Ctrl-C ends it with status 0 and removes the folder.",
		Example: "  gitdag demo\n  gitdag demo --slack-webhook-file slack.url",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.flagsFromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			n := newNarrator(c.stdout, coloured(c.stdout, c.environ()), time.Now())
			if verbose {
				log, err := c.logger("text", "info")
				if err != nil {
					return err
				}
				n.log = log.Handler()
			}
			if webhook != "" {
				sender, err := slack.New(slack.Options{Webhook: notify.File(webhook)})
				if err != nil {
					return err
				}
				n.slack = sender
			}
			return c.demo(cmd.Context(), n)
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show the agent's log on standard error")
	cmd.Flags().StringVar(&webhook, "slack-webhook-file", "", "file with the address of a Slack webhook that messages go to")
	return cmd
}

// demo runs the whole show in a folder of its own.
func (c *cli) demo(ctx context.Context, n *narrator) (err error) {
	dir, err := os.MkdirTemp("", "gitdag-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() {
		if rerr := os.RemoveAll(dir); rerr != nil {
			err = errors.Join(err, fmt.Errorf("remove the demo's folder: %w", rerr))
		}
	}()
	repo, err := sample.Create(filepath.Join(dir, "sample"))
	if err != nil {
		return err
	}
	s, err := newStory(n, repo)
	if err != nil {
		return err
	}
	n.printf("This is gitdag on a sample repository. Ctrl-C ends it and removes what it made.\n\n")
	n.line(plain, "folder", "%s", repo.Dir())
	if err := s.commit(); err != nil {
		return err
	}
	a, err := c.demoAgent(dir, repo.Dir(), n)
	if err != nil {
		return err
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	defer a.Stop(context.WithoutCancel(ctx))
	n.line(plain, "agent", "http://%s", a.Addr())
	err = s.tell(ctx, a.Done())
	if err == nil {
		n.printf("%s", nextSteps(n, repo.Dir(), a.Addr()))
		err = hold(ctx, nil, a.Done())
	}
	switch {
	case ctx.Err() != nil:
		n.printf("\nStopping, and removing %s.\n", dir)
		return nil
	case errors.Is(err, errAgentEnded):
		return errors.Join(err, a.Err())
	}
	return err
}

var errAgentEnded = errors.New("the agent cannot go on")

// hold waits for a moment; nil never comes. It ends with an error when ctx or
// the agent does.
func hold(ctx context.Context, moment, ended <-chan struct{}) error {
	select {
	case <-moment:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
		return errAgentEnded
	}
}

// demoAgent makes the agent: the repository is looked at every second, and all
// that it does and tells passes the narrator.
func (c *cli) demoAgent(dir, repo string, n *narrator) (*agent.Agent, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	config := agent.Config{
		Data: filepath.Join(dir, "data"), Listen: freeAddress(demoAddress),
		Repos: []agent.Repo{{Name: "sample", URL: repo, Poll: agent.Duration(time.Second)}},
		Drain: agent.Duration(2 * time.Second),
	}
	return agent.New(agent.Options{Config: config, Self: self, Version: c.version, Log: n.logger(), Alerts: n, Operators: operators()})
}

// freeAddress returns the address if nothing listens there, and otherwise one
// that has the system choose a port.
func freeAddress(address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return address
}

// nextSteps lists what to try while the agent goes on.
func nextSteps(n *narrator, repo, address string) string {
	program := programName()
	endpoint := ""
	if address != demoAddress {
		endpoint = " -e " + address
	}
	steps := [][2]string{
		{program + " status" + endpoint, "repositories, failing workflows, next runs"},
		{program + " attempts" + endpoint, "what has run"},
		{fmt.Sprintf("%s log %d%s", program, n.failedAttempt(), endpoint), "the log of the attempt that failed"},
		{program + " start sample nightly --session now" + endpoint, "run the nightly workflow at once"},
		{"git -C " + repo + " log --stat", "the commits; make one of your own: it is live within a second"},
	}
	width := 0
	for _, s := range steps {
		width = max(width, len(s[0]))
	}
	var b strings.Builder
	b.WriteString("\nThat was the tour. The agent goes on; in another terminal, try\n\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, s[0], s[1])
	}
	b.WriteString("\n")
	return b.String()
}

// programName is what a person types to run this program again.
func programName() string {
	if self, err := os.Executable(); err == nil && strings.Contains(self, "go-build") {
		return "go run ./cmd/gitdag"
	}
	return os.Args[0]
}

// coloured tells whether w is a terminal that shows colours.
func coloured(w any, environ []string) bool {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb" {
			return false
		}
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
