package flow

import (
	"iter"
	"slices"
	"sort"
	"time"

	"gitdag/engine/params"
)

// Config holds what Step decides by and no event records: the limits of this
// agent. It may change while the state lives.
type Config struct {
	// Slots bounds the tasks that run at a time; 0 means no bound.
	Slots int
	// TasksPerAttempt bounds the rows of one attempt; 0 means 100,000.
	TasksPerAttempt int
	// CatchUpLimit bounds the missed ticks that run after a downtime; 0 means
	// 100.
	CatchUpLimit int
	// TaskTTL bounds the running time of an execution whose task has no
	// `_timeout`; 0 means no bound.
	TaskTTL time.Duration
	// LiveAttempts bounds the attempts that run; more wait for their turn. 0
	// means 10,000.
	LiveAttempts int
	// MaxAttempts bounds those that are not over, waiting ones too: more are
	// refused, and a schedule tries again later, as in Digdag. 0 means no bound.
	MaxAttempts int
	// AttemptTTL bounds the time that an attempt runs; 0 means no bound.
	AttemptTTL time.Duration
	// NoSchedules lets no tick start, NoTasks hands out no task. Draining does
	// both (Q16, Q39).
	NoSchedules, NoTasks, Draining bool
}

// idle tells that no tick is to start.
func (c *Config) idle() bool { return c.NoSchedules || c.Draining }

// State is everything that the engine knows of live work. The zero value is
// not ready; see [New]. It is not safe for concurrent use.
type State struct {
	config Config

	last     Counters
	repos    map[string]*Repo
	projects map[uint64]*Project
	schedule map[uint64]*Schedule
	sessions map[uint64]*Session
	attempts map[uint64]*Attempt
	alerts   map[uint64]*Pending
	health   map[workflowKey]*Health

	deleted map[uint64]*Project
	graves  []*Project // the deleted ones, in the order in which they were

	bySession   map[sessionKey]*Session
	byProject   map[string]*Project
	definitions map[uint64]*Workflow // of live projects and deleted ones
	ofAttempts  ordered[*Attempt]
	ofSessions  ordered[*Session]
	counts

	// What follows is worked out from the rest and is not part of the state's
	// value: when something falls due, what is ready and in which order the
	// attempts take turns, how many tasks run.
	timers  timers
	turns   []*Attempt
	queue   []uint64 // attempts that wait for nothing but room, oldest first
	running int
	// awaiting holds the tasks, with their attempts, that the end of an attempt
	// wakes.
	awaiting map[uint64]map[uint64]*Attempt
	seenAt   stamp // time of the last Step
}

// Counters are the last ids given out, one a kind.
type Counters struct {
	Project, Workflow, Schedule, Session, Attempt, Task, Alert uint64

	Revision uint64 `json:",omitempty"`
}

type workflowKey struct {
	project uint64
	name    string
}

type sessionKey struct {
	workflowKey
	second int64
}

// New returns an empty state.
func New(config Config) *State {
	return &State{
		config:      config,
		repos:       map[string]*Repo{},
		projects:    map[uint64]*Project{},
		schedule:    map[uint64]*Schedule{},
		sessions:    map[uint64]*Session{},
		attempts:    map[uint64]*Attempt{},
		alerts:      map[uint64]*Pending{},
		health:      map[workflowKey]*Health{},
		deleted:     map[uint64]*Project{},
		bySession:   map[sessionKey]*Session{},
		byProject:   map[string]*Project{},
		definitions: map[uint64]*Workflow{},
		counts:      newCounts(),
		awaiting:    map[uint64]map[uint64]*Attempt{},
	}
}

// Commit is what is known of the commit that made a revision.
type Commit struct {
	ID      string
	Author  string
	Email   string
	Subject string
	Time    time.Time
}

// Repo is a source of projects and what it last deployed.
type Repo struct {
	Name     string
	Scope    string // what the source says it has read: opaque here
	Commit   Commit
	At       time.Time
	Rejected []Rejection
	// Failing is the alert state of the repository's syncs.
	Failing bool
}

// Rejection is a project that a commit could not deploy.
type Rejection struct {
	Project string
	Path    string
	Commit  Commit
	Since   time.Time
	Reasons []string // one line a diagnostic: file:line:col: message
}

// Project is a project with its live revision, or as it was when it was
// deleted.
type Project struct {
	ID        uint64
	Name      string
	Repo      string
	Path      string // below the repository's root
	Tree      string // hash of the project's content
	Checkout  string // name of the directory that holds it
	Revision  string
	Commit    Commit
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt time.Time   // zero while it is live
	Workflows []*Workflow // by name

	revisions []*Revision // newest first
	schedules map[string]*Schedule
}

