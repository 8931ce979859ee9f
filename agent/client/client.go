// Package client asks an agent over its REST API, for the commands.
//
// It knows the wire types and nothing of what stands behind them. Its one
// invariant: what changes something is sent once; only questions are asked
// again.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
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
}

// Client asks one agent. It may be used by many goroutines.
type Client struct {
	base   *url.URL
	token  string
	header http.Header
	agent  string
	http   *http.Client
	// wait sleeps between the tries of a question.
	wait func(context.Context, time.Duration) error
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
	c := &Client{base: base, header: o.Header, agent: "gitdag/" + o.Version, wait: wait}
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
		// The API never redirects: whoever does is no agent.
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

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unreachable is the error of an agent that does not answer.
type Unreachable struct {
	Endpoint string
	Err      error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("no agent answers at %s: %v", e.Endpoint, e.Err)
}

// Unwrap returns what went wrong.
func (e *Unreachable) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *Unreachable) Hint() string {
	if badCertificate(e.Err) {
		return "SSL_CERT_FILE names a file with further authorities; --disable-cert-validation accepts any certificate"
	}
	return "is the agent running? name another one with -e HOST:PORT (GITDAG_ENDPOINT)"
}

// Refused is an answer that is an error.
type Refused struct {
	Status  int
	Message string
}

func (e *Refused) Error() string { return e.Message }

// Hint says how to be let in.
func (e *Refused) Hint() string {
	if e.Status == http.StatusUnauthorized {
		return "give the agent's token with --api-token-file FILE (GITDAG_API_TOKEN_FILE)"
	}
	return ""
}

// NotFound tells whether an error is the answer that there is no such thing.
func NotFound(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// call is a request on its way.
type call struct {
	method string
	path   []string // segments below /api, unescaped
	query  url.Values
	body   any
}

// get asks a question and decodes the answer, again if it got lost.
func (c *Client) get(ctx context.Context, into any, query url.Values, path ...string) error {
	return c.decode(ctx, call{method: http.MethodGet, path: path, query: query}, into)
}

func (c *Client) decode(ctx context.Context, to call, into any) error {
	for try, pause := 1, firstWait; ; try, pause = try+1, 2*pause {
		err := c.try(ctx, to, into)
		if err == nil || to.method != http.MethodGet || try == tries || !passing(err) || ctx.Err() != nil {
			return err
		}
		var lost *passingError
		if errors.As(err, &lost) {
			pause = max(pause, lost.after)
		}
		if err := c.wait(ctx, min(pause, maxWait)); err != nil {
			return err
		}
	}
}

// try sends a call once.
func (c *Client) try(ctx context.Context, to call, into any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := c.send(ctx, to)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, &passingError{err: err})
	}
	return nil
}

// send sends a call and returns the answer if it is none of the errors. The
// caller closes its body.
func (c *Client) send(ctx context.Context, to call) (*http.Response, error) {
	request, err := c.request(ctx, to)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return nil, refusal(response, text)
}

func (c *Client) request(ctx context.Context, to call) (*http.Request, error) {
	u := *c.base
	escaped := make([]string, len(to.path))
	for i, s := range to.path {
		escaped[i] = url.PathEscape(s)
	}
	u.Path, u.RawPath = "/"+strings.Join(to.path, "/"), "/"+strings.Join(escaped, "/")
	u.RawQuery = to.query.Encode()
	var body io.Reader
	if to.body != nil {
		data, err := json.Marshal(to.body)
		if err != nil {
			return nil, fmt.Errorf("encode a request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, to.method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("User-Agent", c.agent)
	if to.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range c.header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	return request, nil
}

// passingError marks what may be different when it is tried again.
type passingError struct {
	err   error
	after time.Duration // that the agent asks for
}

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

func passing(err error) bool {
	var e *passingError
	return errors.As(err, &e)
}

// unreachable says why an agent did not answer. Nobody listening there, no such
// host or a bad certificate is not tried again: a person waits for the answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // without the URL, which is in the message already
	}
	var dns *net.DNSError
	if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &dns) && dns.IsNotFound || badCertificate(err) {
		return &Unreachable{c.base.String(), err}
	}
	return &Unreachable{c.base.String(), &passingError{err: err}}
}

// refusal reads an answer that is an error.
func refusal(response *http.Response, text []byte) error {
	refused := &Refused{Status: response.StatusCode}
	var told api.Error
	if json.Unmarshal(text, &told) == nil {
		refused.Message = told.Message
	}
	if refused.Message == "" {
		refused.Message = fmt.Sprintf("the agent answered %s", response.Status)
	}
	switch s := response.StatusCode; {
	case s == http.StatusConflict:
		return conflict(refused, text)
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return &passingError{refused, time.Duration(seconds) * time.Second}
	}
	return refused
}
