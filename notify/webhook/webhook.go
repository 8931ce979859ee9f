// Package webhook delivers alerts as JSON to an HTTP address: Digdag's notification
// (server.md 6.3) with further keys of our own, as notify.Payload writes it.
//
// It knows package notify only. Each Send is one request and keeps nothing; whether
// and when there is another one is the caller's business. A redirect is a failure: it
// would carry the headers' secrets to a host that nobody named, or lose the body.
//
// Invariant: no error, log or print of it contains the address or a header's value,
// nor a word of the answer, which may repeat both.
package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpguts"

	"gitdag/notify"
)

const (
	defaultTimeout = 30 * time.Second
	// maxAnswer is read of an answer so that its connection can be used again.
	maxAnswer = 64 << 10
)

// Options says where alerts go and how.
type Options struct {
	URL       notify.Source     // any http or https address
	Method    string            // default POST
	Headers   []Header          // beside Content-Type: application/json and User-Agent, or instead of them
	Timeout   time.Duration     // of one request; default 30s
	Transport http.RoundTripper // default: one of its own, with time limits and the environment's proxy
}

// Header is one header of the request. Its value is a secret.
type Header struct {
	Name  string
	Value notify.Source
}

// Sender is a notify.Sender for one address. It may be used concurrently.
type Sender struct{ opts Options }

// New returns a sender. It reads every secret once, so that wrong settings are known
// now, and sends nothing. Its error is a *notify.SettingError.
func New(o Options) (*Sender, error) {
	if o.Method == "" {
		o.Method = http.MethodPost
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Transport == nil {
		o.Transport = notify.Transport(o.Timeout)
	}
	switch {
	case o.URL == nil:
		return nil, &notify.SettingError{Name: "url", Reason: "it is required"}
	case !httpguts.ValidHeaderFieldName(o.Method): // both are tokens
		return nil, &notify.SettingError{Name: "method", Reason: fmt.Sprintf("%q is not an HTTP method", o.Method)}
	case o.Timeout < 0:
		return nil, &notify.SettingError{Name: "timeout", Reason: "it must not be negative"}
	}
	s := &Sender{o}
	if _, err := s.request(context.Background(), nil); err != nil {
		return nil, err
	}
	return s, nil
}

// Send delivers the alert. Its error is a *notify.Error, or wraps that of ctx.
func (s *Sender) Send(ctx context.Context, a notify.Alert) (notify.Receipt, error) {
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	req, wrong := s.request(limited, notify.Payload(a))
	if wrong != nil {
		return notify.Receipt{}, &notify.Error{Reason: "webhook: " + wrong.Error()} // a secret's file, which somebody may mend
	}
	// Not a Client: that would follow redirects.
	resp, err := s.opts.Transport.RoundTrip(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return notify.Receipt{}, fmt.Errorf("webhook: %w", ctx.Err())
	case err != nil:
		return notify.Receipt{}, &notify.Error{Reason: "webhook: " + notify.Trouble(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return notify.Receipt{}, outcome(resp)
}

// request makes the request, with the secrets as they are now.
func (s *Sender) request(ctx context.Context, body []byte) (*http.Request, *notify.SettingError) {
	address, err := s.opts.URL()
	if err != nil {
		return nil, &notify.SettingError{Name: "url", Reason: err.Error()}
	}
	noURL := &notify.SettingError{Name: "url", Reason: "it is not an http or https URL"} // err quotes it
	u, err := url.Parse(address.Reveal())
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, noURL
	}
	req, err := http.NewRequestWithContext(ctx, s.opts.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, noURL
	}
	if u.User != nil {
		password, _ := u.User.Password()
		req.SetBasicAuth(u.User.Username(), password)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gitdag")
	for _, h := range s.opts.Headers {
		if err := h.set(req); err != nil {
			return nil, err
		}
	}
	return req, nil
}

func (h Header) set(req *http.Request) *notify.SettingError {
	wrong := func(reason string) *notify.SettingError {
		return &notify.SettingError{Name: "headers." + h.Name, Reason: reason}
	}
	value, err := h.Value()
	switch {
	case err != nil:
		return wrong(err.Error())
	case !httpguts.ValidHeaderFieldName(h.Name):
		return wrong("it is not the name of a header")
	case !httpguts.ValidHeaderFieldValue(value.Reveal()):
		return wrong("its value has characters that no header may have")
	case http.CanonicalHeaderKey(h.Name) == "Host":
		req.Host = value.Reveal()
	default:
		req.Header.Set(h.Name, value.Reveal())
	}
	return nil
}

// outcome is nil for a success: any 2xx.
func outcome(resp *http.Response) error {
	e := &notify.Error{
		Reason:     fmt.Sprintf("webhook: status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)),
		RetryAfter: notify.RetryAfter(resp.Header.Get("Retry-After"), time.Now()),
		Permanent:  refused(resp.StatusCode),
	}
	switch resp.StatusCode / 100 {
	case 2:
		return nil
	case 3:
		e.Reason = fmt.Sprintf("webhook: redirected (status %d), which is not followed", resp.StatusCode)
	}
	return e
}

// refused lists what a server answers to a request that will be no better the next time.
func refused(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	default:
		return false
	}
}
