package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

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
	json           bool
}

func (o *clientOptions) add(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&o.endpoint, "endpoint", "e", "", "`HOST:PORT` or URL of the agent (GITDAG_ENDPOINT, default "+client.DefaultEndpoint+")")
	f.StringVar(&o.tokenFile, "api-token-file", "", "`FILE` with the token that the agent asks for (GITDAG_API_TOKEN_FILE)")
	f.StringVar(&o.basicAuth, "basic-auth", "", "`USER:PASSWORD` that a proxy before the agent asks for")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send a header with each request: `NAME=VALUE`, may be repeated")
	f.BoolVar(&o.anyCertificate, "disable-cert-validation", false, "accept any certificate of a https agent")
	f.Bool("disable-version-check", false, "accepted and ignored: there is no such check")
	_ = f.MarkHidden("disable-version-check")
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.commonOptions.add(f)
}

// connect returns the client that the options, the environment and the
// configuration name. The agent is not asked anything yet.
func (c *cli) connect(o *clientOptions) (*client.Client, error) {
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return nil, err
	}
	header, err := o.header(config)
	if err != nil {
		return nil, err
	}
	agent, err := client.New(client.Options{
		Endpoint:  cmp.Or(o.endpoint, c.getenv("GITDAG_ENDPOINT"), config["client.http.endpoint"]),
		TokenFile: cmp.Or(o.tokenFile, c.getenv("GITDAG_API_TOKEN_FILE")),
		Header:    header, AnyCertificate: o.anyCertificate, Getenv: c.getenv, Version: c.version,
	})
	if err != nil {
		return nil, &usageError{err}
	}
	return agent, nil
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

// parseID reads an argument that names something by its id.
func parseID(what, text string) (api.ID, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return 0, usagef("%s must be a number: %q", what, text)
	}
	return api.ID(n), nil
}

// printJSON writes data for other programs.
func (c *cli) printJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// hint tells people what they may do next.
func (c *cli) hint(format string, args ...any) {
	fmt.Fprintf(c.stderr, "hint: "+format+"\n", args...)
}

// field is a line of a block.
type field struct {
	label string
	value any
}

// block writes fields, one a line, and an empty line.
func block(w io.Writer, indent string, fields ...field) {
	for _, f := range fields {
		fmt.Fprintf(w, "%s%s: %v\n", indent, f.label, f.value)
	}
	fmt.Fprintln(w)
}

const clockFormat = "2006-01-02 15:04:05 -0700"

// localTime shows an instant as the clock of this machine does.
func localTime(t api.Instant) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(clockFormat)
}

// relative shows how far off a time is: "in 11h 4m 9s" or "3m 2s ago".
func relative(t api.Instant, now time.Time) string {
	d := t.Sub(now).Round(time.Second)
	if d > 0 {
		return "in " + elapsed(d)
	}
	return elapsed(-d) + " ago"
}

// localTimeFrom is localTime with how far off that is.
func localTimeFrom(t api.Instant, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return localTime(t) + " (" + relative(t, now) + ")"
}

// elapsed shows a length of time in days, hours, minutes and seconds.
func elapsed(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, fmt.Sprint(int64(n), unit.name))
			d -= n * unit.length
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

// paint colours a state on a terminal.
func (c *cli) paint(state string) string {
	colour := map[string]string{
		"success": "32", "error": "31", "group_error": "31", "killed": "33", "canceled": "33", "running": "36",
	}[state]
	if colour == "" || !c.colored() {
		return state
	}
	return "\x1b[" + colour + "m" + state + "\x1b[0m"
}

// object shows parameters as JSON on one line.
func object(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func textOr(s *string, absent string) string {
	if s == nil {
		return absent
	}
	return *s
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
