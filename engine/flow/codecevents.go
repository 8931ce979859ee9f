package flow

import (
	"fmt"
	"slices"
	"time"
)

// wireOf returns the encoded form of every event but TaskMoved.
func wireOf(e Event) (*wireEvent, error) {
	switch e := e.(type) {
	case *AttemptStarted:
		return &wireEvent{
			Kind: "started", At: int64(e.At), Session: &e.Session, Facts: factsOf(&e.Attempt),
			Tree: treeRefOf(e.Tree), Base: e.Base,
		}, nil
	case *Backfilled:
		return backfilledOf(e), nil
	case *AttemptBegun:
		return &wireEvent{Kind: "begun", At: int64(e.At), Attempt: e.Attempt, Base: e.Base}, nil
	case *SLAMissed:
		return &wireEvent{Kind: "sla_missed", At: int64(e.At), Attempt: e.Attempt, Blocks: insertsOf(e.Blocks)}, nil
	case *WaitRearmed:
		return &wireEvent{Kind: "rearmed", Attempt: e.Attempt, Task: e.Task, Due: int64(e.Due)}, nil
	case *AttemptKilled:
		return &wireEvent{Kind: "killed", At: int64(e.At), Attempt: e.Attempt}, nil
	case *AttemptSettled:
		return &wireEvent{Kind: "settled", At: int64(e.At), Attempt: e.Attempt, Success: e.Success}, nil
	case *AttemptArchived:
		return &wireEvent{Kind: "archived", Attempt: e.Attempt}, nil
	case *Deployed:
		if e.Manifest.Ref == "" {
			return nil, fmt.Errorf("encode event: the manifest has no name")
		}
		return &wireEvent{
			Kind: "deployed", At: int64(e.At), Manifest: e.Manifest.Ref,
			IDs: []uint64{e.Projects, e.Workflows, e.Schedules, e.Revisions},
		}, nil
	case *ScheduleMoved:
		return &wireEvent{
			Kind: "scheduled", At: int64(e.At), Schedule: e.Schedule, Last: int64(e.Last),
			Next: tickOf(e.Next), Backlog: ticksOf(e.Backlog), Tries: e.Tries, Disabled: e.Disabled,
		}, nil
	}
	return wireAlert(e), nil
}

// wireAlert is wireOf for the events of alerts.
func wireAlert(e Event) *wireEvent {
	switch e := e.(type) {
	case *AlertRaised:
		return &wireEvent{Kind: "alert", At: int64(e.At), ID: e.ID, Alert: &e.Alert}
	case *AlertDelayed:
		return &wireEvent{Kind: "alert_delayed", ID: e.ID, Due: int64(e.Due), Why: e.Why}
	case *AlertClosed:
		w := &wireEvent{Kind: "alert_closed", At: int64(e.At), ID: e.ID, Why: e.Why}
		if e.Thread != (Thread{}) {
			w.Thread = &e.Thread
		}
		return w
	}
	panic(fmt.Sprintf("flow: event %T", e))
}

// event returns what the encoded form stands for.
func (w *wireEvent) event(objects Objects) (Event, error) {
	switch w.Kind {
	case "moved":
		return w.moved(objects)
	case "started":
		return w.started(objects)
	case "backfilled":
		return w.backfilled(objects)
	case "begun":
		return &AttemptBegun{At: stamp(w.At), Attempt: w.Attempt, Base: w.Base}, nil
	case "sla_missed":
		blocks, err := inserts(w.Blocks, objects)
		return &SLAMissed{At: stamp(w.At), Attempt: w.Attempt, Blocks: blocks}, err
	case "rearmed":
		return &WaitRearmed{Attempt: w.Attempt, Task: w.Task, Due: stamp(w.Due)}, nil
	case "killed":
		return &AttemptKilled{At: stamp(w.At), Attempt: w.Attempt}, nil
	case "settled":
		return &AttemptSettled{At: stamp(w.At), Attempt: w.Attempt, Success: w.Success}, nil
	case "archived":
		return &AttemptArchived{Attempt: w.Attempt}, nil
	case "deployed":
		return w.deployed(objects)
	case "scheduled":
		return &ScheduleMoved{
			At: stamp(w.At), Schedule: w.Schedule, Last: stamp(w.Last),
			Next: w.Next.tick(), Backlog: w.backlog(), Tries: w.Tries, Disabled: w.Disabled,
		}, nil
	}
	return w.alertEvent()
}

