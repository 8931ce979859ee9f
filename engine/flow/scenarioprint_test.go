package flow

import (
	"fmt"
	"strings"
	"time"

	"gitdag/engine/params"
)

// clock prints a time without the day on the scenario's first day.
func (s *script) clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	layout := "15:04:05"
	if t.Nanosecond() != 0 {
		layout = "15:04:05.000"
	}
	if t.YearDay() != s.start.YearDay() || t.Year() != s.start.Year() {
		layout = "01-02 " + layout
	}
	return t.Format(layout)
}

// name is a full name, with its attempt unless that is the first.
func (s *script) name(attempt uint64, full string) string {
	if attempt == 1 {
		return full
	}
	return fmt.Sprintf("%d:%s", attempt, full)
}

// printEvent prints an event and folds it into the follower: what it says is
// seen from the state before it.
func (s *script) printEvent(e Event) {
	switch e := e.(type) {
	case *TaskMoved:
		s.printMoved(e)
	case *AttemptStarted:
		s.replica.Apply(e)
		a := &e.Attempt
		more := ""
		if a.RetryName != "" {
			more += " named " + a.RetryName
		}
		if a.CaughtUp {
			more += ", caught up"
		}
		if e.Base == 0 {
			more += ", waits"
		}
		if a.Revision != s.live.revisionOf(a.Project) {
			more += ", of " + a.Revision
		}
		s.printf("attempt %d (no. %d) of %s/%s, session %s%s", a.ID, a.Index, a.ProjectName, a.Workflow, s.clock(e.Session.Time), more)
	case *Backfilled:
		s.replica.Apply(e)
		for i := range e.Sessions {
			a := s.replica.Attempt(e.Attempt.ID + uint64(i))
			s.printf("attempt %d (no. %d) of %s/%s, session %s named %s, waits%s", a.ID, a.Index, a.ProjectName, a.Workflow,
				s.clock(a.Session.Time), a.RetryName, s.after(a))
		}
	case *AttemptBegun:
		s.replica.Apply(e)
		s.printf("attempt %d begins", e.Attempt)
	case *SLAMissed:
		s.replica.Apply(e)
		s.printf("attempt %d is late%s", e.Attempt, s.blocks(e.Attempt, e.Blocks))
	case *AttemptKilled:
		s.replica.Apply(e)
		s.printf("attempt %d killed", e.Attempt)
	case *AttemptSettled:
		s.replica.Apply(e)
		outcome := "failed"
		if e.Success {
			outcome = "succeeded"
		}
		s.printf("attempt %d %s", e.Attempt, outcome)
	case *AttemptArchived:
		s.replica.Apply(e)
		s.printf("attempt %d archived", e.Attempt)
	case *WaitRearmed:
		s.replica.Apply(e)
		full := s.replica.Attempt(e.Attempt).task(e.Task).FullName()
		s.printf("%s now waits until %s", s.name(e.Attempt, full), s.clock(e.Due.time()))
	default:
		s.printOther(e)
	}
}

// after tells which attempt one waits for.
func (s *script) after(a *Attempt) string {
	if a.After == 0 {
		return ""
	}
	return fmt.Sprintf(" for %d", a.After)
}

// revisionOf is the live revision of a project.
func (s *State) revisionOf(project uint64) string {
	if p := s.projects[project]; p != nil {
		return p.Revision
	}
	return ""
}

func (s *script) printOther(e Event) {
	s.replica.Apply(e)
	switch e := e.(type) {
	case *Deployed:
		if e.Manifest.Commit.ID == "" {
			s.printf("%s is empty", e.Manifest.Repo)
			return
		}
		s.printf("deployed %s of %s", e.Manifest.Commit.ID, e.Manifest.Repo)
	case *ScheduleMoved:
		s.printScheduleMoved(e)
	case *AlertRaised:
		s.printf("alert %d: %s", e.ID, s.alert(&e.Alert))
	case *AlertDelayed:
		s.printf("alert %d delayed until %s: %s", e.ID, s.clock(e.Due.time()), e.Why)
	case *AlertClosed:
		if e.Why != "" {
			s.printf("alert %d given up: %s", e.ID, e.Why)
			return
		}
		s.printf("alert %d delivered", e.ID)
	}
}

func (s *script) printScheduleMoved(e *ScheduleMoved) {
	text := fmt.Sprintf("schedule %s: next %s", s.replica.Schedule(e.Schedule).Workflow, s.tick(e.Next))
	if e.Last != 0 {
		text += ", last " + s.clock(e.Last.time())
	}
	if e.Backlog != nil {
		text += fmt.Sprintf(", %d missed ticks to run", len(e.Backlog))
	}
	if e.Tries > 0 {
		text += fmt.Sprintf(", put off %d times", e.Tries)
	}
	if e.Disabled != nil {
		text += map[bool]string{true: ", disabled", false: ", enabled"}[*e.Disabled]
	}
	s.printf("%s", text)
}

