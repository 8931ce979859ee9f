package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gitdag/agent/history"
	"gitdag/bench/agenttest"
	"gitdag/engine/flow"
)

// past returns the attempts that are over, the oldest first.
func (r *rig) past() []history.Summary {
	r.t.Helper()
	list, err := r.agent.store.history.Attempts(r.t.Context(), history.Query{Limit: 1000}, true)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// Ticks that fell due while the agent was down run after its start, all of
// them, in order, one after another.
func TestMissedTicksRunOneAfterAnother(t *testing.T) {
	r := newRig(t)
	r.start()
	r.push("often", map[string]string{"w.dig": "timezone: UTC\nschedule: {seconds_interval>: 1}\n+a: {sh>: sleep 0.3}\n"})
	r.eventually("a tick has run", func() bool { return len(r.past()) > 0 })
	r.stop()
	down := time.Now()
	r.eventually("time passes", func() bool { return time.Since(down) > 3500*time.Millisecond })
	r.start()
	r.eventually("the missed ticks have run", func() bool {
		over := false
		r.view(func(s *flow.State) {
			sched := s.ProjectNamed("flows").Schedule("w")
			over = sched.Last.After(down.Add(3500*time.Millisecond)) && len(sched.Backlog) == 0
			for _, a := range s.Attempts() {
				over = over && !a.CaughtUp
			}
		})
		return over
	})
	var sessions []time.Time
	var caught []history.Summary
	for _, a := range r.past() {
		sessions = append(sessions, a.Session.Time)
		if a.Attempt.CaughtUp {
			caught = append(caught, a)
		}
	}
	if len(caught) < 3 {
		t.Errorf("%d attempts caught up, want 3 or more", len(caught))
	}
	for i := 1; i < len(caught); i++ {
		a, before := caught[i], caught[i-1]
		if !a.Session.Time.After(before.Session.Time) || a.CreatedAt.Before(before.FinishedAt) {
			t.Errorf("session %v began at %v, before %v was over at %v", a.Session.Time, a.CreatedAt, before.Session.Time, before.FinishedAt)
		}
	}
	slices.SortFunc(sessions, time.Time.Compare)
	for i := 1; i < len(sessions); i++ {
		if got := sessions[i].Sub(sessions[i-1]); got != time.Second {
			t.Errorf("session %v comes %v after the one before it, want each second once", sessions[i], got)
		}
	}
}

// A session that was started by hand is not started again by its tick.
func TestHandStartedSessionSwallowsItsTick(t *testing.T) {
	r := newRig(t)
	r.start()
	clock, zone := agenttest.DueIn(2 * time.Second)
	r.push("once", map[string]string{"w.dig": fmt.Sprintf("timezone: %s\nschedule: {daily>: %s}\n+a: {echo>: a}\n", zone, clock)})
	var tick flow.TickFacts
	r.view(func(s *flow.State) { tick = s.ProjectNamed("flows").Schedule("w").Next })
	if !r.ended(r.begin("w", tick.Session)) {
		t.Fatal("the attempt has failed")
	}
	r.eventually("the tick has passed", func() bool {
		passed := false
		r.view(func(s *flow.State) { passed = s.ProjectNamed("flows").Schedule("w").Next.Session.After(tick.Session) })
		return passed
	})
	if list := r.past(); len(list) != 1 {
		t.Errorf("%d attempts, want the one by hand", len(list))
	}
	live := 0
	r.view(func(s *flow.State) { live = len(s.Attempts()) })
	if live != 0 {
		t.Errorf("%d live attempts, want none", live)
	}
}
