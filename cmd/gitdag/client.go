package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// clientOptions are those of every command that asks an agent.
type clientOptions struct {
	commonOptions
	endpoint       string
	tokenFile      string
	basicAuth      string
	headers        []string
	anyCertificate bool
	anyVersion     bool
	json           bool
}

func (o *clientOptions) add(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&o.endpoint, "endpoint", "e", "", "`HOST:PORT` or URL of the agent (GITDAG_ENDPOINT, default "+client.DefaultEndpoint+")")
	f.StringVar(&o.tokenFile, "api-token-file", "", "`FILE` with the token that the agent asks for (GITDAG_API_TOKEN_FILE)")
	f.StringVar(&o.basicAuth, "basic-auth", "", "`USER:PASSWORD` that the agent, or a proxy before it, asks for")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send a header with each request: `NAME=VALUE`, may be repeated")
	f.BoolVar(&o.anyCertificate, "disable-cert-validation", false, "accept any certificate of a https agent")
	f.BoolVar(&o.anyVersion, "disable-version-check", false, "do not ask first whether the agent speaks with this client")
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.commonOptions.add(f)
}

// asking completes a command that asks an agent: it gets the options, and run
// the client that they name.
func (c *cli) asking(cmd *cobra.Command, o *clientOptions, run func(context.Context, *client.Client, []string) error) *cobra.Command {
	o.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		agent, err := c.connect(o)
		if err != nil {
			return err
		}
		out := &output{Writer: c.stdout}
		c.stdout = out
		defer func() { c.stdout = out.Writer }()
		err = cmp.Or(run(cmd.Context(), agent, args), out.err)
		if err != nil && cmd.Context().Err() != nil {
			return &exitError{130} // Ctrl-C needs no explanation
		}
		return err
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	return cmd
}

// connect returns the client that the options, the environment and the
// configuration name. The agent is not asked anything yet.
func (c *cli) connect(o *clientOptions) (*client.Client, error) {
	if err := o.checkLevel(); err != nil {
		return nil, err
	}
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return nil, err
	}
	header, err := o.header(config)
	if err != nil {
		return nil, err
	}
	options := client.Options{
		Endpoint:  cmp.Or(o.endpoint, c.getenv("GITDAG_ENDPOINT"), config["client.http.endpoint"]),
		TokenFile: cmp.Or(o.tokenFile, c.getenv("GITDAG_API_TOKEN_FILE")),
		Header:    header, AnyCertificate: o.anyCertificate, Getenv: c.getenv, Version: c.version,
		NoDirectDownload: strings.EqualFold(config["client.http.disable_direct_download"], "true"),
	}
	if !o.anyVersion {
		options.Check = func(v api.VersionCheck) error { return c.checkVersion(v, config) }
	}
	agent, err := client.New(options)
	if err != nil {
		return nil, &usageError{err}
	}
	return agent, nil
}

// checkLevel refuses a log level that there is not, though a client logs
// nothing.
func (o *commonOptions) checkLevel() error {
	if levels := []string{"error", "warn", "info", "debug", "trace"}; !slices.Contains(levels, o.logLevel) {
		return usagef("unknown log level %q: it must be error, warn, info, debug or trace", o.logLevel)
	}
	return nil
}

// checkVersion decides whether to go on with an agent that wants newer clients.
// That an upgrade is recommended ends the command where there is a person to
// read it, as in Digdag.
func (c *cli) checkVersion(v api.VersionCheck, config properties) error {
	said := fmt.Sprintf("clients like Digdag %s, as which gitdag asks it", client.ProtocolVersion)
	goOn := "--disable-version-check goes on nevertheless"
	switch {
	case !v.APICompatible:
		return &advised{fmt.Errorf("the agent, version %s, does not speak with %s", v.ServerVersion, said), goOn}
	case v.UpgradeRecommended && c.interactive(config):
		return &advised{fmt.Errorf("the agent, version %s, advises against %s", v.ServerVersion, said), goOn}
	case v.UpgradeRecommended:
		c.warn("the agent, version %s, advises against %s", v.ServerVersion, said)
	}
	return nil
}

// interactive tells whether a person sits in front of the command.
func (c *cli) interactive(config properties) bool {
	switch config["io.digdag.cli.versionCheckMode"] {
	case "interactive":
		return true
	case "batch":
		return false
	}
	return isTerminal(c.stdin) && isTerminal(c.stdout)
}

func isTerminal(stream any) bool {
	f := fileOf(stream)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// header is what goes with each request, from low to high: the configuration,
// --basic-auth, --header.
func (o *clientOptions) header(config properties) (http.Header, error) {
	h := http.Header{}
	for name, value := range config.below("client.http.headers.") {
		h.Set(name, value)
	}
	if o.basicAuth != "" {
		if !strings.Contains(o.basicAuth, ":") {
			return nil, usagef("--basic-auth needs USER:PASSWORD")
		}
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(o.basicAuth)))
	}
	given := http.Header{}
	for _, text := range o.headers {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usagef("--header needs NAME=VALUE, not %q", text)
		}
		given.Add(name, value)
	}
	maps.Copy(h, given)
	return h, nil
}

// isID tells an id from a name, which cannot begin with a digit.
func isID(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// parseID reads an argument that names something by its id.
func parseID(what, text string) (api.ID, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return 0, usagef("%s must be a number: %q", what, text)
	}
	return api.ID(n), nil
}

// reference names a project as other things do.
func reference(p *api.Project) api.Named { return api.Named{ID: p.ID, Name: p.Name} }

// pageFlags adds the options that select a page of a list.
func pageFlags(f *pflag.FlagSet, page *client.Page) {
	f.Uint64VarP((*uint64)(&page.LastID), "last-id", "i", 0, "list entries older than the one of this `ID`")
	f.IntVarP(&page.Size, "page-size", "s", 0, "list so many: `N` (default 100; more only if the agent allows it)")
}

// checkPage refuses a size that is none.
func checkPage(flags *pflag.FlagSet, option string, size int) error {
	if flags.Changed(option) && size < 1 {
		return usagef("--%s must be a positive number, not %d", option, size)
	}
	return nil
}

// advised is an error with something to do about it.
type advised struct {
	error
	hint string
}

// Hint says what to do.
func (e *advised) Hint() string { return e.hint }

// Unwrap returns the error.
func (e *advised) Unwrap() error { return e.error }
