package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// effectRetry is how long the engine waits before it tries an effect again
// that failed for a passing reason, such as a full disk.
const effectRetry = 5 * time.Second

// perform begins an effect; its answer goes to the core as an input. It does
// not wait: the follower goroutine calls it.
func (e *Engine) perform(effect flow.Effect) {
	switch effect := effect.(type) {
	case *flow.Revoke:
		e.workers.revoke(effect.Lease)
	case *flow.TickDue:
		e.background(e.answers, func() { e.tickDue(effect) })
	case *flow.CatchUpDue:
		e.background(e.answers, func() { e.catchUp(effect) })
	case *flow.ArchiveAttempt:
		e.background(e.archives, func() { e.archive(effect.Attempt) })
	case *flow.EvaluateGroup:
		e.background(e.answers, func() { e.evaluateGroup(effect) })
	case *flow.Deliver:
		e.effects.run(func() { e.deliver(effect) })
	}
}

// background runs an effect on one of few slots. Stop waits for it.
func (e *Engine) background(slots chan struct{}, f func()) {
	e.effects.run(func() {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			f()
		case <-e.ctx.Done():
		}
	})
}

// deliver sends an alert. While the engine stops, an unanswered one stays
// pending and is sent after the restart.
func (e *Engine) deliver(d *flow.Deliver) {
	if e.options.Deliver == nil {
		return
	}
	out := e.options.Deliver(e.ctx, d)
	if e.ctx.Err() != nil && out.Why != "" {
		return
	}
	var in flow.Input = &flow.AlertSent{ID: d.ID, Thread: out.Thread}
	if out.Why != "" {
		in = &flow.AlertUndelivered{ID: d.ID, Retry: out.Retry, Why: out.Why}
	}
	if _, err := e.report(context.WithoutCancel(e.ctx), in); err != nil && e.Err() == nil {
		e.log.Error("the answer about an alert was not accepted", "alert", d.ID, "err", err)
	}
}

// archive writes the record of an attempt that is over, and drops it then.
func (e *Engine) archive(id uint64) {
	var record *flow.Record
	e.View(func(s *flow.State) {
		if a := s.Attempt(id); a != nil && a.Done {
			record = a.Record()
		}
	})
	if record == nil {
		return
	}
	err := e.again(func() error {
		if err := e.options.Logs.Pack(id); err != nil {
			return fmt.Errorf("pack the logs of attempt %d: %w", id, err)
		}
		return e.options.History.Put(e.ctx, record)
	})
	if err != nil {
		return
	}
	e.options.Workspaces.Settled(id, record.Succeeded)
	lock := e.sessions.of(record.Session.Project, record.Session.Workflow, record.Session.Time)
	lock.Lock()
	defer lock.Unlock()
	if _, err := e.report(e.ctx, &flow.Archived{Attempt: id}); err != nil && e.ctx.Err() == nil && e.Err() == nil {
		e.log.Error("the archiving of an attempt was not accepted", "attempt", id, "err", err)
	}
}

// again calls f until it succeeds or the engine stops.
func (e *Engine) again(f func() error) error {
	for {
		err := f()
		if err == nil || e.ctx.Err() != nil {
			return err
		}
		e.log.Error("it will be tried again", "err", err, "after", effectRetry)
		select {
		case <-time.After(effectRetry):
		case <-e.ctx.Done():
			return err
		}
	}
}

// scheduled returns the live definition behind a schedule, and the schedule as
// it is.
func (e *Engine) scheduled(id uint64) (w flow.Workflow, sched flow.Schedule, err error) {
	err = errNoDefinition
	e.View(func(s *flow.State) {
		found := s.Schedule(id)
		if found == nil {
			return
		}
		project := *found.Project
		if definition := project.Workflow(found.Workflow); definition != nil {
			w, sched, err = *definition, *found, nil
			w.Project, sched.Project = &project, &project
		}
	})
	return w, sched, err
}

// tickDue gathers what the attempt of a due tick needs, and does so again if
// the workflow was deployed anew meanwhile.
func (e *Engine) tickDue(due *flow.TickDue) {
	for {
		w, _, err := e.scheduled(due.Schedule)
		if err != nil {
			return // removed meanwhile
		}
		if err = e.answerTick(due, &w); errors.Is(err, flow.ErrRedeployed) {
			continue
		}
		if err != nil && !errors.Is(err, flow.ErrStaleTick) && !errors.Is(err, flow.ErrNoSchedule) && e.ctx.Err() == nil && e.Err() == nil {
			e.log.Error("a scheduled run was not accepted", "project", w.Project.Name, "workflow", w.Name, "err", err)
		}
		return
	}
}

func (e *Engine) answerTick(due *flow.TickDue, w *flow.Workflow) error {
	lock := e.sessions.of(w.Project.ID, w.Name, due.Session)
	lock.RLock()
	defer lock.RUnlock()
	in, err := e.tickReady(due, w)
	if err != nil {
		e.log.Error("a scheduled run could not be prepared", "project", w.Project.Name, "workflow", w.Name, "session", due.Session, "err", err)
		_, err = e.report(e.ctx, &flow.TickFailed{Schedule: due.Schedule, Session: due.Session, Why: err.Error()})
		return err
	}
	_, err = e.report(e.ctx, in)
	return err
}