func (s *script) tick(t TickFacts) string {
	switch {
	case t.Run.IsZero():
		return "never"
	case t.Run.Equal(t.Session):
		return s.clock(t.Session)
	}
	return s.clock(t.Session) + " at " + s.clock(t.Run)
}

func (s *script) printMoved(e *TaskMoved) {
	t := s.replica.Attempt(e.Attempt).task(e.Task)
	from, retries := t.State(), t.retries
	s.replica.Apply(e)
	text := fmt.Sprintf("%s %v -> %v (%v)", s.name(e.Attempt, t.FullName()), from, e.To, e.By)
	if e.Due != 0 {
		text += " until " + s.clock(e.Due.time())
	}
	if e.Retries != retries && e.Retries > 0 {
		text += fmt.Sprintf(", repetition %d", e.Retries)
	}
	if e.State.Map.Len() > 0 {
		text += ", state " + string(params.AppendJSON(nil, e.State.Map))
	}
	if e.Failure != nil {
		text += ", error " + string(params.AppendJSON(nil, e.Failure.Map))
	}
	if e.Result != nil {
		text += printResult(e.Result)
	}
	text += s.blocks(e.Attempt, e.Blocks)
	if e.Note != "" {
		text += ", " + e.Note
	}
	s.printf("%s", text)
}

func printResult(r *Result) string {
	text := ""
	if len(r.Reset) > 0 {
		text += ", reset " + strings.Join(r.Reset, " ")
	}
	if r.Store.Map.Len() > 0 {
		text += ", store " + string(params.AppendJSON(nil, r.Store.Map))
	}
	if r.Export.Map.Len() > 0 {
		text += ", export " + string(params.AppendJSON(nil, r.Export.Map))
	}
	return text
}

// blocks names the tasks that an event added, which the follower has by now.
func (s *script) blocks(attempt uint64, list []Insert) string {
	text := ""
	for i := range list {
		for _, b := range s.replica.Attempt(attempt).blocks {
			if b.Base != list[i].Base {
				continue
			}
			names := make([]string, len(b.tasks))
			for j := range b.tasks {
				names[j] = b.tasks[j].Node().Name
			}
			text += fmt.Sprintf(", adds %s %s", b.Kind, strings.Join(names, " "))
		}
	}
	return text
}

func (s *script) alert(a *Alert) string {
	text := a.Kind
	if a.Project != "" {
		text += " " + a.Project
		if a.Workflow != "" {
			text += "/" + a.Workflow
		}
	}
	for _, part := range []string{a.Task, a.Message, strings.Join(a.Details, "; ")} {
		if part != "" {
			text += ", " + part
		}
	}
	if a.Failures > 0 {
		text += fmt.Sprintf(", failed %d times since %s", a.Failures, s.clock(a.Since))
	}
	return text
}

func (s *script) printEffect(e Effect) {
	switch e := e.(type) {
	case *Dispatch:
		text := fmt.Sprintf("! run %s execution %d", s.name(e.Lease.Attempt, e.FullName), e.Lease.Execution)
		if e.Lease.Poll > 0 {
			text += fmt.Sprintf(" (poll %d)", e.Lease.Poll)
		}
		if e.State.Len() > 0 {
			text += " with state " + string(params.AppendJSON(nil, e.State))
		}
		if !e.Deadline.IsZero() {
			text += " until " + s.clock(e.Deadline)
		}
		s.printf("%s", text)
	case *Revoke:
		full := s.live.Attempt(e.Lease.Attempt).task(e.Lease.Task).FullName()
		s.printf("! end %s execution %d", s.name(e.Lease.Attempt, full), e.Lease.Execution)
	case *EvaluateGroup:
		s.printf("! evaluate the options of %s", s.name(e.Attempt, e.FullName))
	case *TickDue:
		s.printf("! start %s for %s", s.live.Schedule(e.Schedule).Workflow, s.tick(TickFacts{e.Session, e.Run}))
	case *CatchUpDue:
		s.printf("! list the ticks that %s missed from %s on, %d at most", s.live.Schedule(e.Schedule).Workflow, s.tick(e.From), e.Limit)
	case *ArchiveAttempt:
		s.printf("! archive attempt %d", e.Attempt)
	case *Deliver:
		s.printf("! deliver alert %d, try %d%s", e.ID, e.Tries+1, inThread(e.Thread))
	}
}

func inThread(t Thread) string {
	if t == (Thread{}) {
		return ""
	}
	return ", below " + t.Channel + "/" + t.TS
}
