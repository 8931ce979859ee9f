package api

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"gitdag/engine/params"
)

// maxBody bounds the body of a request, packed and unpacked; that of a push has
// a bound of its own.
const maxBody = 1 << 20

// body reads a JSON object. One that may be missing is nil then.
func (r *request) body(optional bool) (*params.Map, error) {
	text, err := r.read()
	if err != nil {
		return nil, err
	}
	given := r.Header.Get("Content-Type")
	if optional && len(text) == 0 && given == "" {
		return nil, nil
	}
	if kind, _, err := mime.ParseMediaType(given); err != nil || kind != jsonType {
		return nil, badf("the body must be application/json, not %q", given)
	}
	if len(text) == 0 {
		if optional {
			return nil, nil
		}
		return nil, badf("the body is empty: a JSON object is expected")
	}
	if !utf8.Valid(text) {
		return nil, badf("the body is not UTF-8")
	}
	v, err := params.Parse(text)
	if err != nil {
		return nil, badf("%v", err)
	}
	m, ok := v.(*params.Map)
	if !ok && !optional {
		return nil, badf("the body must be a JSON object")
	}
	return m, nil
}

// read reads the body, unpacked.
func (r *request) read() ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	whole := r.expect(r.ContentLength, maxBody)
	raw := http.MaxBytesReader(r.out, r.Body, maxBody)
	from, err := unpacked(raw, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err != nil {
		return nil, r.bodyError(err)
	}
	if len(text) > maxBody {
		return nil, tooLarge()
	}
	whole()
	return text, nil
}

// unpacked undoes a Content-Encoding. As with Digdag, deflate is the raw stream.
func unpacked(raw io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		return &lazyGzip{raw: raw}, nil
	case "deflate":
		return flate.NewReader(raw), nil
	}
	return nil, badf("Content-Encoding %q is neither gzip nor deflate", encoding)
}

// lazyGzip is a reader of gzip that begins to read when it is asked to.
type lazyGzip struct {
	raw io.Reader
	z   *gzip.Reader
}

func (l *lazyGzip) Read(p []byte) (int, error) {
	if l.z == nil {
		z, err := gzip.NewReader(l.raw)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		l.z = z
	}
	return l.z.Read(p)
}

// bodyError tells why a body could not be read. Nothing more is taken from the
// connection then.
func (r *request) bodyError(err error) error {
	r.out.Header().Set("Connection", "close")
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return statusf(http.StatusRequestTimeout, "the body did not come in time")
	}
	return badf("the body cannot be read: %v", err)
}

func tooLarge() error { return badf("the body is larger than %d bytes", maxBody) }