// Workflow is a workflow definition: one file of one revision.
type Workflow struct {
	ID       uint64
	Project  *Project
	Name     string
	Revision string
	Timezone string
	Ref      string // the object that holds the compiled definition
	Tasks    int

	revision *Revision
}

// Schedule is the timer of a workflow's name in a project.
type Schedule struct {
	ID       uint64
	Project  *Project
	Workflow string
	Timezone string
	Hash     string // of the definition; a changed one starts anew (L46)
	CatchUp  CatchUp
	// SkipOvertime and SkipDelay drop ticks; see [ManifestSchedule].
	SkipOvertime bool
	SkipDelay    time.Duration

	Next      TickFacts
	Last      time.Time // session of the last tick that was started
	Backlog   []TickFacts
	CreatedAt time.Time
	UpdatedAt time.Time
	Disabled  time.Time // since when; zero if enabled
	// Tries is how often the due tick was put off.
	Tries int

	// asked is the question about the due tick whose answer is awaited, and
	// missed tells that it fell due while nothing ran. Neither is part of the
	// value.
	asked  Effect
	missed bool
	// catching is the attempt that runs for a missed tick; 0 for none.
	catching uint64
}

// CatchUp is what happens to ticks missed while the agent was down (L45).
type CatchUp uint8

// The policies.
const (
	CatchUpAll CatchUp = iota
	CatchUpLast
	CatchUpNone
)

// TickFacts is a session time and the time at which it is due. The zero value
// means that there is none.
type TickFacts struct{ Session, Run time.Time }

// Session is a workflow's run for one time, as long as it has an attempt that
// has not been archived.
type Session struct {
	SessionFacts
	attempts []*Attempt
}

// SessionFacts name a session.
type SessionFacts struct {
	ID       uint64
	UUID     string
	Project  uint64
	Workflow string
	Time     time.Time
}

// Attempt is one run of a session.
type Attempt struct {
	AttemptFacts
	Session *Session

	CreatedAt  time.Time
	FinishedAt time.Time
	Killed     bool
	Done       bool
	Succeeded  bool
	SLAMissed  bool
	// Waiting tells that the attempt has yet to begin: it has no tasks. After is
	// the attempt that has to be over first; 0 if it waits for room only.
	Waiting bool
	After   uint64

	tree   *Tree // of an attempt that waits
	blocks []*Block
	size   int      // tasks in blocks
	ready  []uint64 // tasks that can be leased, in the order in which they became ready
	queued bool     // stands in State.turns
	// restoring tells that the rows come from a snapshot: nothing is to be
	// taken over from another attempt once more.
	restoring bool
}

// AttemptFacts are what an attempt is started with.
type AttemptFacts struct {
	ID          uint64
	Index       int // within the session, from 1
	RetryName   string
	Project     uint64
	ProjectName string
	Workflow    string
	Definition  uint64
	// Ref is the object that holds the definition; empty in what older versions
	// wrote.
	Ref      string `json:",omitempty"`
	Revision string
	Commit   Commit
	Checkout string
	Timezone string
	Params   Value
	// Resume holds what is taken over from another attempt, by full name; see
	// [ResumeFailed].
	Resume Value
	// SLA is the deadline; zero for none.
	SLA SLA
	// Scheduled tells that a schedule started it, and CaughtUp that it did so
	// for a tick missed in a downtime.
	Scheduled uint64
	CaughtUp  bool
}

// SLA is an attempt's deadline and what happens when it passes
// (language.md 8.2).
type SLA struct {
	At    time.Time
	Alert bool
	Fail  bool
	Tree  *Tree // "^sla", for what else the block contains; nil for nothing
}

// Health is what is known of a workflow that fails.
type Health struct {
	Failures int
	Since    time.Time
	// Revision ran when it failed first.
	Revision string
	Thread   Thread
}

// Thread is where the messages of an incident stand.
type Thread struct{ Channel, TS string }

// RootTask returns the attempt's root task; nil for one that has not begun.
func (a *Attempt) RootTask() *Task { return a.root() }

// Tasks calls yield for each task of the attempt in the order of their ids,
// until it returns false.
func (a *Attempt) Tasks(yield func(*Task) bool) {
	for _, b := range a.blocks {
		for i := range b.tasks {
			if !yield(&b.tasks[i]) {
				return
			}
		}
	}
}

// Task returns the attempt's task of an id; nil if there is none.
func (a *Attempt) Task(id uint64) *Task { return a.task(id) }

