package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The schedules of scenarios are the simplest that there are: a tick at each
// multiple of `every`, due `delay` later. Their hash is their definition,
// unless the line says `hash`.

// deploy makes a commit live. The body lists workflows of project p, or
// `project`, `keep` and `reject` lines. `push=NAME` pushes that project instead.
func (c *call) deploy() error {
	s := c.s
	s.deploys++
	m := &Manifest{Ref: fmt.Sprintf("manifest-%d", s.deploys), Repo: "r", Commit: Commit{ID: fmt.Sprintf("c%d", s.deploys)}}
	if c.args.has("commit") {
		m.Commit.ID = c.args.named["commit"]
	}
	if c.args.has("repo") {
		m.Repo = c.args.named["repo"]
	}
	single := "p"
	if c.args.has("push") {
		single = c.args.named["push"]
		m.Repo = PushedSource(single)
	}
	if c.args.has("from") {
		m.From = c.time(c.args.named["from"])
	}
	var bare []*outline
	for _, o := range c.body {
		switch o.name {
		case "project":
			m.Projects = append(m.Projects, c.project(m, o.args.plain[0], o.kids))
		case "keep":
			m.Kept = append(m.Kept, o.args.plain...)
		case "reject":
			m.Rejected = append(m.Rejected, Rejection{
				Project: o.args.plain[0], Commit: m.Commit, Reasons: []string{strings.Join(o.args.plain[1:], " ")},
			})
		default:
			bare = append(bare, o)
		}
	}
	if bare != nil {
		m.Projects = append(m.Projects, c.project(m, single, bare))
	}
	s.objects.manifests[m.Ref] = m
	return s.step(&Deploy{Manifest: m})
}

func (c *call) project(m *Manifest, name string, workflows []*outline) ManifestProject {
	p := ManifestProject{Name: name, Revision: m.Commit.ID, Commit: m.Commit, Tree: "t", Checkout: "t", Keep: c.number("keep", 0)}
	if c.args.has("push") {
		p.Archive = &Archive{Object: "archive-" + p.Revision, MD5: "md5", Size: 7}
	}
	for _, o := range workflows {
		t, err := o.tree()
		must(c, t, err)
		short := strings.TrimPrefix(o.name, "+")
		c.s.trees[name+"/"+short] = t
		w := ManifestWorkflow{Name: short, Timezone: "UTC", Ref: "def", Tasks: len(t.Nodes)}
		if o.args.has("every") {
			w.Schedule = c.schedule(name+"/"+short, o.args)
		}
		p.Workflows = append(p.Workflows, w)
	}
	slices.SortFunc(p.Workflows, func(a, b ManifestWorkflow) int { return strings.Compare(a.Name, b.Name) })
	return p
}

func (c *call) schedule(key string, args words) *ManifestSchedule {
	s := c.s
	every, delay := c.duration(args.named["every"]), time.Duration(0)
	m := &ManifestSchedule{Hash: args.named["every"] + args.named["delay"] + args.named["hash"]}
	if args.has("delay") {
		delay = c.duration(args.named["delay"])
	}
	if args.has("skip_delayed_by") {
		m.SkipDelay = c.duration(args.named["skip_delayed_by"])
	}
	m.SkipOvertime = args.named["skip_on_overtime"] == "true"
	m.CatchUp = map[string]CatchUp{"": CatchUpAll, "all": CatchUpAll, "last": CatchUpLast, "none": CatchUpNone}[args.named["catchup"]]
	s.every[key], s.every[key+" delay"] = every, delay
	m.First = s.firstTick(key, s.now)
	if c.args.has("from") {
		m.First = s.firstTick(key, c.time(c.args.named["from"]))
	}
	return m
}

// firstTick is the first tick that is due at a time or later.
func (s *script) firstTick(key string, from time.Time) TickFacts {
	every, delay := s.every[key], s.every[key+" delay"]
	session := from.Add(-delay).Truncate(every)
	for session.Add(delay).Before(from) {
		session = session.Add(every)
	}
	return TickFacts{session, session.Add(delay)}
}

func (s *script) nextTick(key string, t TickFacts) TickFacts {
	every := s.every[key]
	return TickFacts{t.Session.Add(every), t.Session.Add(every + s.every[key+" delay"])}
}

func scheduleKey(sched *Schedule) string { return sched.Project.Name + "/" + sched.Workflow }

