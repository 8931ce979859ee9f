package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gitdag/agent/api"
)

// call is a request on its way.
type call struct {
	method string
	path   []string // segments below /api, unescaped
	query  url.Values
	body   any
	upload *upload // in place of a body
}

// upload is an archive on its way. Servers want to know its size beforehand.
type upload struct {
	content io.Reader
	size    int64
}

// get asks a question and decodes the answer, again if it got lost.
func (c *Client) get(ctx context.Context, into any, query url.Values, path ...string) error {
	return c.decode(ctx, call{method: http.MethodGet, path: path, query: query}, into)
}

func (c *Client) decode(ctx context.Context, to call, into any) error {
	if err := c.compatible(ctx); err != nil {
		return err
	}
	return c.persist(ctx, to.method, func() error { return c.try(ctx, to, into) })
}

// open asks for a stream, again as long as it has not begun.
func (c *Client) open(ctx context.Context, query url.Values, path ...string) (response *http.Response, err error) {
	if err := c.compatible(ctx); err != nil {
		return nil, err
	}
	to := call{method: http.MethodGet, path: path, query: query}
	err = c.persist(ctx, to.method, func() (err error) {
		response, err = c.send(ctx, to)
		return err
	})
	return response, err
}

// compatible asks once what the agent says of this client, if that is wanted.
// An agent that knows no such question has no objection.
func (c *Client) compatible(ctx context.Context) error {
	if c.check == nil {
		return nil
	}
	c.once.Do(func() {
		to := call{method: http.MethodGet, path: []string{"api", "version", "check"}, query: url.Values{"client": {ProtocolVersion}}}
		var answer api.VersionCheck
		c.checkErr = c.persist(ctx, to.method, func() error { return c.try(ctx, to, &answer) })
		switch {
		case c.checkErr == nil:
			c.checkErr = c.check(answer)
		case NotFound(c.checkErr):
			c.checkErr = nil
		}
	})
	return c.checkErr
}

// persist tries a question again while its answer gets lost, and nothing else.
func (c *Client) persist(ctx context.Context, method string, attempt func() error) error {
	for try, pause := 1, firstWait; ; try, pause = try+1, 2*pause {
		err := attempt()
		if err == nil || method != http.MethodGet || try == tries || !passing(err) || ctx.Err() != nil {
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

// try sends a call once. An upload takes as long as it takes.
func (c *Client) try(ctx context.Context, to call, into any) error {
	if to.upload == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
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
	return succeeded(response)
}

// succeeded returns an answer that is none of the errors.
func succeeded(response *http.Response) (*http.Response, error) {
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
	content := "application/json"
	switch {
	case to.upload != nil:
		content, body = "application/gzip", to.upload.content
		if to.upload.size == 0 {
			body = http.NoBody // else the size would count as unknown
		}
	case to.body != nil:
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
	if body != nil {
		request.Header.Set("Content-Type", content)
	}
	if to.upload != nil {
		request.ContentLength = to.upload.size
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
