package operator

import (
	"context"
	"fmt"
	"time"

	"gitdag/engine/params"
)

// Sessions lets a task start attempts of other workflows and look at them.
type Sessions interface {
	// Ensure starts an attempt for a requirement unless the session has one of
	// its name, and tells of the one that there is then. A workflow that does
	// not exist is an [*Error]. Where only a look is asked for, there may be none.
	Ensure(ctx context.Context, r Requirement) (Ensured, error)
}

// Requirement is the session that a `require>` task waits for.
type Requirement struct {
	// Project, or ProjectID, name another project than the task's own.
	Project   string
	ProjectID uint64
	Workflow  string
	Session   time.Time
	RetryName string
	// Params are all that a new attempt is given.
	Params *params.Map
	// Look starts nothing.
	Look bool
}

// Ensured is the attempt that stands for a requirement; with the id 0 there is
// none.
type Ensured struct {
	Attempt, Session uint64
	// Started tells that Ensure has started it.
	Started       bool
	Done, Success bool
}

// rerun is when `require>` runs a session again that was over already.
type rerun string

const (
	rerunNone   rerun = "none"
	rerunFailed rerun = "failed"
	rerunAll    rerun = "all"
)

// The keys of the state of a `require>` task.
const (
	requireKicked = "require_kicked"
	requireStarts = "require_starts"
	requireRetry  = "rerun_attempt_name"
)

// runRequire makes sure that a session of another workflow has run
// (operators.md 5.2). The kick is idempotent: a session has one attempt of a
// name, so that a crash between the kick and the first poll kicks nothing
// twice. That the attempt is its own is durable before there is one, since
// another's would be run again where `rerun_on` asks for it.
func runRequire(ctx context.Context, t *Task) (*Result, error) {
	r, err := requirement(t)
	if err != nil {
		return nil, err
	}
	state := cloneState(t.State)
	name, renamed := textAt(state, requireRetry)
	if renamed {
		r.RetryName = name
	}
	kicked := renamed || state.Has(requireStarts) || state.Has(requireKicked)
	r.Look = r.rerun != rerunNone && !kicked
	got, err := t.Sessions.Ensure(ctx, r.Requirement)
	if err != nil {
		return nil, err
	}
	if got.Attempt == 0 {
		state.Set(requireStarts, true)
		return nil, &Poll{State: state}
	}
	if got.Started || kicked {
		kicked = true
		state.Set(requireKicked, true)
	}
	switch {
	case !got.Done:
		return nil, &Poll{After: requireAgain(t.Polls), State: state, Attempt: got.Attempt}
	case !kicked && r.rerun.applies(got.Success):
		// The name is durable before an attempt of it is started.
		state.Set(requireRetry, t.Unique)
		return nil, &Poll{State: state}
	case !got.Success && !r.ignore:
		return nil, &Error{Message: fmt.Sprintf(
			"Dependent workflow failed. Session id: %d, attempt id: %d", got.Session, got.Attempt)}
	}
	return &Result{}, nil
}

// applies tells whether a session that was over already runs again.
func (r rerun) applies(succeeded bool) bool {
	return r == rerunAll || r == rerunFailed && !succeeded
}

// requireAgain is when to look again: after 1, 2, 4, 8, and then every 10
// seconds.
func requireAgain(polls int) time.Duration {
	return min(time.Second<<min(polls, 4), 10*time.Second)
}

// required is what a `require>` task asks for.
type required struct {
	Requirement
	rerun  rerun
	ignore bool // a failure
}

// requirement reads what a task asks for.
func requirement(t *Task) (r required, err error) {
	if r.Workflow, err = params.Required(t.Config, "_command", params.String); err != nil {
		return r, err
	}
	if r.Session, err = params.Required(t.Config, "session_time", params.Instant); err != nil {
		return r, err
	}
	if r.Params, err = params.Optional(t.Config, "params", params.Object, nil); err != nil {
		return r, err
	}
	if r.ignore, err = params.Optional(t.Config, "ignore_failure", params.Bool, false); err != nil {
		return r, err
	}
	text, err := params.Optional(t.Config, "rerun_on", params.String, string(rerunNone))
	if err != nil {
		return r, err
	}
	r.rerun = rerun(text)
	switch r.rerun {
	case rerunNone, rerunFailed, rerunAll:
		return r, r.readOwn(t.Local)
	}
	return r, configError("Unknown rerun_on: %s. It must be none, failed or all", text)
}

// readOwn reads the project and the attempt's name, which are the task's own
// keys only: those of a task above are meant for others.
func (r *required) readOwn(local *params.Map) (err error) {
	if local.Has("project_id") && local.Has("project_name") {
		return configError("Both project_id and project_name can't be set")
	}
	if r.Project, err = params.Optional(local, "project_name", params.String, ""); err != nil {
		return err
	}
	id, err := params.Optional(local, "project_id", params.Long, 0)
	if err != nil {
		return err
	}
	r.ProjectID = uint64(id)
	r.RetryName, err = params.Optional(local, "retry_attempt_name", params.String, "")
	return err
}

func cloneState(state *params.Map) *params.Map {
	if state == nil {
		return params.NewMap(3)
	}
	return state.Clone()
}

func textAt(m *params.Map, key string) (string, bool) {
	v, _ := m.Lookup(key)
	return params.Text(v)
}
