package objectwait

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// lookLimit bounds a look with all its requests.
const lookLimit = 60 * time.Second

// pace is how far looks are apart: least, twice as much, and so on up to most.
type pace struct{ least, most time.Duration }

// retryPace is for looks that came to no answer.
var retryPace = pace{time.Second, 30 * time.Second}

// leastWait is the shortest time between looks that did.
const leastWait = 5 * time.Second

func (p pace) after(n int) time.Duration { return min(p.least<<n, p.most) }

// next is n+1, but for a pace that gets no slower: a state that stays the same need not be
// written down.
func (p pace) next(n int) int {
	if p.after(n) == p.most {
		return n
	}
	return n + 1
}

// wait is how long to look for an object.
type wait struct {
	target
	pace pace
	// timeout counts from the first look; nil for none.
	timeout *time.Duration
}

// The state of a wait.
const (
	stateStart   = "start"   // of the first look, in milliseconds, if there is a timeout
	statePolls   = "polls"   // that found nothing
	stateRetries = "retries" // since the last look that came to an answer
)

// expired is the error of a wait that ended without an object.
type expired struct{ reason string }

func (e *expired) Error() string { return "Timeout happened: " + e.reason }

// next looks once. An object ends the wait, unless the timeout is over: looks that find
// nothing, or come to no answer, go on until then.
func (w wait) next(ctx context.Context, t *operator.Task, look func(context.Context) (*params.Map, error)) (*params.Map, error) {
	state, left, err := w.begin(t)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	object, err := look(limited)
	var missed *transient
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("look for %s: %w", w.target, context.Cause(ctx))
	case errors.As(err, &missed) && left <= 0:
		return nil, &expired{fmt.Sprintf("%s could not be looked for within %v: %s", w.target, *w.timeout, missed.reason)}
	case errors.As(err, &missed):
		return nil, w.retry(t, state, left, missed)
	case err != nil:
		return nil, refused(t, w.target, err)
	case left <= 0:
		return nil, &expired{fmt.Sprintf("%s was not there within %v", w.target, *w.timeout)}
	case object != nil:
		return object, nil
	}
	return nil, w.poll(t, state, left)
}

// begin returns the state that the next look starts from, and the time that is left.
func (w wait) begin(t *operator.Task) (state *params.Map, left time.Duration, err error) {
	state = params.NewMap(3)
	if w.timeout == nil {
		return state, 1<<63 - 1, nil
	}
	start, err := params.Optional(t.State, stateStart, params.Long, t.Now.UnixMilli())
	if err != nil {
		return nil, 0, err
	}
	state.Set(stateStart, number(start))
	left = time.UnixMilli(start).Add(*w.timeout).Sub(t.Now)
	return state, min(left, *w.timeout), nil // a clock that was set back gives no more time
}

func (w wait) poll(t *operator.Task, state *params.Map, left time.Duration) error {
	n, err := params.Optional(t.State, statePolls, params.Int, 0)
	if err != nil {
		return err
	}
	after := max(w.pace.after(int(n)), leastWait)
	if n == 0 {
		if err := tell(t, "%s is not there yet", w.target); err != nil {
			return err
		}
	}
	state.Set(statePolls, number(int64(w.pace.next(int(n)))))
	return &operator.Poll{After: min(after, left), State: state}
}

func (w wait) retry(t *operator.Task, state *params.Map, left time.Duration, missed *transient) error {
	n, err := params.Optional(t.State, stateRetries, params.Int, 0)
	if err != nil {
		return err
	}
	if polls, _ := t.State.Lookup(statePolls); polls != nil {
		state.Set(statePolls, polls)
	}
	after := min(retryPace.after(int(n)), left)
	if err := tell(t, "%s: %s: next try in %v", w.target, missed.reason, after); err != nil {
		return err
	}
	state.Set(stateRetries, number(int64(retryPace.next(int(n)))))
	return &operator.Poll{After: after, State: state}
}

func number(n int64) params.Number { return params.Number(strconv.FormatInt(n, 10)) }

func tell(t *operator.Task, format string, args ...any) error {
	if _, err := fmt.Fprintf(t.Log, t.Type+": "+format+"\n", args...); err != nil {
		return fmt.Errorf("write to the task log: %w", err)
	}
	return nil
}

// refused is the failure of a task whose look another one would repeat.
func refused(t *operator.Task, o target, err error) error {
	var failure *operator.Error
	if errors.As(err, &failure) {
		return failure
	}
	return &operator.Error{Message: fmt.Sprintf("%s failed: %s: %v", t.Type, o, err)}
}

// unanswered is the failure of a request that came to no answer.
func unanswered(err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // without the address, which says no more than the object's name
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &transient{fmt.Sprintf("no answer within %v", lookLimit)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &transient{"the server closed the connection"}
	}
	return &transient{err.Error()}
}
