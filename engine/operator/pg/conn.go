package pg

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// watchedConn is a connection that tells when what is waited for does not come.
type watchedConn struct {
	net.Conn
	limit time.Duration
	timer *time.Timer
}

func watch(c net.Conn, limit time.Duration, silent func()) *watchedConn {
	timer := time.AfterFunc(limit, silent)
	timer.Stop()
	return &watchedConn{c, limit, timer}
}

// Read implements [net.Conn].
func (c *watchedConn) Read(p []byte) (int, error) {
	c.timer.Reset(c.limit)
	defer c.timer.Stop()
	return c.Conn.Read(p)
}

// copyGuard looks through the messages of a server for the one that asks for the rows of
// COPY … FROM STDIN. The client would wait for another one, and the server for the rows.
type copyGuard struct {
	io.Reader
	found func()
	head  []byte // of the message that begins
	rest  int    // of the body of the message that goes on
}

// copyInResponse is the type of that message; a type and a length precede each body.
const (
	copyInResponse = 'G'
	headLength     = 5
)

// Read implements [io.Reader].
func (g *copyGuard) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	for b := p[:n]; len(b) > 0; {
		if g.rest > 0 {
			skip := min(g.rest, len(b))
			g.rest, b = g.rest-skip, b[skip:]
			continue
		}
		more := min(headLength-len(g.head), len(b))
		g.head, b = append(g.head, b[:more]...), b[more:]
		if len(g.head) < headLength {
			continue
		}
		if g.head[0] == copyInResponse {
			g.found()
		}
		g.rest = max(int(binary.BigEndian.Uint32(g.head[1:]))-4, 0) // the length counts itself
		g.head = g.head[:0]
	}
	return n, err
}