func (w *wireEvent) alertEvent() (Event, error) {
	switch w.Kind {
	case "alert":
		if w.Alert == nil {
			return nil, fmt.Errorf("without an alert")
		}
		return &AlertRaised{ID: w.ID, At: stamp(w.At), Alert: *w.Alert}, nil
	case "alert_delayed":
		return &AlertDelayed{ID: w.ID, Due: stamp(w.Due), Why: w.Why}, nil
	case "alert_closed":
		e := &AlertClosed{ID: w.ID, At: stamp(w.At), Why: w.Why}
		if w.Thread != nil {
			e.Thread = *w.Thread
		}
		return e, nil
	}
	return nil, fmt.Errorf("this version does not know it")
}

func (w *wireEvent) moved(objects Objects) (Event, error) {
	by, to := slices.Index(triggerNames[1:], w.By)+1, slices.Index(stateNames[:], w.To)
	if by == 0 || to < 0 {
		return nil, fmt.Errorf("trigger %q to state %q is not known", w.By, w.To)
	}
	e := &TaskMoved{
		At: stamp(w.At), Attempt: w.Attempt, Task: w.Task, By: Trigger(by), To: TaskState(to),
		Due: stamp(w.Due), Retries: w.Retries, Note: w.Note,
	}
	var err error
	if e.State, err = w.State.value(objects); err != nil {
		return nil, err
	}
	if e.Result, err = w.Result.result(objects); err != nil {
		return nil, err
	}
	if w.Retry != nil {
		r := w.Retry.retry()
		e.Retry = &r
	}
	if w.Parallel != nil {
		p := w.Parallel.parallel()
		e.Parallel = &p
	}
	if w.Failure != nil {
		v, err := w.Failure.value(objects)
		if err != nil {
			return nil, err
		}
		e.Failure = &v
	}
	e.Blocks, err = inserts(w.Blocks, objects)
	return e, err
}

func (w *wireEvent) started(objects Objects) (Event, error) {
	if w.Session == nil || w.Facts == nil || w.Tree == nil {
		return nil, fmt.Errorf("without its session, attempt or tree")
	}
	tree, err := w.Tree.tree(objects)
	if err != nil {
		return nil, err
	}
	facts, err := w.Facts.facts(objects)
	return &AttemptStarted{At: stamp(w.At), Session: *w.Session, Attempt: facts, Tree: tree, Base: w.Base}, err
}

func (w *wireEvent) deployed(objects Objects) (Event, error) {
	if len(w.IDs) == 3 { // from when revisions had none
		w.IDs = append(w.IDs, 0)
	}
	if len(w.IDs) != 4 {
		return nil, fmt.Errorf("without its four first ids")
	}
	m, err := objects.Manifest(w.Manifest)
	return &Deployed{
		At: stamp(w.At), Manifest: m, Projects: w.IDs[0], Workflows: w.IDs[1], Schedules: w.IDs[2], Revisions: w.IDs[3],
	}, err
}

func backfilledOf(e *Backfilled) *wireEvent {
	w := &wireEvent{Kind: "backfilled", At: int64(e.At), Facts: factsOf(&e.Attempt), Tree: treeRefOf(e.Tree)}
	for i := range e.Sessions {
		b := &e.Sessions[i]
		w.Sessions = append(w.Sessions, wireBackfilled{
			ID: b.Session.ID, UUID: b.Session.UUID, Time: b.Session.Time.Unix(), Index: b.Index, Params: valueOf(b.Params),
		})
	}
	return w
}

func (w *wireEvent) backfilled(objects Objects) (Event, error) {
	if w.Facts == nil || w.Tree == nil || len(w.Sessions) == 0 {
		return nil, fmt.Errorf("without its attempt, tree or sessions")
	}
	tree, err := w.Tree.tree(objects)
	if err != nil {
		return nil, err
	}
	e := &Backfilled{At: stamp(w.At), Tree: tree}
	if e.Attempt, err = w.Facts.facts(objects); err != nil {
		return nil, err
	}
	for i := range w.Sessions {
		b := &w.Sessions[i]
		value, err := b.Params.value(objects)
		if err != nil {
			return nil, err
		}
		x := SessionFacts{ID: b.ID, UUID: b.UUID, Project: e.Attempt.Project, Workflow: e.Attempt.Workflow, Time: time.Unix(b.Time, 0).UTC()}
		e.Sessions = append(e.Sessions, BackfilledSession{Session: x, Index: b.Index, Params: value})
	}
	return e, nil
}
