// Package client asks an agent over its REST API, for the commands.
//
// It knows the wire types and nothing of what stands behind them. Its one
// invariant: what changes something is sent once; only questions are asked
// again.
package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"gitdag/agent/api"
)

// DefaultEndpoint is where an agent listens unless told otherwise.
const DefaultEndpoint = "127.0.0.1:65432"

// Options configure a client.
type Options struct {
	// Endpoint is HOST, HOST:PORT or a http or https URL; empty for
	// [DefaultEndpoint]. A host alone means port 80, as in Digdag.
	Endpoint string
	// TokenFile holds the token that requests bear; empty for none.
	TokenFile string
	// Header goes with each request, and wins over what the client sets itself.
	Header http.Header
	// AnyCertificate accepts any certificate of a https endpoint.
	AnyCertificate bool
	// Getenv looks up the variables that name proxies; nil for no proxy.
	Getenv func(name string) string
	// Version is that of the program, for the agent's logs.
	Version string
	// NoDirectDownload asks the agent not to hand out addresses of an object
	// store.
	NoDirectDownload bool
	// Check is asked, before the first call, about what the agent says of
	// [ProtocolVersion]; its error is that of every call. Nil asks nothing.
	Check func(api.VersionCheck) error
}

// ProtocolVersion is that of the Digdag client whose calls these are: what
// servers that set a lowest version compare.
const ProtocolVersion = "0.10.5.1"

// Client asks one agent. It may be used by many goroutines.
type Client struct {
	base     *url.URL
	token    string
	header   http.Header
	agent    string
	indirect bool
	http     *http.Client
	// wait sleeps between the tries of a question.
	wait func(context.Context, time.Duration) error

	check    func(api.VersionCheck) error // nil for none
	once     sync.Once
	checkErr error
}

const (
	// timeout bounds a try. A log may take longer once it has begun.
	timeout = 30 * time.Second
	tries   = 5
	// firstWait doubles with each try.
	firstWait = 100 * time.Millisecond
	maxWait   = 5 * time.Second
)

// New checks the options and reads the token. Nothing is asked yet.
func New(o Options) (*Client, error) {
	base, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if err := checkHeader(o.Header); err != nil {
		return nil, err
	}
	c := &Client{
		base: base, header: o.Header, agent: "gitdag/" + o.Version, indirect: o.NoDirectDownload, wait: wait, check: o.Check,
	}
	if o.TokenFile != "" {
		data, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the API token: %w", err)
		}
		if c.token = strings.TrimSpace(string(data)); c.token == "" {
			return nil, fmt.Errorf("the file %s holds no API token", o.TokenFile)
		}
	}
	transport, err := o.transport()
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: transport,
		// Who redirects is no agent, but for an archive that lies elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Endpoint returns the URL of the agent.
func (c *Client) Endpoint() string { return c.base.String() }

// parseEndpoint reads an endpoint (server.md 2.2). A path is ignored.
func parseEndpoint(text string) (*url.URL, error) {
	if text == "" {
		text = DefaultEndpoint
	}
	given := text
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("endpoint %q is neither HOST:PORT nor a URL", given)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("endpoint %q: the scheme must be http or https", given)
	case u.User != nil:
		return nil, fmt.Errorf("endpoint %q: a user and a password are not understood here", u.Redacted())
	case u.Hostname() == "":
		return nil, fmt.Errorf("endpoint %q names no host", given)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
