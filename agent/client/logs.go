package client

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"gitdag/agent/api"
)

// Logs lists the logs of those tasks of an attempt whose names begin with a
// prefix.
func (c *Client) Logs(ctx context.Context, attempt api.ID, prefix string) ([]api.LogFile, error) {
	q := url.Values{}
	if prefix != "" {
		q.Set("task", prefix)
	}
	l, err := c.lists(ctx, c.direct(q), "api", "logs", attempt.String(), "files")
	return l.Files, err
}

// Log returns what a log has from an offset on. The caller closes it. A log that
// is cut off on its way ends early, and can be asked for again from there.
func (c *Client) Log(ctx context.Context, attempt api.ID, name string, offset int64) (io.ReadCloser, error) {
	q := url.Values{}
	if offset > 0 {
		q.Set("offset", strconv.FormatInt(offset, 10))
	}
	response, err := c.open(ctx, q, "api", "logs", attempt.String(), "files", name)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(response.Body)
	if err != nil && !cutOff(err) {
		response.Body.Close()
		return nil, fmt.Errorf("read log %s: %w", name, err)
	}
	return &logReader{unpacked, response.Body}, nil
}

// logReader unpacks a log. Packed is nil for one without any content.
type logReader struct {
	packed *gzip.Reader
	body   io.Closer
}

func (r *logReader) Read(p []byte) (int, error) {
	if r.packed == nil {
		return 0, io.EOF
	}
	n, err := r.packed.Read(p)
	if cutOff(err) {
		err = io.EOF
	}
	return n, err
}

func (r *logReader) Close() error { return r.body.Close() }

func cutOff(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) }