// answer answers the oldest question about a schedule, or with `fail` says
// why it cannot.
func (c *call) answer() error {
	s := c.s
	if len(s.asked) == 0 {
		s.t.Fatalf("%s: nothing was asked", c.line)
	}
	e := s.asked[0]
	s.asked = s.asked[1:]
	switch e := e.(type) {
	case *TickDue:
		sched := s.live.Schedule(e.Schedule)
		if sched == nil {
			return s.step(&TickReady{Schedule: e.Schedule, Session: e.Session})
		}
		if c.args.has("fail") {
			return s.step(&TickFailed{Schedule: e.Schedule, Session: e.Session, Why: c.args.text()})
		}
		key := scheduleKey(sched)
		in := &TickReady{
			Schedule: e.Schedule, Session: e.Session, UUID: "u", Tree: s.trees[key],
			Next: s.nextTick(key, TickFacts{e.Session, e.Run}),
		}
		if c.args.has("past") {
			in.Past = c.past(sched.Project, sched.Workflow, e.Session)
		}
		if c.args.has("last") {
			in.Next = TickFacts{}
		}
		return s.step(in)
	case *CatchUpDue:
		return s.step(s.missed(e))
	}
	return nil
}

func (s *script) missed(e *CatchUpDue) *TicksMissed {
	in := &TicksMissed{Schedule: e.Schedule, Next: e.From}
	key := scheduleKey(s.live.Schedule(e.Schedule))
	for !in.Next.Run.After(s.now) {
		in.Ticks = append(in.Ticks, in.Next)
		in.Next = s.nextTick(key, in.Next)
	}
	in.From = e.From.Run
	if n := len(in.Ticks) - e.Limit; n > 0 {
		in.Ticks, in.Skipped = in.Ticks[n:], n
	}
	return in
}

// past makes up what the history knows: `past=7` an unnamed attempt 7,
// `past=7,again` one named so.
func (c *call) past(p *Project, workflow string, session time.Time) *Past {
	id, name, _ := strings.Cut(c.args.named["past"], ",")
	var n uint64
	if _, err := fmt.Sscan(id, &n); err != nil {
		c.s.t.Fatalf("%s: %v", c.line, err)
	}
	return &Past{
		Session:     SessionFacts{ID: 90, UUID: "old", Project: p.ID, Workflow: workflow, Time: session},
		LastAttempt: n, Index: 1, Names: map[string]uint64{name: n},
	}
}

// start starts an attempt by hand: start [PROJECT/]WORKFLOW [session=HH:MM]
// [name=NAME] [params={…}] [sla=DURATION [fail] [noalert]]; a body is the rest
// of the sla block.
func (c *call) start() error {
	s := c.s
	project, workflow, ok := strings.Cut(c.first(), "/")
	if !ok {
		project, workflow = "p", c.first()
	}
	in := &Start{Project: project, Workflow: workflow, UUID: "u", Session: s.start, RetryName: c.args.named["name"]}
	in.Definition = uint64(c.number("definition", 0))
	if c.args.has("session") {
		in.Session = c.time(c.args.named["session"])
	}
	in.Tree, in.Params.Map = s.trees[project+"/"+workflow], c.object("params")
	if c.args.has("past") {
		in.Past = c.past(s.live.ProjectNamed(project), workflow, in.Session)
	}
	if c.args.has("sla") {
		in.SLA = SLA{At: s.now.Add(c.duration(c.args.named["sla"])), Alert: !c.args.has("noalert"), Fail: c.args.has("fail")}
		for _, o := range c.body {
			t, err := o.tree()
			in.SLA.Tree = must(c, t, err)
		}
	}
	return s.step(in)
}

func (c *call) schedules() error {
	s := c.s
	for _, x := range s.live.Schedules() {
		text := fmt.Sprintf("%d %s: next %s, last %s", x.ID, scheduleKey(x), s.tick(x.Next), s.clock(x.Last))
		if x.Tries > 0 {
			text += fmt.Sprintf(", put off %d times", x.Tries)
		}
		if len(x.Backlog) > 0 {
			text += fmt.Sprintf(", %d missed ticks to run", len(x.Backlog))
		}
		if !x.Disabled.IsZero() {
			text += ", disabled since " + s.clock(x.Disabled)
		}
		s.printf("%s", text)
	}
	return nil
}

func (c *call) projects() error {
	s := c.s
	for _, p := range s.live.Projects() {
		names := make([]string, len(p.Workflows))
		for i, w := range p.Workflows {
			names[i] = fmt.Sprintf("%s (%d)", w.Name, w.ID)
		}
		s.printf("%d %s at %s from %s: %s", p.ID, p.Name, p.Revision, p.Repo, strings.Join(names, ", "))
	}
	for _, p := range s.live.graves {
		s.printf("%d %s deleted at %s", p.ID, p.Name, s.clock(p.DeletedAt))
	}
	for _, r := range s.live.Repos() {
		for i := range r.Rejected {
			x := &r.Rejected[i]
			s.printf("%s is rejected since %s: %s", x.Project, s.clock(x.Since), strings.Join(x.Reasons, "; "))
		}
	}
	return nil
}
