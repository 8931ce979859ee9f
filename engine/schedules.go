package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/schedule"
)

// InvalidError refuses a request that asks for what cannot be.
type InvalidError struct{ Reason error }

func (e *InvalidError) Error() string { return e.Reason.Error() }

// Unwrap returns the reason.
func (e *InvalidError) Unwrap() error { return e.Reason }

func invalidf(format string, args ...any) error {
	return &InvalidError{fmt.Errorf(format, args...)}
}

// Skip moves a schedule on: to the first tick whose run time is at or after To,
// or if that is zero, Count ticks on from the first one at or after From. Run,
// if not zero, is when that tick runs instead of at its own time. A dry run
// changes nothing.
type Skip struct {
	Schedule uint64
	To       time.Time
	From     time.Time
	Count    int
	Run      time.Time
	DryRun   bool
}

// target is the tick that s asks for.
func (s *Skip) target(x *schedule.Schedule) flow.TickFacts {
	from := s.To
	steps := 0
	if from.IsZero() {
		from, steps = s.From, max(s.Count, 0)
	}
	t, ok := x.First(from)
	for ; ok && steps > 0; steps-- {
		t, ok = x.Next(t.Session)
	}
	to := tick(t, ok)
	if ok && !s.Run.IsZero() {
		to.Run = s.Run.UTC()
	}
	return to
}

// SetSchedule disables a schedule or enables it. SkipTo, where set, moves one
// that is enabled on, as To of [Skip] does, in the same step.
type SetSchedule struct {
	Schedule uint64
	Disabled bool
	SkipTo   *time.Time
}

// maxSkip bounds the ticks that one skip counts.
const maxSkip = 1_000_000

// Skip moves a schedule on and returns the tick that it goes on with, none if
// the schedule is over then. The error for a tick that is not later than the
// next one is [flow.ErrSchedulePast], for an unknown schedule [ErrNotFound].
func (e *Engine) Skip(ctx context.Context, s Skip) (flow.TickFacts, error) {
	var to flow.TickFacts
	if s.To.IsZero() && s.Count > maxSkip {
		return to, invalidf("a schedule is skipped by %d ticks at most, not by %d", maxSkip, s.Count)
	}
	err := e.reschedule(s.Schedule, func(w *flow.Workflow, d *Definition, now *flow.Schedule) error {
		to = s.target(d.Schedule)
		if s.DryRun {
			return now.CheckSkip(to)
		}
		_, err := e.Submit(ctx, &flow.Skip{Schedule: s.Schedule, Definition: w.ID, Next: to})
		return err
	})
	return to, err
}

// SetSchedule disables or enables a schedule. The errors are those of Skip.
func (e *Engine) SetSchedule(ctx context.Context, s SetSchedule) error {
	return e.reschedule(s.Schedule, func(w *flow.Workflow, d *Definition, _ *flow.Schedule) error {
		in := &flow.SetSchedule{Schedule: s.Schedule, Disabled: s.Disabled}
		if !s.Disabled {
			from := e.now()
			if in.Skip = s.SkipTo != nil; in.Skip {
				from = *s.SkipTo
			}
			in.Definition, in.Next = w.ID, tick(d.Schedule.First(from))
		}
		_, err := e.Submit(ctx, in)
		return err
	})
}

// reschedule calls change with the definition that is live for a schedule, and
// with the schedule as it is, and does so again if another one was deployed
// meanwhile.
func (e *Engine) reschedule(id uint64, change func(*flow.Workflow, *Definition, *flow.Schedule) error) error {
	for {
		w, now, err := e.scheduled(id)
		if err != nil {
			return fmt.Errorf("schedule %d: %w", id, ErrNotFound)
		}
		d, err := e.objects.definition(w.Ref)
		if err != nil {
			return err
		}
		if d.Schedule == nil {
			return fmt.Errorf("schedule %d: %w", id, ErrNotFound)
		}
		err = change(&w, d, &now)
		switch {
		case errors.Is(err, flow.ErrNoSchedule):
			return fmt.Errorf("schedule %d: %w", id, ErrNotFound)
		case !errors.Is(err, flow.ErrRedeployed):
			return err
		}
	}
}
