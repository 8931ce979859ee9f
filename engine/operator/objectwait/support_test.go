package objectwait_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/operator/objectwait"
	"gitdag/engine/params"
)

var began = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// log is the log of a task.
type log struct{ strings.Builder }

func (*log) File() (*os.File, error) { return nil, errors.ErrUnsupported }

type secrets map[string]string

func (s secrets) Secret(_ context.Context, key string) (string, error) {
	if value, ok := s[key]; ok {
		return value, nil
	}
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

var keys = secrets{"aws.access_key_id": "AKID", "aws.secret_access_key": "SECRET\n"}

// newTask returns a task with the given own parameters, below which it sees visible.
func newTask(t *testing.T, visible *params.Map, own ...any) *operator.Task {
	t.Helper()
	local := params.Of(own...)
	typ, config, local, err := operator.Select(params.Merge(visible, local), local)
	if err != nil {
		t.Fatal(err)
	}
	return &operator.Task{
		FullName: "+w+t", Type: typ, Config: config, Local: local,
		Zone: time.UTC, Now: began, Log: &log{}, Secrets: keys,
	}
}

// rerouted sends every request to one handler, whatever host it is for.
type rerouted struct{ to *url.URL }

func (r rerouted) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Host = request.URL.Host
	request.Header.Set("X-Test-Scheme", request.URL.Scheme)
	request.URL.Scheme, request.URL.Host = r.to.Scheme, r.to.Host
	return (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // which repeats nothing by itself
}

func run(t *testing.T, o objectwait.Options, task *operator.Task) (*operator.Result, error) {
	t.Helper()
	entry := objectwait.S3(o)
	if task.Type == "gcs_wait" {
		entry = objectwait.GCS(o)
	}
	return entry.Operator.Run(t.Context(), task)
}

// wantFailure checks the whole text of a failure, its kind included.
func wantFailure(t *testing.T, err error, want string) {
	t.Helper()
	var failure *operator.Error
	if !errors.As(err, &failure) || failure.Error() != want {
		t.Errorf("got\n  %v\nwant the failure\n  %s", err, want)
	}
}

func wantJSON(t *testing.T, got *params.Map, want string) {
	t.Helper()
	if text := string(params.AppendJSON(nil, got)); text != want {
		t.Errorf("got\n  %s\nwant\n  %s", text, want)
	}
}

// wait runs a task as the engine does, until it ends or has asked for most further looks,
// and returns how far apart these were. Each run is a task of its own, with the state as
// it is after it was written down.
func wait(t *testing.T, o objectwait.Options, task *operator.Task, most int) (r *operator.Result, apart []time.Duration, err error) {
	t.Helper()
	for range most {
		next := *task
		r, err = run(t, o, &next)
		var poll *operator.Poll
		if !errors.As(err, &poll) {
			return r, apart, err
		}
		apart = append(apart, poll.After)
		written, failed := params.Decode(params.Encode(poll.State))
		if failed != nil {
			t.Fatal(failed)
		}
		task.State = written.(*params.Map)
		task.Now = task.Now.Add(poll.After)
	}
	return r, apart, err
}

func wantApart(t *testing.T, got []time.Duration, want ...int) {
	t.Helper()
	var seconds []int
	for _, d := range got {
		seconds = append(seconds, int(d/time.Second))
	}
	if fmt.Sprint(seconds) != fmt.Sprint(want) {
		t.Errorf("got looks %v seconds apart, want %v", seconds, want)
	}
}

// answers gives one answer after another, and the last for ever. What is no status is no
// answer: the connection is closed.
type answers struct {
	mu     sync.Mutex
	status []int
	with   http.HandlerFunc // adds to an answer; may be nil
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	status := a.status[0]
	if len(a.status) > 1 {
		a.status = a.status[1:]
	}
	a.mu.Unlock()
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	if a.with != nil {
		a.with(w, r)
	}
	w.WriteHeader(status)
}
