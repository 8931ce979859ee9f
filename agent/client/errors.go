package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gitdag/agent/api"
)

// Unreachable is the error of an agent that does not answer.
type Unreachable struct {
	Endpoint string
	Err      error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("no agent answers at %s: %v", e.Endpoint, e.Err)
}

// Unwrap returns what went wrong.
func (e *Unreachable) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *Unreachable) Hint() string {
	switch {
	case badCertificate(e.Err):
		return "SSL_CERT_FILE names a file with further authorities; --disable-cert-validation accepts any certificate"
	case errors.Is(e.Err, http.ErrSchemeMismatch):
		return "the agent speaks plain HTTP: name it as http" + strings.TrimPrefix(e.Endpoint, "https")
	}
	return "is the agent running? name another one with -e HOST:PORT (GITDAG_ENDPOINT)"
}

// Refused is an answer that is an error.
type Refused struct {
	Status  int
	Message string
}

func (e *Refused) Error() string { return e.Message }

// Hint says how to be let in.
func (e *Refused) Hint() string {
	if e.Status == http.StatusUnauthorized {
		return "give the agent's token with --api-token-file FILE (GITDAG_API_TOKEN_FILE), or --basic-auth USER:PASSWORD"
	}
	return ""
}

// NotFound tells whether an error is the answer that there is no such thing.
func NotFound(err error) bool {
	var refused *Refused
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// Conflict is the error of a start whose session has an attempt of its name
// already.
type Conflict struct{ Attempt api.Attempt }

func (e *Conflict) Error() string {
	return fmt.Sprintf("the session has attempt %s of this name already", e.Attempt.ID)
}

// conflict tells a refused start, whose answer is an attempt, from another
// refusal.
func conflict(refused *Refused, text []byte) error {
	var a api.Attempt
	if json.Unmarshal(text, &a) == nil && a.ID != 0 {
		return &Conflict{a}
	}
	return refused
}

func notFound(format string, args ...any) error {
	return &Refused{Status: http.StatusNotFound, Message: fmt.Sprintf(format, args...)}
}

// elsewhere is the answer that what was asked for lies at another address.
type elsewhere struct {
	*Refused
	to *url.URL
}

// passingError marks what may be different when it is tried again.
type passingError struct {
	err   error
	after time.Duration // that the agent asks for
}

func (e *passingError) Error() string { return e.err.Error() }
func (e *passingError) Unwrap() error { return e.err }

func passing(err error) bool {
	var e *passingError
	return errors.As(err, &e)
}

// unreachable says why an agent did not answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err // without the URL, which is in the message already
	}
	if !lasting(err) {
		err = &passingError{err: err}
	}
	return &Unreachable{c.base.String(), err}
}

// lasting tells what is not tried again, as a person waits for the answer:
// nobody listens there, there is no such host, its certificate is bad, or it
// has none.
func lasting(err error) bool {
	var dns *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &dns) && dns.IsNotFound || badCertificate(err) || errors.Is(err, http.ErrSchemeMismatch)
}

// refusal reads an answer that is an error.
func refusal(response *http.Response, text []byte) error {
	refused := &Refused{Status: response.StatusCode}
	var told api.Error
	if json.Unmarshal(text, &told) == nil {
		refused.Message = told.Message
	}
	if refused.Message == "" {
		refused.Message = fmt.Sprintf("the agent answered %s", response.Status)
	}
	switch s := response.StatusCode; {
	case s == http.StatusConflict:
		return conflict(refused, text)
	case s == http.StatusSeeOther:
		if to, err := response.Location(); err == nil {
			return &elsewhere{refused, to}
		}
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return &passingError{refused, time.Duration(seconds) * time.Second}
	}
	return refused
}
