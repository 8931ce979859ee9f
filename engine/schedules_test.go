package engine

import (
	"errors"
	"testing"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/journal/journaltest"
)

// next is the next tick of the rig's schedule, and whether that is disabled.
func (r *rig) next() (next flow.TickFacts, disabled bool) {
	r.e.View(func(s *flow.State) { next, disabled = s.Schedule(1).Next, !s.Schedule(1).Disabled.IsZero() })
	return next, disabled
}

func TestSkip(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	midday := func(day int) time.Time { return midnight(-day).Add(12 * time.Hour) }
	for _, c := range []struct {
		what string
		skip Skip
		want flow.TickFacts
		err  error
	}{
		{"to the next tick", Skip{To: midnight(-1)}, flow.TickFacts{}, flow.ErrSchedulePast},
		{"in a dry run too", Skip{To: midnight(0), DryRun: true}, flow.TickFacts{}, flow.ErrSchedulePast},
		{"by nothing", Skip{From: midday(0)}, flow.TickFacts{}, flow.ErrSchedulePast},
		{"dry", Skip{To: midday(1), DryRun: true}, flow.TickFacts{Session: midnight(-2), Run: midnight(-2)}, nil},
		{"to a time", Skip{To: midday(1)}, flow.TickFacts{Session: midnight(-2), Run: midnight(-2)}, nil},
		{"back", Skip{To: midday(0)}, flow.TickFacts{}, flow.ErrSchedulePast},
		{"by ticks", Skip{From: midday(1), Count: 3}, flow.TickFacts{Session: midnight(-5), Run: midnight(-5)}, nil},
		{"by less than none", Skip{From: midday(5), Count: -3}, flow.TickFacts{Session: midnight(-6), Run: midnight(-6)}, nil},
		{"to run at another time", Skip{To: midnight(-7), Run: midday(9)}, flow.TickFacts{Session: midnight(-7), Run: midday(9)}, nil},
		{"of another schedule", Skip{Schedule: 9, To: midnight(-7)}, flow.TickFacts{}, ErrNotFound},
	} {
		if c.skip.Schedule == 0 {
			c.skip.Schedule = 1
		}
		got, err := d.e.Skip(t.Context(), c.skip)
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("skip %s: got %v and %v, want %v and %v", c.what, got, err, c.want, c.err)
		}
		if now, _ := d.next(); err == nil && (now == c.want) == c.skip.DryRun {
			t.Errorf("skip %s: the next tick is %v", c.what, now)
		}
	}
	if _, err := d.e.Skip(t.Context(), Skip{Schedule: 1, From: midnight(0), Count: maxSkip + 1}); !errors.As(err, new(*InvalidError)) {
		t.Errorf("skip by more ticks than are counted: %v", err)
	}
}

func TestSkipToTheEnd(t *testing.T) {
	end := midnight(-3).Format("2006-01-02")
	d := openDurable(t, journaltest.New(), map[string]string{
		"w.dig": "timezone: UTC\nschedule: {daily>: 00:00:00, end: " + end + "}\n+a:\n  scripted>: x\n",
	}, atNoon)
	got, err := d.e.Skip(t.Context(), Skip{Schedule: 1, To: midnight(-30)})
	if err != nil || got != (flow.TickFacts{}) {
		t.Errorf("skip behind the end: got %v and %v, want no tick", got, err)
	}
	if _, err := d.e.Skip(t.Context(), Skip{Schedule: 1, To: midnight(-40)}); !errors.Is(err, flow.ErrSchedulePast) {
		t.Errorf("skip behind the end again: %v", err)
	}
	out := d.backfill(Backfill{Schedule: 1, From: midnight(0), Name: "x"})
	if len(out.Sessions) != 4 {
		t.Errorf("a backfill until the end starts %v, want four", out.Sessions)
	}
}

