package api

import (
	"cmp"
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
	// ErrForbidden is for what is not allowed here, whoever asks.
	ErrForbidden = errors.New("not allowed")
	// ErrNoSecretStore is for a secret that cannot be kept, as there is no key to
	// encrypt it with. What wraps it names the setting.
	ErrNoSecretStore = errors.New("no key for secrets is configured")
)

// Invalid is the error for what can never be done as it is asked for, and says
// why.
type Invalid struct{ Reason error }

func (e *Invalid) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *Invalid) Unwrap() error { return e.Reason }

// Conflicting is the error for what what there is already does not allow, and
// says why.
type Conflicting struct{ Reason error }

func (e *Conflicting) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *Conflicting) Unwrap() error { return e.Reason }

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

// Schedules changes the timers of workflows. What it returns is durable. The
// error for a schedule that is unknown is [ErrNotFound], that for a time which
// is past is [Conflicting].
type Schedules interface {
	Backfill(ctx context.Context, b Backfill) (Backfilled, error)
	// Skip answers with the tick that comes next.
	Skip(ctx context.Context, s Skip) (flow.TickFacts, error)
	SetSchedule(ctx context.Context, s SetSchedule) error
}

// Backfill asks for attempts, of one retry name, of the ticks of a schedule
// that are past: those at or after From, the first Count of them if that is
// set.
type Backfill struct {
	Schedule uint64
	From     time.Time
	Name     string
	Count    *int
	DryRun   bool
	// Params are templates.
	Params *params.Map
}

// Backfilled are the session times of a backfill and their attempts, each 0
// for a dry run.
type Backfilled struct {
	Sessions []time.Time
	Attempts []uint64
}

// Skip moves a schedule on: to the first tick at or after To, or if that is
// zero, Count ticks on from the first one at or after From. Run, if not zero,
// is when that tick runs instead of at its own time.
type Skip struct {
	Schedule uint64
	To       time.Time
	From     time.Time
	Count    int
	Run      time.Time
	DryRun   bool
}

// SetSchedule disables a schedule or enables it. SkipTo, where set, moves one
// that is enabled on, as To of [Skip] does, in the same step.
type SetSchedule struct {
	Schedule uint64
	Disabled bool
	SkipTo   *time.Time
}

// Projects takes in what is pushed and gives it back. The error for a project
// or a revision that is unknown is [ErrNotFound], that for an archive that is
// no good is [Invalid], that for a name which is taken is [Conflicting].
type Projects interface {
	// Push returns once the revision is live and durable.
	Push(ctx context.Context, p Push) error
	Delete(ctx context.Context, project uint64) error
	// Archive opens a revision as tar.gz; "" is the live one. The size is -1 if
	// it is not known before the end.
	Archive(ctx context.Context, project uint64, revision string) (body io.ReadCloser, size int64, err error)
}

// Push is a revision of a project to be. The archive is read to its end, and
// fails before it exceeds the limit.
type Push struct {
	Project, Revision string
	// ScheduleFrom is when new and changed schedules begin; zero for now.
	ScheduleFrom time.Time
	// Archive is a tar.gz.
	Archive io.Reader
	// UserInfo is a JSON object that tells who pushes.
	UserInfo string
}

// Secrets are the secrets of projects. The error of Set is [ErrNoSecretStore]
// where there is no key for them; then there are none, and Delete succeeds.
type Secrets interface {
	// Keys returns the keys in order.
	Keys(project uint64) ([]string, error)
	Set(project uint64, key, value string) error
	// Delete also succeeds for a key that there is not.
	Delete(project uint64, key string) error
}

// Authenticator tells who asks. An error is [Unauthorized], or
// [ErrUnavailable] if it cannot tell at the moment. It takes a time that tells
// nothing about what it compares with.
type Authenticator interface {
	Authenticate(r *http.Request) (Identity, error)
}

// Identity is who asks; the zero value where everybody may.
type Identity struct {
	Name string
	// UserInfo is a JSON object that is kept with what is pushed; "" for {}.
	UserInfo string
	// Admin tells that the administrator's routes are open, see [NewAdmin].
	Admin bool
}

// Unauthorized is the error for credentials that are missing or wrong.
type Unauthorized struct {
	Message string
	// Challenges are what the answer has as `WWW-Authenticate`, as in `Basic
	// realm="gitdag"`.
	Challenges []string
}

func (e *Unauthorized) Error() string { return e.Message }

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
	// Schedules, Projects and Secrets are nil where they cannot be changed.
	Schedules Schedules
	Projects  Projects
	Secrets   Secrets
	// Version is that of the agent.
	Version string
	// Floor is what is told of the versions of clients.
	VersionFloor VersionFloor
	// Auth tells who asks; nil lets everybody in.
	Auth Authenticator
	// Headers are added to each answer below /api/.
	Headers http.Header
	// Pages bounds the pages of lists.
	PageLimit PageLimit
	// ArchiveLimit bounds the bytes of an archive that is pushed; 0 means 2 MiB.
	ArchiveLimit int64
	// Swagger tells to serve the document of the API under Digdag's path too.
	Swagger bool
	// Webhooks answers what is below /webhooks/; nil for nothing.
	Webhooks http.Handler
	// Log gets a line for each request that fails for a reason of ours.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// PageLimit bounds what a page may be asked to hold; 0 means 100.
type PageLimit struct{ Sessions, Attempts int }

// VersionFloor holds the versions of Digdag's clients below which one is told
// to upgrade, or refused; "" for none.
type VersionFloor struct{ Recommend, Require string }

// server answers requests.
type server struct {
	Options
	admin     bool
	started   time.Time
	described func() *document
	zones     sync.Map // of *time.Location by name
	packers   packers
}

// New returns the handler of all routes but those of [NewAdmin].
func New(o Options) http.Handler { return build(o, false) }

// NewAdmin returns the handler of all routes and of those below /api/admin/,
// which only an administrator may ask.
func NewAdmin(o Options) http.Handler { return build(o, true) }

func build(o Options, admin bool) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.PageLimit.Sessions = cmp.Or(o.PageLimit.Sessions, pageSize)
	o.PageLimit.Attempts = cmp.Or(o.PageLimit.Attempts, pageSize)
	o.ArchiveLimit = cmp.Or(o.ArchiveLimit, 2<<20)
	s := &server{Options: o, admin: admin, started: o.Now()}
	s.described = sync.OnceValue(s.document)
	return s.guard(s.router())
}
