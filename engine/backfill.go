package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// Backfill asks for attempts, named Name, of the ticks of a schedule that are
// past: from the first one whose run time is at or after From to the one before
// the schedule's next, of which the first Count if that is set. One backfill
// adds at most [flow.MaxBackfill].
type Backfill struct {
	Schedule uint64
	From     time.Time
	Name     string
	Count    *int
	DryRun   bool
	// Params are templates, below every `_export`.
	Params *params.Map
}

// Backfilled are the session times of a backfill and their attempts, each 0 for
// a dry run.
type Backfilled struct {
	Sessions []time.Time
	Attempts []uint64
}

// Backfill adds the attempts of past ticks, which run one after another, each
// when the one before it is over in whatever way (language.md 7.6). It returns
// once they are durable. The errors are [ErrNotFound] for an unknown schedule,
// [*flow.SessionExists] where a session has an attempt of the name, an
// [*InvalidError] for what cannot be asked for, and [*flow.TooManyAttempts].
func (e *Engine) Backfill(ctx context.Context, b Backfill) (Backfilled, error) {
	if b.Name == "" {
		return Backfilled{}, invalidf("a backfill needs a name for its attempts")
	}
	var out Backfilled
	err := e.reschedule(b.Schedule, func(w *flow.Workflow, d *Definition, now *flow.Schedule) (err error) {
		if out.Sessions, err = b.sessions(d.Schedule, now.Upcoming()); err != nil {
			return err
		}
		out.Attempts, err = e.backfill(ctx, &b, w, d, out.Sessions)
		return err
	})
	if err != nil {
		return Backfilled{}, err
	}
	return out, nil
}

// sessions lists the ticks that b means, before the schedule's next one.
func (b *Backfill) sessions(x *schedule.Schedule, next flow.TickFacts) ([]time.Time, error) {
	want := flow.MaxBackfill + 1
	if b.Count != nil {
		want = min(want, max(*b.Count, 0))
	}
	var list []time.Time
	for t, ok := x.First(b.From); ok && len(list) < want; t, ok = x.Next(t.Session) {
		if !next.Run.IsZero() && !t.Session.Before(next.Session) {
			break
		}
		list = append(list, t.Session.UTC())
	}
	switch {
	case len(list) > flow.MaxBackfill:
		return nil, invalidf("a backfill starts at most %d attempts: give a smaller count, and go on from there", flow.MaxBackfill)
	case b.Count != nil && len(list) < *b.Count:
		return nil, invalidf("count is set to %d but there are only %d attempts until the next schedule time", *b.Count, len(list))
	}
	return list, nil
}

// backfill has the core add the attempts, or for a dry run only look whether
// their names are free.
func (e *Engine) backfill(ctx context.Context, b *Backfill, w *flow.Workflow, d *Definition, sessions []time.Time) ([]uint64, error) {
	tree, err := e.objects.Tree(d.Tree)
	if err != nil {
		return nil, err
	}
	in := &flow.Backfill{Schedule: b.Schedule, Definition: w.ID, Tree: tree, Name: b.Name, DryRun: b.DryRun}
	unlock := e.sessions.rlockAll(w.Project.ID, w.Name, sessions)
	defer unlock()
	for _, session := range sessions {
		past, err := e.options.History.Past(ctx, w.Project.ID, w.Name, session)
		if err != nil {
			return nil, err
		}
		in.Times = append(in.Times, flow.BackfillTime{Session: session, UUID: uuid.NewString(), Past: past})
	}
	if !b.DryRun {
		if err := e.backfillParams(ctx, b.Params, w, d, in.Times); err != nil {
			return nil, err
		}
	}
	out, err := e.Submit(ctx, in)
	if b.DryRun {
		out.Attempts = make([]uint64, len(sessions))
	}
	return out.Attempts, err
}

// inlineBackfill is how large the parameters of a backfill may be together to
// stand in its event.
const inlineBackfill = 256 << 10

// backfillParams gives each attempt of a backfill its parameters.
func (e *Engine) backfillParams(ctx context.Context, given *params.Map, w *flow.Workflow, d *Definition, times []flow.BackfillTime) error {
	if len(times) == 0 {
		return nil
	}
	executed, err := e.sessionBefore(ctx, w, times[0].Session)
	if err != nil {
		return err
	}
	data, size := make([][]byte, len(times)), 0
	for i := range times {
		p := params.NewMap(given.Len() + 3)
		for k, v := range given.All() {
			p.Set(k, v)
		}
		p = sessionParams(d, times[i].Session, p)
		if !executed.IsZero() {
			p.Set("last_executed_session_time", executed.In(d.Zone).Format(timeFormat))
		}
		executed = times[i].Session
		times[i].Params.Map = p
		data[i] = params.Encode(p)
		size += len(data[i])
	}
	if size <= inlineBackfill || e.objects.inline {
		return nil
	}
	names, err := e.objects.store.PutAll(data)
	if err != nil {
		return fmt.Errorf("keep parameters: %w", err)
	}
	for i := range times {
		times[i].Params.Ref = names[i]
	}
	return nil
}

// sessionBefore returns the time of a workflow's newest session before another
// time; zero if there is none.
func (e *Engine) sessionBefore(ctx context.Context, w *flow.Workflow, before time.Time) (found time.Time, err error) {
	if e.options.Before != nil {
		if found, err = e.options.Before(ctx, w.Project.ID, w.Name, before); err != nil {
			return found, err
		}
	}
	e.View(func(s *flow.State) {
		for _, x := range s.Sessions() {
			if x.Project == w.Project.ID && x.Workflow == w.Name && x.Time.Before(before) && x.Time.After(found) {
				found = x.Time
			}
		}
	})
	return found, nil
}