// Size returns the number of the attempt's tasks.
func (a *Attempt) Size() int { return a.size }

// Attempt returns a live attempt; nil if there is none of that id.
func (s *State) Attempt(id uint64) *Attempt { return s.attempts[id] }

// Attempts returns the live attempts in the order of their ids.
func (s *State) Attempts() []*Attempt { return slices.Clone(s.ofAttempts) }

// AttemptsBefore yields the live attempts with ids below another one, the
// newest first; 0 begins with the newest of all. It costs what it yields.
func (s *State) AttemptsBefore(id uint64) iter.Seq[*Attempt] { return s.ofAttempts.before(id) }

// Active returns how many attempts are not over.
func (s *State) Active() int { return s.active }

// Session returns a live session; nil if there is none of that id.
func (s *State) Session(id uint64) *Session { return s.sessions[id] }

// Sessions returns the live sessions in the order of their ids.
func (s *State) Sessions() []*Session { return slices.Clone(s.ofSessions) }

// SessionsBefore is [State.AttemptsBefore] for sessions.
func (s *State) SessionsBefore(id uint64) iter.Seq[*Session] { return s.ofSessions.before(id) }

// Attempts returns the session's attempts that have not been archived, oldest
// first.
func (x *Session) Attempts() []*Attempt { return x.attempts }

// Project returns a live project; nil if there is none of that id.
func (s *State) Project(id uint64) *Project { return s.projects[id] }

// ProjectNamed returns the live project of a name; nil if there is none.
func (s *State) ProjectNamed(name string) *Project { return s.byProject[name] }

// Projects returns the live projects in the order of their ids.
func (s *State) Projects() []*Project {
	return sorted(s.projects, func(p *Project) uint64 { return p.ID })
}

// Workflow returns a live workflow definition; nil if there is none of that id.
func (s *State) Workflow(id uint64) *Workflow {
	if w := s.definitions[id]; w != nil && w.isLive() {
		return w
	}
	return nil
}

// Schedule returns a schedule; nil if there is none of that id.
func (s *State) Schedule(id uint64) *Schedule { return s.schedule[id] }

// Schedules returns the schedules in the order of their ids.
func (s *State) Schedules() []*Schedule {
	return sorted(s.schedule, func(x *Schedule) uint64 { return x.ID })
}

// Repos returns the sources in the order of their names.
func (s *State) Repos() []*Repo {
	list := make([]*Repo, 0, len(s.repos))
	for _, r := range s.repos {
		list = append(list, r)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Health returns what is known of the failures of a workflow; the zero value
// for one that does not fail.
func (s *State) Health(project uint64, workflow string) Health {
	if h := s.health[workflowKey{project, workflow}]; h != nil {
		return *h
	}
	return Health{}
}

// Alerts returns the alerts that are not delivered yet, oldest first.
func (s *State) Alerts() []*Pending {
	return sorted(s.alerts, func(p *Pending) uint64 { return p.ID })
}

// Running returns how many tasks run; to their owner, polled ones too.
func (s *State) Running() int { return s.running }

// Last returns the last ids given out.
func (s *State) Last() Counters { return s.last }

// Workflow returns the project's workflow of a name; nil if there is none.
func (p *Project) Workflow(name string) *Workflow { return workflowNamed(p.Workflows, name) }

func workflowNamed(list []*Workflow, name string) *Workflow {
	i := sort.Search(len(list), func(i int) bool { return list[i].Name >= name })
	if i < len(list) && list[i].Name == name {
		return list[i]
	}
	return nil
}

// Schedule returns the project's schedule of a workflow; nil if there is none.
func (p *Project) Schedule(workflow string) *Schedule { return p.schedules[workflow] }

func sorted[T any](m map[uint64]T, id func(T) uint64) []T {
	list := make([]T, 0, len(m))
	for _, v := range m {
		list = append(list, v)
	}
	sort.Slice(list, func(i, j int) bool { return id(list[i]) < id(list[j]) })
	return list
}

func stampOf(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	return stamp(t.UnixMilli())
}

func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(s)).UTC()
}

// find returns an attempt and its task.
func (s *State) find(attempt, task uint64) (*Attempt, *Task) {
	a := s.attempts[attempt]
	if a == nil {
		return nil, nil
	}
	return a, a.task(task)
}

// mergeErrors adds the error objects of a task's descendants to those of its
// parent: later ones win (language.md 4.5).
func mergeErrors(into, from *params.Map) *params.Map {
	if from == nil {
		return into
	}
	if into == nil {
		return from
	}
	return params.Merge(into, from)
}
