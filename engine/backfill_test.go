package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/journal/journaltest"
	"gitdag/engine/params"
)

// daily is a workflow with a tick a day at midnight; its task ends when the
// test says so.
var daily = map[string]string{"w.dig": "timezone: UTC\nschedule: {daily>: 00:00:00}\nsla: {duration: 00:00:01}\n+a:\n  scripted>: x\n"}

// midnight is the one before noon, or an earlier one.
func midnight(daysAgo int) time.Time { return time.Date(2031, 4, 5-daysAgo, 0, 0, 0, 0, time.UTC) }

// atNoon lets the engine's clock stand still.
func atNoon(o *Options) {
	o.Now = func() time.Time { return time.Date(2031, 4, 5, 12, 0, 0, 0, time.UTC) }
}

func (r *rig) backfill(b Backfill) Backfilled {
	r.t.Helper()
	out, err := r.e.Backfill(context.Background(), b)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// waiting lists the live attempts that have yet to begin.
func (r *rig) waiting() (ids []uint64) {
	r.e.View(func(s *flow.State) {
		for _, a := range s.Attempts() {
			if a.Waiting {
				ids = append(ids, a.ID)
			}
		}
	})
	return ids
}

func TestBackfillSurvivesARestart(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	out := d.backfill(Backfill{Schedule: 1, From: midnight(2), Name: "again", Params: params.Of("who", params.Template("me"))})
	want := Backfilled{
		Sessions: []time.Time{midnight(2), midnight(1), midnight(0)}, Attempts: []uint64{1, 2, 3},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if got, want := <-d.script.began, "+w+a 1"; got != want {
		t.Fatalf("began %q, want %q", got, want)
	}
	after := openDurable(t, d.fs.Kill(), daily, atNoon)
	if got, want := <-after.script.began, "+w+a 2"; got != want {
		t.Fatalf("began %q after the restart, want %q", got, want)
	}
	if got, want := after.waiting(), []uint64{2, 3}; !slices.Equal(got, want) {
		t.Fatalf("attempts %v wait after the restart, want %v", got, want)
	}
	after.script.end <- nil
	first := <-after.done
	<-after.script.began
	if err := after.e.Kill(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	second := <-after.done
	if !second.Killed || !first.Succeeded {
		t.Errorf("the second attempt was killed: %v, the first succeeded: %v", second.Killed, first.Succeeded)
	}
	<-after.script.began
	after.script.end <- nil
	third := <-after.done
	for i, r := range []*flow.Record{first, second, third} {
		if r.Attempt.RetryName != "again" || !r.Session.Time.Equal(want.Sessions[i]) || !r.Attempt.SLA.At.IsZero() || r.Scheduled {
			t.Errorf("attempt %d: %+v of %v", i, r.Attempt, r.Session.Time)
		}
	}
	wantParams := fmt.Sprintf(`{"who":"me","last_session_time":%q,"next_session_time":%q,"last_executed_session_time":%q}`,
		midnight(1).Format(timeFormat), midnight(-1).Format(timeFormat), midnight(1).Format(timeFormat))
	if got := string(params.AppendJSON(nil, third.Attempt.Params.Map)); got != wantParams {
		t.Errorf("parameters of the last one:\n got %s\nwant %s", got, wantParams)
	}
	if first.Attempt.Params.Map.Has("last_executed_session_time") {
		t.Error("the first one has a session before it, though there is none")
	}
}

func TestKillOfABackfillThatWaits(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	d.backfill(Backfill{Schedule: 1, From: midnight(2), Name: "again"})
	<-d.script.began
	if err := d.e.Kill(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	r := <-d.done
	if r.Attempt.ID != 2 || !r.Killed || r.Succeeded || len(r.Tasks) != 0 {
		t.Errorf("got attempt %d, killed %v, succeeded %v, with %d tasks", r.Attempt.ID, r.Killed, r.Succeeded, len(r.Tasks))
	}
	if got, want := d.waiting(), []uint64{3}; !slices.Equal(got, want) {
		t.Errorf("attempts %v wait, want %v", got, want)
	}
	d.script.end <- nil
	<-d.done
	<-d.script.began
}

func TestBackfillKnowsTheSessionBefore(t *testing.T) {
	var asked atomic.Int32
	d := openDurable(t, journaltest.New(), daily, atNoon, func(o *Options) {
		o.Before = func(_ context.Context, project uint64, workflow string, before time.Time) (time.Time, error) {
			if asked.Add(1) > 1 {
				return time.Time{}, errors.New("the history is away")
			}
			return before.AddDate(0, 0, -7), nil
		}
	})
	executed := func(attempt uint64) (text any) {
		d.e.View(func(s *flow.State) { text, _ = s.Attempt(attempt).Params.Map.Lookup("last_executed_session_time") })
		return text
	}
	one := 1
	d.backfill(Backfill{Schedule: 1, From: midnight(5), Name: "x", Count: &one})
	if got, want := executed(1), midnight(12).Format(timeFormat); got != want {
		t.Errorf("the session before is %v, want that of the history, %s", got, want)
	}
	if _, err := d.e.Backfill(t.Context(), Backfill{Schedule: 1, From: midnight(2), Name: "x"}); err == nil {
		t.Error("a backfill succeeded without the history")
	}
	d.e.options.Before = nil
	d.backfill(Backfill{Schedule: 1, From: midnight(2), Name: "x"})
	if got, want := executed(2), midnight(5).Format(timeFormat); got != want {
		t.Errorf("the session before is %v, want the live one, %s", got, want)
	}
}

func TestBackfillIsRefused(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	d.e.Configure(t.Context(), flow.Config{Slots: 4, MaxAttempts: 3})
	two, four := 2, 4
	d.backfill(Backfill{Schedule: 1, From: midnight(4), Name: "x", Count: &two})
	for what, c := range map[string]struct {
		b    Backfill
		want error
		text string
	}{
		"no such schedule": {Backfill{Schedule: 9, From: midnight(1), Name: "y"}, ErrNotFound, ""},
		"no name":          {Backfill{Schedule: 1, From: midnight(1)}, nil, "needs a name"},
		"too few ticks":    {Backfill{Schedule: 1, From: midnight(2), Name: "y", Count: &four}, nil, "count is set to 4 but there are only 3 attempts until the next schedule time"},
		"too many":         {Backfill{Schedule: 1, From: midnight(2), Name: "y"}, nil, "Too many attempts running. Limit: 3, Current: 2"},
		"a taken name":     {Backfill{Schedule: 1, From: midnight(5), Name: "x"}, nil, "attempt name=x already exists"},
		"in a dry run too": {Backfill{Schedule: 1, From: midnight(5), Name: "x", DryRun: true}, nil, "attempt name=x already exists"},
	} {
		_, err := d.e.Backfill(t.Context(), c.b)
		if c.want != nil && !errors.Is(err, c.want) || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got error %v, want %v %s", what, err, c.want, c.text)
		}
	}
	_, err := d.e.Backfill(t.Context(), Backfill{Schedule: 1, From: midnight(1)})
	if !errors.As(err, new(*InvalidError)) {
		t.Errorf("no name: got %T, want an InvalidError", err)
	}
	_, err = d.e.Backfill(t.Context(), Backfill{Schedule: 1, From: midnight(2), Name: "y", Count: &four})
	if reason := errors.Unwrap(err); reason == nil || reason.Error() != err.Error() {
		t.Errorf("the reason of %v is %v", err, reason)
	}
	out := d.backfill(Backfill{Schedule: 1, From: midnight(1), Name: "y", DryRun: true})
	if want := (Backfilled{[]time.Time{midnight(1), midnight(0)}, []uint64{0, 0}}); !cmp.Equal(out, want) {
		t.Errorf("a dry run answers %v, want %v", out, want)
	}
	if out := d.backfill(Backfill{Schedule: 1, From: midnight(-1), Name: "y"}); len(out.Sessions) != 0 {
		t.Errorf("a backfill from the next tick on starts %v", out)
	}
}

// The largest backfill is one event, whatever its parameters, and comes back.
func TestLargestBackfill(t *testing.T) {
	files := map[string]string{"w.dig": "timezone: UTC\nschedule: {minutes_interval>: 1}\n+a:\n  scripted>: x\n"}
	d := openDurable(t, journaltest.New(), files, atNoon)
	from := midnight(1)
	if _, err := d.e.Backfill(t.Context(), Backfill{Schedule: 1, From: from, Name: "x"}); err == nil || !strings.Contains(err.Error(), "at most 1000 attempts") {
		t.Errorf("a backfill of a day of minutes: %v", err)
	}
	most := flow.MaxBackfill
	for i, text := range []string{"short", strings.Repeat("long ", 200)} {
		name := fmt.Sprint("x", i)
		out := d.backfill(Backfill{Schedule: 1, From: from, Name: name, Count: &most, Params: params.Of("text", text)})
		if len(out.Attempts) != most {
			t.Fatalf("%d attempts, want %d", len(out.Attempts), most)
		}
	}
	<-d.script.began
	after := openDurable(t, d.fs.Kill(), files, atNoon)
	if got, want := len(after.waiting()), 2*most-2; got != want {
		t.Errorf("%d attempts wait after the restart, want %d", got, want)
	}
	var text any
	after.e.View(func(s *flow.State) { text, _ = s.Attempt(uint64(2 * most)).Params.Map.Lookup("text") })
	if text != strings.Repeat("long ", 200) {
		t.Errorf("the last attempt's parameter is %.20v…", text)
	}
}

// racing is a history during whose look-ups something happens once.
type racing struct {
	*rig
	once func()
}

func (h *racing) Past(ctx context.Context, project uint64, workflow string, session time.Time) (*flow.Past, error) {
	if once := h.once; once != nil {
		h.once = nil
		once()
	}
	return h.rig.Past(ctx, project, workflow, session)
}

// A deployment while a backfill is prepared has it prepared anew.
func TestBackfillRunsWhatIsLive(t *testing.T) {
	h := &racing{}
	d := openDurable(t, journaltest.New(), daily, atNoon, func(o *Options) {
		h.rig, o.History = o.History.(*rig), h
	})
	h.once = func() { d.revise("2", "+b:\n  scripted>: x\n") }
	d.backfill(Backfill{Schedule: 1, From: midnight(0), Name: "x"})
	if got, want := <-d.script.began, "+w+b 1"; got != want {
		t.Errorf("began %q, want %q", got, want)
	}
	h.once = func() { d.revise("3", "") }
	if _, err := d.e.Backfill(t.Context(), Backfill{Schedule: 1, From: midnight(1), Name: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("backfill of a workflow that is gone: %v, want %v", err, ErrNotFound)
	}
}

// revise deploys the daily workflow with another task, or without the workflow.
func (r *rig) revise(revision, task string) {
	r.t.Helper()
	name, text := filepath.Join(r.dir, "w.dig"), strings.Split(daily["w.dig"], "+a")[0]+task
	err := os.WriteFile(name, []byte(text), 0o644)
	if task == "" {
		err = os.Remove(name)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	p, diags := dig.Load(r.dir, dig.Options{})
	if len(diags.Errors()) > 0 {
		r.t.Fatal(diags)
	}
	err = r.e.Deploy(context.Background(), &Deployment{Repo: "r", Projects: []Project{{Name: "p", Content: p, Revision: revision, Keep: 2}}})
	if err != nil {
		r.t.Fatal(err)
	}
}
