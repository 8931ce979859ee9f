package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
	"gitdag/engine/tasklog"
)

// The errors that the parts below the API answer with, wrapped or not. A
// [flow.Conflict], [flow.TooManyTasks], [flow.ErrNoAttempt] and
// [flow.ErrFinished] are passed on as they are.
var (
	// ErrNotFound is for an attempt, a session or a workflow that is unknown.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable is for what cannot be taken now and may be asked again: the
	// disk is full, or the agent is stopping.
	ErrUnavailable = errors.New("not available now")
)

// Invalid is the error for what can never be done as it is asked for, and says
// why.
type Invalid struct{ Reason error }

func (e *Invalid) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *Invalid) Unwrap() error { return e.Reason }

// Start asks for a new attempt of a workflow definition. Params are templates.
type Start struct {
	Definition uint64
	Session    time.Time
	RetryName  string
	Params     *params.Map
	// Resume, where set, takes tasks over from another attempt.
	Resume *Resume
	// Former is set for a definition that is not live any more: it is what the
	// newest attempt that ran it tells of it.
	Former *flow.AttemptFacts
}

// Definition is what is kept of a workflow.
type Definition struct {
	// Config is the top level of the file.
	Config *params.Map
	// Schedule is nil for a workflow that is not scheduled.
	Schedule *schedule.Schedule
}

// Engine runs attempts.
type Engine interface {
	State
	Control
}

// State is what is durable and live.
type State interface {
	// View calls read with the durable state, which read must not keep.
	View(read func(*flow.State))
	// Definition reads the definition that a live workflow or an attempt names;
	// the error is [io/fs.ErrNotExist] if it is not kept any more.
	Definition(ref string) (*Definition, error)
	// Full tells that the disk is full and nothing new is accepted.
	Full() bool
}

// Control changes what runs. Both return once the change is durable.
type Control interface {
	Start(ctx context.Context, s Start) (attempt uint64, err error)
	Kill(ctx context.Context, attempt uint64) error
}

// Query selects a page of a list of attempts or sessions, newest first.
type Query struct {
	// Project and Workflow narrow the list; 0 and "" do not.
	Project  uint64
	Workflow string
	// Before asks for ids below it; 0 begins with the newest.
	Before uint64
	Limit  int
}

// History holds the attempts that are over and have left the state. Only
// Record returns tasks.
type History interface {
	HistoryItems
	HistoryLists
	HistoryDefinitions
}

// HistoryItems finds one of something; the error is [ErrNotFound] otherwise.
type HistoryItems interface {
	Attempt(ctx context.Context, id uint64) (*flow.Record, error)
	// Session returns the newest archived attempt of a session.
	Session(ctx context.Context, id uint64) (*flow.Record, error)
	Record(ctx context.Context, id uint64) (*flow.Record, error)
}

// HistoryLists lists attempts by descending id, those of Sessions by
// descending session.
type HistoryLists interface {
	// Attempts lists the newest of each session, with retried all.
	Attempts(ctx context.Context, q Query, retried bool) ([]*flow.Record, error)
	// Sessions lists the newest attempt of each session.
	Sessions(ctx context.Context, q Query) ([]*flow.Record, error)
	// SessionAttempts lists the attempts of one session.
	SessionAttempts(ctx context.Context, session, before uint64, limit int) ([]*flow.Record, error)
}

// HistoryDefinitions finds the workflow definitions that attempts have run.
type HistoryDefinitions interface {
	// Ran returns the newest attempt of a definition, or [ErrNotFound].
	Ran(ctx context.Context, definition uint64) (*flow.Record, error)
	// RanOf returns the newest attempt of each definition of a revision of a
	// project.
	RanOf(ctx context.Context, project uint64, revision string) ([]*flow.Record, error)
}

// Logs holds the logs of tasks. The error of Open for an unknown name is
// [io/fs.ErrNotExist]. [tasklog.Store] is one.
type Logs interface {
	List(attempt uint64) ([]tasklog.Info, error)
	Open(attempt uint64, name string, offset int64) (io.ReadCloser, error)
}

// Repos are the repositories that the agent follows.
type Repos interface {
	// Syncing says how the syncs of each are doing, in the order of the
	// configuration.
	Syncing() []Syncing
	// Sync marks a repository as due, or all of them if the name is empty. It
	// tells whether there is one.
	Sync(name string) bool
}

// Options say what an API is made of. What has no default must be set.
type Options struct {
	Engine  Engine
	History History
	Logs    Logs
	// Repos is nil for a server that follows none.
	Repos Repos
	// Version is that of the agent.
	Version string
	// Token is asked at each request for the token that it must bear: "" for
	// none, as is nil.
	Token func() string
	// Webhooks answers what is below /webhooks/; nil for nothing.
	Webhooks http.Handler
	// Log gets a line for each request that fails for a reason of ours.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// server answers requests.
type server struct {
	Options
	started time.Time
	zones   sync.Map // of *time.Location by name
}

// New returns the handler of all routes.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &server{Options: o, started: o.Now()}
	return s.guard(s.router())
}