func TestSetSchedule(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	set := func(s SetSchedule, want error, next time.Time, disabled bool) {
		t.Helper()
		if err := d.e.SetSchedule(t.Context(), s); !errors.Is(err, want) {
			t.Errorf("%+v: got error %v, want %v", s, err, want)
		}
		if got, off := d.next(); !got.Session.Equal(next) || off != disabled {
			t.Errorf("%+v: next %v, disabled %v; want %v, %v", s, got.Session, off, next, disabled)
		}
	}
	past, later := midnight(3), midnight(-4).Add(time.Hour)
	set(SetSchedule{Schedule: 1, Disabled: true}, nil, midnight(-1), true)
	set(SetSchedule{Schedule: 1, SkipTo: &past}, flow.ErrSchedulePast, midnight(-1), true)
	set(SetSchedule{Schedule: 1, SkipTo: &later}, nil, midnight(-5), false)
	set(SetSchedule{Schedule: 1}, nil, midnight(-5), false)
	set(SetSchedule{Schedule: 7}, ErrNotFound, midnight(-5), false)
	after := openDurable(t, d.fs.Kill(), daily, atNoon)
	if got, off := after.next(); !got.Session.Equal(midnight(-5)) || off {
		t.Errorf("after a restart: next %v, disabled %v", got.Session, off)
	}
}

// A tick that was put off is missed under its own time, with those behind it.
func TestMissedTicksBeginWithTheOneThatWasPutOff(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	var ref string
	d.e.View(func(s *flow.State) { ref = s.Workflow(1).Ref })
	definition, err := d.e.Definition(ref)
	if err != nil {
		t.Fatal(err)
	}
	due := &flow.CatchUpDue{Schedule: 1, From: flow.TickFacts{Session: midnight(4), Run: midnight(2).Add(time.Hour)}, Limit: 3}
	in := missed(definition, due, midnight(0).Add(time.Hour))
	if len(in.Ticks) != 3 || in.Skipped != 2 || !in.From.Equal(midnight(4)) || !in.Next.Session.Equal(midnight(-1)) {
		t.Errorf("missed %v, %d left out from %v on, next %v", in.Ticks, in.Skipped, in.From, in.Next)
	}
}

// While schedules stand still nothing starts; what falls due is caught up when
// they go on.
func TestSchedulesThatStandStill(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	d.e.Configure(t.Context(), flow.Config{NoSchedules: true})
	from := time.Now().Add(-3 * time.Minute)
	if err := d.redeployFrom(map[string]string{
		"w.dig": "timezone: UTC\nschedule: {cron>: \"* * * * *\", catch_up: last}\n+a:\n  scripted>: x\n",
	}, from); err != nil {
		t.Fatal(err)
	}
	if _, err := d.e.Submit(t.Context(), &flow.Tick{}); err != nil {
		t.Fatal(err)
	}
	if got := len(d.script.began); got != 0 {
		t.Errorf("%d tasks began", got)
	}
	d.e.Configure(t.Context(), flow.Config{})
	if got, want := <-d.script.began, "+w+a 1"; got != want {
		t.Errorf("began %q, want %q", got, want)
	}
	d.script.end <- nil
	if r := <-d.done; !r.Attempt.CaughtUp || r.Session.Time.Before(from) {
		t.Errorf("the attempt was caught up: %v, session %v", r.Attempt.CaughtUp, r.Session.Time)
	}
}

// A deployment while a tick is prepared has it prepared anew.
func TestTickRunsWhatIsLive(t *testing.T) {
	h := &racing{}
	d := openDurable(t, journaltest.New(), oneTask, atNoon, func(o *Options) {
		h.rig, o.History = o.History.(*rig), h
	})
	h.once = func() {
		if err := d.redeployFrom(map[string]string{"w.dig": daily["w.dig"] + "+b:\n  echo>: b\n"}, midnight(0)); err != nil {
			t.Error(err)
		}
	}
	if err := d.redeployFrom(daily, midnight(0)); err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	d.script.end <- nil
	r := <-d.done
	if last := r.Tasks[2]; r.Attempt.Definition != 3 || last.FullName != "+w+b" || last.State != flow.Success {
		t.Errorf("definition %d ran, its second task %s is %v; want 3, +w+b, success", r.Attempt.Definition, last.FullName, last.State)
	}
}
