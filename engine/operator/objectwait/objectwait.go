// Package objectwait holds `s3_wait>` and `gcs_wait>`: a task that is done once an object
// is in a bucket (operators.md 10.1, 11.1).
//
// It is the only user of what signs requests for Amazon and Google, and knows nothing of
// the engine but the contract of operators. It asks with plain HTTP, one look a run, and
// only reads. Its one invariant: a look that finds nothing, or comes to no answer, ends
// the run with the wish for another, so that waiting holds no worker.
package objectwait

import (
	"context"
	"fmt"
	"net/http"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// Options say how the services are reached.
type Options struct {
	// Transport sends the requests; nil: over the network, through the proxy that the
	// environment of the task's commands names.
	Transport http.RoundTripper
}

// S3 returns `s3_wait>`, for Amazon S3 and whatever has its interface.
func S3(o Options) operator.Entry {
	run := func(ctx context.Context, t *operator.Task) (*operator.Result, error) { return runS3(ctx, t, o) }
	return operator.Entry{Operator: operator.Func(run), Options: []string{
		"aws", "bucket", "continue_on_timeout", "endpoint", "key", "path_style_access", "region", "timeout", "version_id",
	}}
}

// GCS returns `gcs_wait>`, for Google Cloud Storage.
func GCS(o Options) operator.Entry {
	run := func(ctx context.Context, t *operator.Task) (*operator.Result, error) { return runGCS(ctx, t, o) }
	return operator.Entry{Operator: operator.Func(run), Retries: true}
}

// client returns a client for one run. It follows no redirect: what is signed is signed
// for one server.
func (o Options) client(t *operator.Task) *http.Client {
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: operator.EnvironmentProxy(t), DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: 1 << 20,
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// result stores what was found as NAME.last_object; without an object it only removes the
// one of before.
func result(name string, object *params.Map) *operator.Result {
	r := &operator.Result{Reset: []string{name + ".last_object"}}
	if object != nil {
		r.Store = params.Of(name, params.Of("last_object", object))
	}
	return r
}

// transient is the error of a look that came to no answer: the next one may.
type transient struct{ reason string }

func (t *transient) Error() string { return t.reason }

// judge tells whether a status says that the object is there; that it is not is no error.
// Any other answer is a failure, about which hint knows more.
func judge(response *http.Response, hint string) (found bool, err error) {
	status := response.StatusCode
	line := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch {
	case status >= 200 && status < 300:
		return true, nil
	case status == http.StatusNotFound:
		return false, nil
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return false, &transient{line}
	case hint != "":
		line += ": " + hint
	}
	return false, fmt.Errorf("%s", line)
}
