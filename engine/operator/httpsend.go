package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

const (
	// maxIgnored is how much of an answer that nobody wants is waited for.
	maxIgnored = 2 << 20
	// maxSample is how much of the answer that tells of a failure is looked at,
	// shownSample how many characters of it are shown.
	maxSample   = 64 << 10
	shownSample = 200
)

// httpAnswer is the last answer of an exchange, its redirects followed.
type httpAnswer struct {
	status int
	line   string // the status and the server's word for it
	kind   string // Content-Type
	body   []byte
	cut    bool // there was more
}

// httpFailure is why an exchange failed.
type httpFailure struct {
	kind       failureKind
	line       string // in short
	message    string
	retryAfter string
}

func failedOn(kind failureKind, format string, args ...any) *httpFailure {
	line := fmt.Sprintf(format, args...)
	return &httpFailure{kind: kind, line: line, message: line}
}

// hop is one request on a way of redirects.
type hop struct {
	method  string
	address *url.URL
	header  http.Header
	host    string
	body    []byte
}

// send sends the request, and goes where it is redirected to.
func (r *httpRequest) send(ctx context.Context) (*httpAnswer, *httpFailure) {
	defer r.transport.CloseIdleConnections()
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	at := hop{r.method, r.address, r.header.Clone(), r.host, r.body}
	for redirects := 0; ; redirects++ {
		request, err := http.NewRequestWithContext(ctx, at.method, at.address.String(), bytes.NewReader(at.body))
		if err != nil {
			return nil, failedOn(refused, "it cannot be written") // the error has the address in it
		}
		request.Header, request.Host = at.header, at.host
		response, err := r.transport.RoundTrip(request)
		if err != nil {
			return nil, r.broken(err)
		}
		if to := response.Header.Get("Location"); r.maxRedirects == 0 || !isRedirect(response.StatusCode) || to == "" {
			return r.read(response)
		} else if failure := r.follow(&at, response.StatusCode, to); failure != nil {
			discard(response)
			return nil, failure
		}
		discard(response)
		if redirects == r.maxRedirects {
			return nil, failedOn(transient, "it was redirected more than %d times", r.maxRedirects)
		}
	}
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// follow moves to where a redirect leads: as clients do, with GET and no body
// after 303, and after 301 and 302 of POST. Another server gets no secrets.
func (r *httpRequest) follow(at *hop, status int, location string) *httpFailure {
	to, err := at.address.Parse(location)
	if err == nil {
		to, err = parseAddress(to.String())
	}
	if err != nil {
		return failedOn(transient, "it was redirected to what is no http or https address")
	}
	post := at.method == http.MethodPost && (status == http.StatusMovedPermanently || status == http.StatusFound)
	if post || status == http.StatusSeeOther && at.method != http.MethodHead {
		at.method, at.body = http.MethodGet, nil
		at.header = maps.Clone(at.header)
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Location"} {
			at.header.Del(name)
		}
	}
	if !sameServer(at.address, to) {
		if r.hasSecret && len(at.body) > 0 {
			return failedOn(refused, "it was redirected to another server, which must not get the secret in its body")
		}
		at.host = ""
		at.header = maps.Clone(at.header)
		for _, name := range r.hidden {
			at.header.Del(name)
		}
	}
	at.address = to
	return nil
}

// sameServer tells whether what was meant for one address may be sent to the
// other: the same host and port, or the same host's encrypted side.
func sameServer(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	upgrade := from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == ""
	return upgrade || from.Scheme == to.Scheme && portOf(from) == portOf(to)
}

func portOf(address *url.URL) string {
	switch {
	case address.Port() != "":
		return address.Port()
	case address.Scheme == "https":
		return "443"
	}
	return "80"
}

// broken is the failure of an exchange that came to no answer.
func (r *httpRequest) broken(err error) *httpFailure {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return failedOn(transient, "timed out after %v", r.timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failedOn(transient, "the server closed the connection")
	}
	return failedOn(transient, "%v", err)
}

// read takes the answer. What is not needed is waited for all the same, within
// bounds: there the server may still be at work.
func (r *httpRequest) read(response *http.Response) (*httpAnswer, *httpFailure) {
	defer response.Body.Close()
	a := &httpAnswer{status: response.StatusCode, line: statusLine(response), kind: response.Header.Get("Content-Type")}
	if kind, failed := judge(a.status); failed {
		failure := failedOn(kind, "%s", a.line)
		failure.retryAfter = response.Header.Get("Retry-After")
		if text := r.sample(a, response); text != "" {
			failure.message += ": " + text
		}
		return nil, failure
	}
	if r.limit == 0 {
		if _, err := io.CopyN(io.Discard, response.Body, maxIgnored); err != nil && !errors.Is(err, io.EOF) {
			return nil, r.broken(err)
		}
		return a, nil
	}
	var err error
	limit := int64(r.limit) * utf8.UTFMax
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, limit+1)); err != nil {
		return nil, r.broken(err)
	}
	a.cut = int64(len(a.body)) > limit
	return a, nil
}

// sample is the beginning of an answer that tells of a failure.
func (r *httpRequest) sample(a *httpAnswer, response *http.Response) string {
	if response.ContentLength > maxSample {
		return ""
	}
	a.body, _ = io.ReadAll(io.LimitReader(response.Body, maxSample)) // as much as there is
	text := []rune(r.hide(a.decoded()))                              // before it is cut, lest half a secret stays
	if len(text) > shownSample {
		return string(text[:shownSample-3]) + "..."
	}
	return string(text)
}

func statusLine(response *http.Response) string {
	line := strings.TrimSpace(response.Status)
	if text := http.StatusText(response.StatusCode); text != "" && !strings.Contains(line, " ") {
		line += " " + text
	}
	return line
}

// discard reads the little that comes with a redirect, so that the connection
// can be used again.
func discard(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10)
	_ = response.Body.Close()
}

// text returns the answer's text, if it has no more than that many characters,
// counted as Java does.
func (a *httpAnswer) text(limit int) (string, bool) {
	if a.cut {
		return "", false
	}
	text := a.decoded()
	n := 0
	for _, c := range text {
		if n++; c > 0xffff {
			n++
		}
	}
	return text, n <= limit
}

// decoded returns the body in the character set that the answer names, UTF-8 if
// it names none that is known.
func (a *httpAnswer) decoded() string {
	if _, options, err := mime.ParseMediaType(a.kind); err == nil && options["charset"] != "" {
		if set, err := htmlindex.Get(options["charset"]); err == nil {
			if text, err := set.NewDecoder().Bytes(a.body); err == nil {
				return strings.ToValidUTF8(string(text), "\ufffd")
			}
		}
	}
	return strings.ToValidUTF8(string(a.body), "\ufffd")
}
