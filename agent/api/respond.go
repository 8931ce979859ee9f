package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"

	"gitdag/engine/flow"
)

// The types of what is answered.
const (
	jsonType = "application/json"
	gzipped  = "application/gzip"
	plain    = "text/plain;charset=UTF-8"
)

// Error is the body of every error but that of a start whose session has an
// attempt, which is the attempt.
type Error struct {
	Message string `json:"message"`
	Status  int    `json:"status"`
}

func (e *Error) Error() string { return e.Message }

// statusf returns an error with a status of HTTP.
func statusf(status int, format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...), Status: status}
}

func notFoundf(format string, args ...any) error {
	return statusf(http.StatusNotFound, format, args...)
}

func badf(format string, args ...any) error { return statusf(http.StatusBadRequest, format, args...) }

// notOffered is the error for what the agent is not made to do.
func notOffered(what string) error {
	return statusf(http.StatusNotImplemented, "this server does not %s", what)
}

// fail answers with an error.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody listens
	}
	answer := told(err)
	switch {
	case answer == nil:
		s.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		answer = &Error{"internal error; the agent's log says more", http.StatusInternalServerError}
	case answer.Status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	_ = writeJSON(w, r, answer.Status, answer)
}

// told says what an error means to a client; nil for one of ours.
func told(err error) *Error {
	var answer *Error
	if errors.As(err, &answer) {
		return answer
	}
	var status int
	switch {
	case refused(err):
		status = http.StatusBadRequest
	case conflicting(err):
		status = http.StatusConflict
	case unknown(err):
		status = http.StatusNotFound
	case errors.Is(err, ErrForbidden):
		status = http.StatusForbidden
	case errors.Is(err, ErrNoSecretStore):
		status = http.StatusNotImplemented
	case errors.Is(err, ErrUnavailable):
		status = http.StatusServiceUnavailable
	default:
		return nil
	}
	return &Error{err.Error(), status}
}

// refused tells whether an error is about what can never be done as it is asked
// for, or not as long as a limit stands.
func refused(err error) bool {
	var invalid *Invalid
	var tasks *flow.TooManyTasks
	var attempts *flow.TooManyAttempts
	return errors.As(err, &invalid) || errors.As(err, &tasks) || errors.As(err, &attempts)
}

// conflicting tells whether an error is about what there is already.
func conflicting(err error) bool {
	var conflict *Conflicting
	var revision *flow.RevisionExists
	var session *flow.SessionExists
	var name *flow.NameTaken
	var project *flow.NotPushed
	return errors.As(err, &conflict) || errors.As(err, &revision) || errors.As(err, &session) || errors.As(err, &name) ||
		errors.As(err, &project) || errors.Is(err, flow.ErrSchedulePast) || errors.Is(err, flow.ErrRedeployed)
}

// writeJSON answers with a value. An error is one of the connection.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body := begin(w, r, status, jsonType)
	err := body.encode(v)
	return body.end(err)
}

// writeList answers with an object that has a list under one key.
func writeList[T any](w http.ResponseWriter, r *request, key string, list []T) error {
	return writeEach(w, r, key, list, func(v T) T { return v })
}

// writeEach is writeList of what convert makes of the elements, one at a time:
// a list of tasks may have a hundred thousand.
func writeEach[From, To any](w http.ResponseWriter, r *request, key string, list []From, convert func(From) To) error {
	body := begin(w, r.Request, http.StatusOK, jsonType)
	_, err := fmt.Fprintf(body, "{%q:[", key)
	for i := range list {
		if err != nil {
			break
		}
		if i > 0 {
			_ = body.WriteByte(',')
		}
		err = body.encode(convert(list[i]))
	}
	if err == nil {
		_, err = body.WriteString("]}\n")
	}
	_ = body.end(err)
	return nil // the answer has begun; what fails then is the connection
}

// writeGzip answers with bytes that are gzip themselves. A client that accepts
// compressed answers gets them wrapped once more, as from Digdag: it takes one
// layer off and must be left with the other. The wrap does not compress. size is
// that of the bytes, -1 if it is not known. An error is one of what write reads.
func writeGzip(w http.ResponseWriter, r *request, size int64, write func(io.Writer) error) error {
	if encodingFor(r.Header.Values("Accept-Encoding")) == "" && size >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	body := begin(w, r.Request, http.StatusOK, gzipped)
	if r.Method == http.MethodHead {
		return nil
	}
	err := write(body)
	_ = body.end(err)
	if r.Context().Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // nobody listens
	}
	return err
}

// answer is a body on its way, compressed if the client accepts that.
type answer struct {
	*bufio.Writer
	packer packer
	// done takes the packer back.
	done func()
}

// begin writes the head of an answer.
func begin(w http.ResponseWriter, r *http.Request, status int, kind string) *answer {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Add("Vary", "Accept-Encoding")
	encoding := encodingFor(r.Header.Values("Accept-Encoding"))
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	w.WriteHeader(status)
	pool := packersOf(w)
	z := pool.take(encoding, w, kind == gzipped)
	if z == nil {
		return &answer{Writer: bufio.NewWriter(w)}
	}
	a := &answer{Writer: bufio.NewWriter(z), packer: z, done: func() {}}
	if kind != gzipped {
		a.done = func() { pool.put(encoding, z) }
	}
	return a
}

func (a *answer) encode(v any) error {
	e := json.NewEncoder(a)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// end writes what is left. After an error the body stays cut off, so that
// nobody takes it for whole.
func (a *answer) end(err error) error {
	if err == nil {
		err = a.Flush()
	}
	if err == nil && a.packer != nil {
		if err = a.packer.Close(); err == nil {
			a.done()
		}
	}
	return err
}

// encodingFor picks the compression of an answer: gzip rather than deflate, and
// nothing that is offered with a quality of 0. Where only "identity" is asked
// for, Digdag says that this is what it sends.
func encodingFor(offers []string) string {
	found := ""
	for name, quality := range elements(offers) {
		switch {
		case quality == 0:
		case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
			return "gzip"
		case strings.EqualFold(name, "deflate"):
			found = "deflate"
		case found == "" && strings.EqualFold(name, "identity"):
			found = "identity"
		}
	}
	return found
}

// accepts tells whether a client takes a type. One that does not say takes all.
func accepts(offers []string, kind string) bool {
	if len(offers) == 0 {
		return true
	}
	kind, _, _ = strings.Cut(kind, ";")
	group, _, _ := strings.Cut(kind, "/")
	for name, quality := range elements(offers) {
		if quality > 0 && (name == "*/*" || name == "*" || strings.EqualFold(name, group+"/*") || strings.EqualFold(name, kind)) {
			return true
		}
	}
	return false
}

// elements yields the elements of a header's list and their qualities.
func elements(values []string) func(func(string, float64) bool) {
	return func(yield func(string, float64) bool) {
		for _, value := range values {
			for element := range strings.SplitSeq(value, ",") {
				name, rest, _ := strings.Cut(element, ";")
				quality := 1.0
				if _, given, err := mime.ParseMediaType("x/y;" + rest); err == nil {
					if q, err := strconv.ParseFloat(given["q"], 64); err == nil {
						quality = q
					}
				}
				if name = strings.TrimSpace(name); name != "" && !yield(name, quality) {
					return
				}
			}
		}
	}
}
