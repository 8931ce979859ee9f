package gitsync

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// httpLister lists references over HTTP with protocol version 2, where the
// server filters them. It remembers what the server can do, so that an
// unchanged poll is one request over a kept connection.
type httpLister struct {
	client *http.Client
	url    string // without trailing slash
	auth   Auth

	known  bool // the fields below are what the server said
	v2     bool
	bearer bool // the server refused Basic and takes Bearer
}

var errNoV2 = errors.New("the server does not speak protocol version 2")

const (
	maxListBytes  = 4 << 20
	maxErrorBytes = 1 << 10
	agentLine     = "agent=gitdag"
)

func newHTTPLister(r Repo, idle time.Duration) *httpLister {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.IdleConnTimeout = idle
	tr.MaxIdleConnsPerHost = 1
	return &httpLister{
		client: &http.Client{Transport: tr, CheckRedirect: sameOrigin},
		url:    strings.TrimRight(r.URL, "/"),
		auth:   r.Auth,
	}
}

func (l *httpLister) close() { l.client.CloseIdleConnections() }

// sameOrigin follows redirects only to the same host and port, or from http to
// https on the same host: a repository that moved elsewhere is for a person to
// confirm.
func sameOrigin(req *http.Request, via []*http.Request) error {
	from, to := via[0].URL, req.URL
	upgrade := from.Scheme == "http" && to.Scheme == "https" && from.Hostname() == to.Hostname()
	if !upgrade && (from.Scheme != to.Scheme || from.Host != to.Host) {
		return fmt.Errorf("the server redirects to %s://%s: set the repository's url to its new place", to.Scheme, to.Host)
	}
	if len(via) > 5 {
		return errors.New("too many redirects")
	}
	return nil
}

// list answers errNoV2 when the caller has to list in another way.
func (l *httpLister) list(ctx context.Context, ref string) (Tip, error) {
	fresh := !l.known
	if fresh {
		if err := l.discover(ctx); err != nil {
			return Tip{}, err
		}
	}
	if !l.v2 {
		return Tip{}, errNoV2
	}
	refs, err := l.lsRefs(ctx, refCandidates(ref))
	if err != nil {
		l.known = false // learnt again at the next poll
		return Tip{}, err
	}
	name, h, err := resolveRef(ref, func(n string) (plumbing.Hash, bool) { v, ok := refs[n]; return v, ok })
	if err != nil {
		return Tip{}, err
	}
	return Tip{Commit: h.String(), Ref: name}, nil
}

// discover asks what the server can do and which kind of Authorization it takes.
func (l *httpLister) discover(ctx context.Context) error {
	l.bearer = false
	resp, err := l.do(ctx, http.MethodGet, "/info/refs?service=git-upload-pack", nil)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusUnauthorized && l.auth.TokenFile != "" && offersBearer(resp.Header) {
		closeBody(resp)
		l.bearer = true
		if resp, err = l.do(ctx, http.MethodGet, "/info/refs?service=git-upload-pack", nil); err != nil {
			return err
		}
	}
	defer closeBody(resp)
	if err := httpStatus(resp); err != nil {
		return err
	}
	if final := resp.Request.URL; strings.HasSuffix(final.Path, "/info/refs") {
		moved := url.URL{Scheme: final.Scheme, Host: final.Host, Path: strings.TrimSuffix(final.Path, "/info/refs")}
		l.url = moved.String()
	}
	l.v2, err = announcesV2(io.LimitReader(resp.Body, maxListBytes))
	l.known = err == nil
	return err
}

// announcesV2 reads the beginning of an advertisement. A server of version 0 or
// 1 sends its references there, which is not read to its end.
func announcesV2(r io.Reader) (bool, error) {
	s := pktline.NewScanner(r)
	for s.Scan() {
		line := strings.TrimSuffix(string(s.Bytes()), "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "# service="):
			continue
		case line == "version 2":
			return hasSHA1(s)
		default:
			return false, nil
		}
	}
	return false, fmt.Errorf("the answer is not that of a Git server: %w", orDefault(s.Err(), io.ErrUnexpectedEOF))
}

