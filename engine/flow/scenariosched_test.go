package flow

import (
	"fmt"
	"time"
)

// scheduled returns the schedule of project p that the command names.
func (c *call) scheduled() *Schedule {
	sched := c.s.live.ProjectNamed("p").Schedule(c.first())
	if sched == nil {
		c.s.t.Fatalf("%s: no such schedule", c.line)
	}
	return sched
}

func (c *call) disable() error {
	return c.s.step(&SetSchedule{Schedule: c.scheduled().ID, Disabled: true})
}

// enable resumes a schedule, with `skip` from the tick at or after that time on.
func (c *call) enable() error {
	sched := c.scheduled()
	in := &SetSchedule{Schedule: sched.ID, Next: c.s.firstTick(scheduleKey(sched), c.s.now)}
	if c.args.has("skip") {
		in.Skip, in.Next = true, c.s.firstTick(scheduleKey(sched), c.time(c.args.named["skip"]))
	}
	return c.s.step(in)
}

// skip moves a schedule to the tick at or after a time, to run then or at
// another time: skip WORKFLOW to=HH:MM [run=HH:MM]. `never` is behind the end.
func (c *call) skip() error {
	sched := c.scheduled()
	in := &Skip{Schedule: sched.ID, Definition: uint64(c.number("definition", 0))}
	if to := c.args.named["to"]; to != "never" {
		in.Next = c.s.firstTick(scheduleKey(sched), c.time(to))
	}
	if c.args.has("run") {
		in.Next.Run = c.time(c.args.named["run"])
	}
	return c.s.step(in)
}

// backfill runs past ticks: backfill WORKFLOW name=NAME from=HH:MM [count=N]
// [dry] [past=…], the latter about the first session.
func (c *call) backfill() error {
	s, sched := c.s, c.scheduled()
	key := scheduleKey(sched)
	in := &Backfill{
		Schedule: sched.ID, Definition: uint64(c.number("definition", 0)), Name: c.args.named["name"],
		Tree: s.trees[key], DryRun: c.args.has("dry"),
	}
	count := c.number("count", 1000)
	for t := s.firstTick(key, c.time(c.args.named["from"])); len(in.Times) < count && t.Session.Before(sched.Upcoming().Session); t = s.nextTick(key, t) {
		in.Times = append(in.Times, BackfillTime{Session: t.Session, UUID: "u"})
	}
	if c.args.has("past") {
		in.Times[0].Past = c.past(sched.Project, sched.Workflow, in.Times[0].Session)
	}
	return s.step(in)
}

// delete takes a pushed project away.
func (c *call) delete() error {
	s := c.s
	s.deploys++
	m := &Manifest{Ref: fmt.Sprintf("manifest-%d", s.deploys), Repo: PushedSource(c.first())}
	s.objects.manifests[m.Ref] = m
	in := &Deploy{Manifest: m, Project: uint64(c.number("id", 0))}
	if p := s.live.ProjectNamed(c.first()); p != nil && in.Project == 0 {
		in.Project = p.ID
	}
	return s.step(in)
}

// revisions prints what is kept of a project, live or deleted.
func (c *call) revisions() error {
	s := c.s
	p := s.live.ProjectNamed(c.first())
	for _, g := range s.live.graves {
		if p == nil && g.Name == c.first() {
			p = g
		}
	}
	for _, r := range p.Revisions() {
		text := fmt.Sprintf("%d %s of %s:", r.ID, r.Name, s.clock(r.CreatedAt))
		for _, w := range r.Workflows {
			text += fmt.Sprintf(" %s (%d)", w.Name, w.ID)
			if found, of := s.live.Definition(w.ID); found != w || of != r {
				s.t.Errorf("definition %d is not found by its id", w.ID)
			}
			if live := s.live.Workflow(w.ID) != nil; live {
				text += " live"
			}
		}
		if r.Archive != nil {
			text += ", " + r.Archive.Object
		}
		s.printf("%s", text)
	}
	return nil
}

// attempts prints how the attempts are.
func (c *call) attempts() error {
	for _, a := range c.s.live.Attempts() {
		text := "runs"
		switch {
		case a.Done && a.Succeeded:
			text = "succeeded"
		case a.Done && a.Killed:
			text = "was killed"
		case a.Done:
			text = "failed"
		case a.Waiting:
			text = "waits" + c.s.after(a)
		case a.Killed:
			text = "is being killed"
		}
		c.s.printf("%d of %s, session %s, %s", a.ID, a.Workflow, c.s.clock(a.Session.Time.In(time.UTC)), text)
	}
	return nil
}
