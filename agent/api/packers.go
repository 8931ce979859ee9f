package api

import (
	"compress/flate"
	"compress/gzip"
	"io"
	"net/http"
	"sync"
)

// packers are the compressors that answers have used: one takes long to make
// and little to use again. They compress fast rather than well: most clients
// are near.
type packers struct{ gzip, deflate sync.Pool }

// packer is a compressor for one answer.
type packer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// packersOf returns those of the server that answers through w.
func packersOf(w http.ResponseWriter) *packers {
	if p, ok := w.(*paced); ok {
		return p.packers
	}
	return &packers{}
}

// take returns a compressor of an encoding that writes to w; nil if the
// encoding compresses nothing. What is compressed already is only wrapped.
func (p *packers) take(encoding string, w io.Writer, compressed bool) packer {
	var made packer
	switch { // the levels are always valid
	case encoding == "gzip" && compressed:
		made, _ = gzip.NewWriterLevel(w, gzip.NoCompression)
	case encoding == "deflate" && compressed:
		made, _ = flate.NewWriter(w, flate.NoCompression)
	case encoding == "gzip":
		if used, ok := p.gzip.Get().(packer); ok {
			used.Reset(w)
			return used
		}
		made, _ = gzip.NewWriterLevel(w, gzip.BestSpeed)
	case encoding == "deflate": // raw, as Digdag does it
		if used, ok := p.deflate.Get().(packer); ok {
			used.Reset(w)
			return used
		}
		made, _ = flate.NewWriter(w, flate.BestSpeed)
	}
	return made
}

// put takes a compressor back.
func (p *packers) put(encoding string, used packer) {
	switch encoding {
	case "gzip":
		p.gzip.Put(used)
	case "deflate":
		p.deflate.Put(used)
	}
}