func hasSHA1(s *pktline.Scanner) (bool, error) {
	lsRefs := false
	for s.Scan() {
		line := strings.TrimSuffix(string(s.Bytes()), "\n")
		if line == "" {
			return lsRefs, nil
		}
		if line == "ls-refs" || strings.HasPrefix(line, "ls-refs=") {
			lsRefs = true
		}
		if f, ok := strings.CutPrefix(line, "object-format="); ok && f != "sha1" {
			return false, fmt.Errorf("the repository uses %s object names, which are not supported", f)
		}
	}
	return false, orDefault(s.Err(), io.ErrUnexpectedEOF)
}

// lsRefs asks for some references. Annotated tags come as what they point at.
func (l *httpLister) lsRefs(ctx context.Context, names []string) (map[string]plumbing.Hash, error) {
	var body bytes.Buffer
	e := pktline.NewEncoder(&body)
	lines := []string{"command=ls-refs\n", agentLine + "\n", "object-format=sha1\n"}
	if err := e.EncodeString(lines...); err != nil {
		return nil, err
	}
	body.WriteString("0001")
	args := []string{"peel\n"}
	for _, n := range names {
		args = append(args, "ref-prefix "+n+"\n")
	}
	if err := errors.Join(e.EncodeString(args...), e.Flush()); err != nil {
		return nil, err
	}
	resp, err := l.do(ctx, http.MethodPost, "/git-upload-pack", body.Bytes())
	if err != nil {
		return nil, err
	}
	defer closeBody(resp)
	if err := httpStatus(resp); err != nil {
		return nil, err
	}
	return readRefs(io.LimitReader(resp.Body, maxListBytes))
}

func readRefs(r io.Reader) (map[string]plumbing.Hash, error) {
	refs := map[string]plumbing.Hash{}
	s := pktline.NewScanner(r)
	for s.Scan() {
		line := strings.TrimSuffix(string(s.Bytes()), "\n")
		if line == "" {
			return refs, nil // the flush packet: the list is whole
		}
		f := strings.Fields(line)
		if len(f) < 2 || !plumbing.IsHash(f[0]) {
			return nil, fmt.Errorf("the server's list of references holds %.80q", line)
		}
		refs[f[1]] = plumbing.NewHash(f[0])
		for _, attr := range f[2:] {
			if h, ok := strings.CutPrefix(attr, "peeled:"); ok && plumbing.IsHash(h) {
				refs[f[1]] = plumbing.NewHash(h)
			}
		}
	}
	return nil, fmt.Errorf("the server's list of references is cut off: %w", orDefault(s.Err(), io.ErrUnexpectedEOF))
}

func (l *httpLister) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	user, secret, err := l.auth.httpCredential()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL of the repository cannot be used")
	}
	req.Header.Set("Git-Protocol", "version=2")
	req.Header.Set("User-Agent", "git/gitdag")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Header.Set("Accept", "application/x-git-upload-pack-result")
	}
	switch {
	case secret != "" && l.bearer:
		req.Header.Set("Authorization", "Bearer "+secret)
	case secret != "":
		req.SetBasicAuth(user, secret)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("list references: %w", err)
	}
	return resp, nil
}

func offersBearer(h http.Header) bool {
	for _, c := range h.Values("WWW-Authenticate") {
		if len(c) >= 6 && strings.EqualFold(c[:6], "bearer") {
			return true
		}
	}
	return false
}

// closeBody reads a little of what is left, so that the connection is kept.
func closeBody(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBytes)
	_ = resp.Body.Close()
}

func httpStatus(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	line, _ := bufio.NewReader(io.LimitReader(resp.Body, maxErrorBytes)).ReadString('\n')
	err := statusError(resp.StatusCode, strings.TrimSpace(line))
	if after := retryAfter(resp.StatusCode, resp.Header); after > 0 {
		return retryAfterError{err, after}
	}
	return err
}

func statusError(code int, text string) error {
	hint := ""
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = " (check the credentials of auth)"
	case http.StatusNotFound:
		hint = " (no such repository, or no right to see it)"
	}
	if text != "" && !strings.HasPrefix(text, "<") {
		text = ": " + strconv.QuoteToGraphic(text)
	} else {
		text = ""
	}
	return fmt.Errorf("the server answers %d %s%s%s", code, http.StatusText(code), hint, text)
}

// retryAfter reads the header of that name where it is a number of seconds.
func retryAfter(code int, h http.Header) time.Duration {
	if code != http.StatusTooManyRequests && code != http.StatusServiceUnavailable {
		return 0
	}
	n, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || n <= 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Hour)
}
