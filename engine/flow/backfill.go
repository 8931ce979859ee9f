package flow

import (
	"errors"
	"fmt"
	"time"
)

// MaxBackfill is how many attempts one backfill adds at most: they are one event,
// which has to fit into one batch of the journal.
const MaxBackfill = 1000

// ErrRedeployed refuses an input that was prepared for a definition which is
// not live any more.
var ErrRedeployed = errors.New("the workflow was deployed anew meanwhile")

// BackfillTime is one session of a backfill.
type BackfillTime struct {
	Session time.Time
	// UUID is used if the session is new.
	UUID   string
	Params Value
	// Past is what the history knows of the session.
	Past *Past
}

// SessionExists is the error of a backfill one of whose sessions has an attempt
// of its name.
type SessionExists struct {
	Project  uint64
	Workflow string
	Session  time.Time
	Name     string
	Attempt  uint64
}

func (e *SessionExists) Error() string {
	return fmt.Sprintf("Attempt of project id=%d workflow=%s instant=%s attempt name=%s already exists",
		e.Project, e.Workflow, e.Session.UTC().Format(time.RFC3339), e.Name)
}

// backfill adds an attempt for each of the given times, to run one after
// another (language.md 7.6).
func (st *step) backfill(in *Backfill) error {
	sched, w, err := st.s.scheduled(in.Schedule, in.Definition)
	if err != nil {
		return err
	}
	for i := range in.Times {
		t := &in.Times[i]
		var taken *Conflict
		if errors.As(st.s.conflict(w, t.Session, in.Name, t.Past), &taken) {
			return &SessionExists{sched.Project.ID, w.Name, t.Session, in.Name, taken.Attempt}
		}
	}
	if in.DryRun || len(in.Times) == 0 {
		return nil
	}
	if err := st.s.admit(len(in.Times), len(in.Tree.Nodes)); err != nil {
		return err
	}
	facts := st.s.facts(w)
	facts.ID, facts.RetryName = st.s.last.Attempt+1, in.Name
	e := &Backfilled{At: st.now, Attempt: facts, Tree: in.Tree}
	session := st.s.last.Session
	for i := range in.Times {
		t := &in.Times[i]
		x, index := st.s.sessionFor(w, &Start{Session: t.Session, UUID: t.UUID, Past: t.Past}, session+1)
		session = max(session, x.ID)
		e.Sessions = append(e.Sessions, BackfilledSession{Session: x, Index: index, Params: t.Params})
	}
	st.emit(e)
	for i := range in.Times {
		st.out.Attempts = append(st.out.Attempts, facts.ID+uint64(i))
	}
	st.queued(st.s.attempts[facts.ID])
	return nil
}

// scheduled returns a schedule and the definition that is live for it. Where
// definition is not 0, it has to be that one.
func (s *State) scheduled(id, definition uint64) (*Schedule, *Workflow, error) {
	sched := s.schedule[id]
	if sched == nil {
		return nil, nil, ErrNoSchedule
	}
	w := sched.Project.Workflow(sched.Workflow)
	if w == nil || definition != 0 && w.ID != definition {
		return nil, nil, ErrRedeployed
	}
	return sched, w, nil
}

func (s *State) applyBackfilled(e *Backfilled) {
	for i := range e.Sessions {
		b := &e.Sessions[i]
		facts, after := e.Attempt, uint64(0)
		facts.ID += uint64(i)
		facts.Index, facts.Params = b.Index, b.Params
		if i > 0 {
			after = facts.ID - 1
		}
		s.add(&AttemptStarted{At: e.At, Session: b.Session, Attempt: facts, Tree: e.Tree}, after)
	}
}