func (e *Engine) tickReady(due *flow.TickDue, w *flow.Workflow) (*flow.TickReady, error) {
	d, err := e.objects.definition(w.Ref)
	if err != nil {
		return nil, err
	}
	if d.Schedule == nil {
		return nil, fmt.Errorf("workflow %s has no schedule any more", w.Name)
	}
	tree, err := e.objects.Tree(d.Tree)
	if err != nil {
		return nil, err
	}
	past, err := e.options.History.Past(e.ctx, w.Project.ID, w.Name, due.Session)
	if err != nil {
		return nil, err
	}
	given := sessionParams(d, due.Session, params.NewMap(3))
	if !due.Executed.IsZero() {
		given.Set("last_executed_session_time", due.Executed.In(d.Zone).Format(timeFormat))
	}
	value, err := e.keepValue(given)
	if err != nil {
		return nil, err
	}
	return &flow.TickReady{
		Schedule: due.Schedule, Session: due.Session, Definition: w.ID, Tree: tree, UUID: uuid.NewString(),
		Params: value, SLA: d.deadline(due.Run), Past: past, Next: tick(d.Schedule.Next(due.Session)),
	}, nil
}

// sessionParams adds the neighbours of a scheduled workflow's session to an
// attempt's parameters (language.md 6). They are data.
func sessionParams(d *Definition, session time.Time, given *params.Map) *params.Map {
	if d.Schedule == nil {
		return given
	}
	if last, ok := d.Schedule.Last(session); ok {
		given.Set("last_session_time", last.Session.In(d.Zone).Format(timeFormat))
	}
	next, ok := d.Schedule.Next(session)
	if !ok {
		next.Session = schedule.Never
	}
	given.Set("next_session_time", next.Session.In(d.Zone).Format(timeFormat))
	return given
}

// catchUp lists the ticks that a schedule has missed.
func (e *Engine) catchUp(due *flow.CatchUpDue) {
	w, _, err := e.scheduled(due.Schedule)
	if err != nil {
		return
	}
	d, err := e.objects.definition(w.Ref)
	if err != nil || d.Schedule == nil {
		e.log.Error("missed runs could not be listed", "project", w.Project.Name, "workflow", w.Name, "err", err)
		return
	}
	in := missed(d, due, e.now())
	if _, err := e.report(e.ctx, in); err != nil && e.ctx.Err() == nil && e.Err() == nil && !errors.Is(err, flow.ErrStaleTick) {
		e.log.Error("missed runs were not accepted", "project", w.Project.Name, "workflow", w.Name, "err", err)
	}
}

// missed lists the ticks from that of a question on which ought to have run
// by now.
func missed(d *Definition, due *flow.CatchUpDue, now time.Time) *flow.TicksMissed {
	from := due.From.Run
	if own, ok := d.Schedule.Last(due.From.Session.Add(time.Second)); ok && own.Session.Equal(due.From.Session) {
		from = own.Run // it may have been put off
	}
	ticks, skipped := d.Schedule.Between(from.Add(-time.Nanosecond), now, due.Limit)
	in := &flow.TicksMissed{
		Schedule: due.Schedule, Skipped: skipped, Next: tick(d.Schedule.First(now.Add(time.Nanosecond))), From: from.In(d.Zone),
	}
	for _, t := range ticks {
		in.Ticks = append(in.Ticks, tick(t, true))
	}
	return in
}

// evaluateGroup evaluates a group's templated `_retry` and `_parallel` (L31).
func (e *Engine) evaluateGroup(g *flow.EvaluateGroup) {
	in, err := e.groupOptions(g)
	if err != nil {
		mask, _ := e.mask(e.ctx, &g.View.Attempt)
		v := flow.Value{Map: failure(maskError(mask, configError(err)), "", g.FullName)}
		in = &flow.GroupEvaluated{Failure: &v}
	}
	in.Attempt, in.Task = g.Attempt, g.Task
	if _, err := e.report(e.ctx, in); err != nil && !errors.Is(err, flow.ErrStaleLease) && e.ctx.Err() == nil && e.Err() == nil {
		e.log.Error("the options of a group were not accepted", "task", g.FullName, "err", err)
	}
}

func (e *Engine) groupOptions(g *flow.EvaluateGroup) (*flow.GroupEvaluated, error) {
	zone, err := dig.Zone(g.View.Attempt.Timezone)
	if err != nil {
		return nil, err
	}
	evaluated, err := e.options.Evaluator.Evaluate(e.ctx, expr.Scope{
		Outer: e.assemble(g.View, g.FullName, zone), Local: g.Node.Options, Zone: zone,
	})
	if err != nil {
		return nil, err
	}
	in := &flow.GroupEvaluated{Parallel: g.Node.Parallel, Retry: g.Node.Retry}
	if g.Node.Options.Has("_retry") {
		raw, _ := evaluated.Lookup("_retry")
		if in.Retry, err = flow.ParseRetry(raw); err != nil {
			return nil, err
		}
	}
	if g.Node.Options.Has("_parallel") {
		raw, _ := evaluated.Lookup("_parallel")
		if in.Parallel, err = flow.ParseParallel(raw); err != nil {
			return nil, err
		}
	}
	return in, nil
}
