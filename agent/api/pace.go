package api

import (
	"net/http"
	"time"
)

// A client that sends or takes slower than minRate over time is cut off, once
// its patience is used up: else a few of them would hold all connections.
const (
	patience = 30 * time.Second
	minRate  = 16 << 10 // bytes a second
)

// allowance is how long a client may take for so many bytes.
func allowance(size int64) time.Duration {
	return patience + time.Duration(size)*time.Second/minRate
}

// expect limits the time in which a body of a size, at most limit, has to come.
// whole is called when it has: until then, and for the rest of one that is not
// wanted, the limit stays.
func (r *request) expect(size, limit int64) (whole func()) {
	if size < 0 || size > limit {
		size = limit
	}
	control := http.NewResponseController(r.out)
	// A writer that is no connection has no deadlines.
	_ = control.SetReadDeadline(time.Now().Add(allowance(size)))
	return func() { _ = control.SetReadDeadline(time.Time{}) }
}

// paced is an answer that fails when its client does not take it. The server
// around it sets the deadline anew for the next request.
type paced struct {
	http.ResponseWriter
	packers *packers
	begun   time.Time // of the first write
	written int64
}

// Unwrap is for [http.ResponseController].
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *paced) Write(data []byte) (int, error) {
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
	p.written += int64(len(data))
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(p.begun.Add(allowance(p.written)))
	return p.ResponseWriter.Write(data)
}
