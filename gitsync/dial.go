package gitsync

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/net/proxy"
)

// deadlineDialer makes connections on which no read and no write waits longer
// than idle, nor beyond until. That bounds the SSH handshake too, which heeds
// neither a context nor ClientConfig.Timeout.
type deadlineDialer struct {
	idle  time.Duration
	until time.Time
}

const dialerScheme = "gitdag-deadline"

func dialerURL(idle time.Duration, until time.Time) string {
	return fmt.Sprintf("%s://x?idle=%d&until=%d", dialerScheme, idle, until.UnixNano())
}

func newDeadlineDialer(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
	idle, err := strconv.ParseInt(u.Query().Get("idle"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("dialer: %w", err)
	}
	until, err := strconv.ParseInt(u.Query().Get("until"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("dialer: %w", err)
	}
	return deadlineDialer{idle: time.Duration(idle), until: time.Unix(0, until)}, nil
}

// Dial implements proxy.Dialer.
func (d deadlineDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// DialContext implements proxy.ContextDialer.
func (d deadlineDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	direct := net.Dialer{Timeout: d.idle, Deadline: d.until}
	c, err := direct.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &deadlineConn{Conn: c, d: d}, nil
}

type deadlineConn struct {
	net.Conn
	d deadlineDialer
}

func (c *deadlineConn) deadline() time.Time {
	t := time.Now().Add(c.d.idle)
	if t.After(c.d.until) {
		return c.d.until
	}
	return t
}

// Read implements net.Conn.
func (c *deadlineConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *deadlineConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
