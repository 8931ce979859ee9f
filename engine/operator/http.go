package operator

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gitdag/engine/params"
)

// HTTPClient is what the installation says of the requests of tasks (Digdag's
// `config.http.*` and `config.http_call.*`).
type HTTPClient struct {
	UserAgent    string // empty: gitdag
	MaxRedirects int    // 0: 8
	MaxStored    int    // characters of an answer that `store_content` takes; 0: 65,536
	MaxDocument  int    // characters of a document of `http_call>`; 0: 65,536
	// Proxy is for tasks that name none; nil: one that the environment names.
	Proxy *url.URL
	// NoTaskProxy has the proxies that tasks name ignored.
	NoTaskProxy bool
	// Getenv reads the environment's proxies; nil: those of the task's commands.
	Getenv func(name string) string
	// RootCAs are who may have signed certificates; nil: the system's.
	RootCAs *x509.CertPool
}

func (c HTTPClient) withDefaults() HTTPClient {
	if c.UserAgent == "" {
		c.UserAgent = "gitdag"
	}
	for _, n := range []struct {
		of      *int
		missing int
	}{{&c.MaxRedirects, 8}, {&c.MaxStored, 65536}, {&c.MaxDocument, 65536}} {
		if *n.of == 0 {
			*n.of = n.missing
		}
	}
	return c
}

// HTTP returns the operator `http>` (operators.md 7.1).
func HTTP(client HTTPClient) Entry {
	client = client.withDefaults()
	run := func(ctx context.Context, t *Task) (*Result, error) { return runHTTP(ctx, t, client) }
	return Entry{Operator: operatorFunc(run), Retries: true}
}

// runHTTP sends a request. It is not idempotent: a task that runs again sends
// again.
func runHTTP(ctx context.Context, t *Task, client HTTPClient) (*Result, error) {
	config, err := withDefaults(t.Config, "http")
	if err != nil {
		return nil, err
	}
	store, err := params.Optional(config, "store_content", params.Bool, false)
	if err != nil {
		return nil, err
	}
	r, err := readRequest(ctx, t, requestOptions{config: config, client: client, secretAddress: true})
	if err != nil {
		return nil, err
	}
	if store {
		r.limit = client.MaxStored
	}
	answer, err := r.exchange(ctx, t)
	if err != nil {
		return nil, err
	}
	stored := params.Of("last_status", params.Number(strconv.Itoa(answer.status)))
	reset := []string{"http.last_status"}
	if store {
		text, ok := answer.text(client.MaxStored)
		if !ok {
			return nil, r.failed("the answer is too large to be stored: it has more than %d characters", client.MaxStored)
		}
		stored.Set("last_content", text)
		reset = append(reset, "http.last_content")
	}
	return &Result{Store: params.Of("http", stored), Reset: reset}, nil
}

// exchange sends the request once. If it fails and may be sent again, the error
// asks for that.
func (r *httpRequest) exchange(ctx context.Context, t *Task) (*httpAnswer, error) {
	answer, failure := r.send(ctx)
	if failure == nil {
		return answer, r.tell(t, answer.line)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("send a request: %w", context.Cause(ctx))
	}
	done, err := params.Optional(t.State, "retries", params.Int, 0)
	if err != nil {
		return nil, err
	}
	if !r.retry.allows(failure.kind) {
		return nil, r.failed("%s", failure.message)
	}
	if done >= r.retry.limit {
		return nil, r.failed("after %d retries: %s", done, failure.message)
	}
	after := max(httpBackoff(done), retryAfter(failure.retryAfter, t.Now))
	if err := r.tell(t, fmt.Sprintf("%s: retry %d of %d in %v", failure.line, done+1, r.retry.limit, after)); err != nil {
		return nil, err
	}
	return nil, &Poll{After: after, State: params.Of("retries", params.Number(strconv.Itoa(done+1)))}
}

// tell writes what became of the request to the task's log.
func (r *httpRequest) tell(t *Task, what string) error {
	if _, err := fmt.Fprintf(t.Log, "%s %s: %s\n", r.method, r.shown, r.hide(what)); err != nil {
		return fmt.Errorf("write to the task log: %w", err)
	}
	return nil
}

func (r *httpRequest) failed(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf("HTTP request failed: %s %s: %s", r.method, r.shown, r.hide(fmt.Sprintf(format, args...)))}
}

// failureKind classes failures by what another try may bring.
type failureKind int

const (
	// refused: the same request fails again.
	refused failureKind = iota
	// transient: it may succeed, and may have been carried out already.
	transient
	// postponed: the server asks for another try, and has done nothing.
	postponed
)

// judge tells whether an answer with that status is a failure, and which.
func judge(status int) (failureKind, bool) {
	switch {
	case status >= 200 && status < 400: // a redirect that is not followed is an answer like others
		return 0, false
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return postponed, true
	case status >= 400 && status < 500:
		return refused, true
	}
	return transient, true
}

// retryRule says which failures are followed by another try (O13).
type retryRule struct {
	always bool // the method is safe, or the task asks for it
	never  bool // the task asks for that
	limit  int
}

func (r retryRule) allows(kind failureKind) bool {
	switch kind {
	case transient:
		return r.always
	case postponed:
		return !r.never
	}
	return false
}

func readRetryRule(config *params.Map, method string) (r retryRule, err error) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		r.always = true
	}
	if v, _ := config.Lookup("retry"); v != nil {
		if r.always, err = params.Optional(config, "retry", params.Bool, false); err != nil {
			return r, err
		}
		r.never = !r.always
	}
	if r.limit, err = params.Optional(config, "retry_limit", params.Int, 7); err == nil && r.limit < 0 {
		err = configError("Parameter 'retry_limit' must be 0 or more, not %d", r.limit)
	}
	return r, err
}

// httpBackoff is how long to wait before the next try: 1, 2, 4, … 30 seconds.
func httpBackoff(done int) time.Duration {
	return min(time.Second<<min(done, 5), 30*time.Second)
}

// retryAfter reads a Retry-After header's two forms, seconds and a date.
// Anything else asks for nothing.
func retryAfter(header string, now time.Time) time.Duration {
	const most = 24 * time.Hour // beyond that the number is nonsense
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(max(0, min(seconds, int(most/time.Second)))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, min(at.Sub(now), most))
	}
	return 0
}
