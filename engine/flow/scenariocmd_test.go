package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gitdag/engine/params"
)

// command runs one command of a scenario.
func (s *script) command(line string, body []string) error {
	list := splitWords(line)
	args := parseWords(list[1:], "fail", "noalert", "last", "parallel", "dry")
	outlines, err := parseOutline(body)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	c := &call{s: s, line: line, args: args, body: outlines}
	run, ok := commands[list[0]]
	if !ok {
		s.t.Fatalf("%s: no such command", line)
	}
	return run(c)
}

// call is a command with its arguments.
type call struct {
	s    *script
	line string
	args words
	body []*outline
}

var commands = map[string]func(*call) error{
	"config":      (*call).config,
	"deploy":      (*call).deploy,
	"start":       (*call).start,
	"tick":        (*call).tick,
	"clock":       (*call).clock,
	"succeed":     (*call).succeed,
	"fail":        (*call).fail,
	"poll":        (*call).poll,
	"lasts":       (*call).lasts,
	"evaluate":    (*call).evaluate,
	"kill":        (*call).kill,
	"archive":     (*call).archive,
	"crash":       (*call).crash,
	"answer":      (*call).answer,
	"disable":     (*call).disable,
	"enable":      (*call).enable,
	"skip":        (*call).skip,
	"backfill":    (*call).backfill,
	"delete":      (*call).delete,
	"revisions":   (*call).revisions,
	"attempts":    (*call).attempts,
	"report":      (*call).report,
	"sent":        (*call).sent,
	"undelivered": (*call).undelivered,
	"tasks":       (*call).tasks,
	"see":         (*call).see,
	"schedules":   (*call).schedules,
	"projects":    (*call).projects,
	"alerts":      (*call).alerts,
}

// must ends the test if a command cannot be understood.
func must[T any](c *call, v T, err error) T {
	if err != nil {
		c.s.t.Fatalf("%s: %v", c.line, err)
	}
	return v
}

func (c *call) number(key string, def int) int {
	if c.args.named[key] == "" {
		return def
	}
	n, err := strconv.Atoi(c.args.named[key])
	return must(c, n, err)
}

func (c *call) duration(text string) time.Duration {
	d, err := time.ParseDuration(strings.TrimPrefix(text, "+"))
	return must(c, d, err)
}

func (c *call) object(key string) *params.Map {
	if !c.args.has(key) {
		return nil
	}
	m, err := parseObject(c.args.named[key])
	return must(c, m, err)
}

// time reads a time of the scenario's first day, or with the day in front.
func (c *call) time(text string) time.Time {
	layout := "2006 15:04"
	if strings.Contains(text, "T") {
		layout = "2006 01-02T15:04"
	}
	t, err := time.Parse(layout, fmt.Sprintf("%d %s", c.s.start.Year(), text))
	if !strings.Contains(text, "T") {
		t = t.AddDate(0, int(c.s.start.Month())-1, c.s.start.Day()-1)
	}
	return must(c, t, err)
}

// first is the argument that has no key.
func (c *call) first() string {
	if len(c.args.plain) == 0 {
		c.s.t.Fatalf("%s: an argument is missing", c.line)
	}
	return c.args.plain[0]
}

// id is the first argument as a number; 1 if there is none.
func (c *call) id() uint64 {
	if len(c.args.plain) == 0 {
		return 1
	}
	n, err := strconv.ParseUint(c.args.plain[0], 10, 64)
	return must(c, n, err)
}

func (c *call) config() error {
	s := c.s
	s.config = Config{
		Slots: c.number("slots", 0), TasksPerAttempt: c.number("tasks", 0), CatchUpLimit: c.number("catchup", 0),
	}
	if c.args.has("ttl") {
		s.config.TaskTTL = c.duration(c.args.named["ttl"])
	}
	if c.args.has("attempt_ttl") {
		s.config.AttemptTTL = c.duration(c.args.named["attempt_ttl"])
	}
	s.config.LiveAttempts, s.config.MaxAttempts = c.number("live", 0), c.number("max", 0)
	s.config.NoSchedules, s.config.NoTasks = c.args.named["schedules"] == "no", c.args.named["handout"] == "no"
	s.config.Draining = c.args.named["draining"] == "yes"
	s.live.Configure(s.config)
	return nil
}

func (c *call) tick() error {
	if len(c.args.plain) > 0 {
		c.s.now = c.s.now.Add(c.duration(c.first()))
	}
	return c.s.step(&Tick{})
}

// clock moves the clock without a word to the core.
func (c *call) clock() error {
	c.s.now = c.s.now.Add(c.duration(c.first()))
	return nil
}

// lease is the latest one of the task that the command names, with another
// execution if it says so.
func (c *call) lease() Lease {
	l, ok := c.s.leases[c.first()]
	if !ok {
		c.s.t.Fatalf("%s: no such task has run", c.line)
	}
	l.Execution, l.Poll = c.number("execution", l.Execution), c.number("poll", l.Poll)
	return l
}

func (c *call) retry() Retry {
	if !c.args.has("retry") {
		return Retry{}
	}
	r, err := parseRetryWord(c.args.named["retry"])
	return must(c, r, err)
}

func (c *call) succeed() error {
	in := &TaskSucceeded{Lease: c.lease(), Retry: c.retry(), Message: c.args.named["message"]}
	in.Result = Result{Export: Value{Map: c.object("export")}, Store: Value{Map: c.object("store")}}
	if c.args.has("reset") {
		in.Result.Reset = strings.Split(c.args.named["reset"], ",")
	}
	if c.args.has("broken") {
		in.Broken = &Value{Map: params.Of("message", c.args.named["broken"])}
	}
	for _, o := range c.body {
		t, err := o.tree()
		must(c, t, err)
		if o.name == "^check" {
			in.Check = t
		} else {
			in.Sub = t
		}
	}
	return c.s.step(in)
}

func (c *call) fail() error {
	failure := Value{Map: params.Of("message", strings.Join(c.args.plain[1:], " "))}
	return c.s.step(&TaskFailed{Lease: c.lease(), Failure: failure, Retry: c.retry()})
}

func (c *call) poll() error {
	return c.s.step(&TaskPostponed{
		Lease: c.lease(), After: c.duration(c.args.named["after"]), State: Value{Map: c.object("state")},
		Awaits: uint64(c.number("awaits", 0)),
	})
}

func (c *call) lasts() error { return c.s.step(&PollLasts{Lease: c.lease()}) }

func (c *call) evaluate() error {
	s := c.s
	in := &GroupEvaluated{Attempt: 1, Task: s.find(c.first()).ID(), Retry: c.retry()}
	if c.args.has("parallel") {
		in.Parallel = Parallel{On: true, Limit: c.number("parallel", 0)}
	}
	if c.args.has("error") {
		in.Failure = &Value{Map: params.Of("message", c.args.named["error"])}
	}
	return s.step(in)
}

// find returns the newest task of a full name.
func (s *script) find(name string) *Task {
	var found *Task
	for _, a := range s.live.Attempts() {
		for t := range a.Tasks {
			if s.name(a.ID, t.FullName()) == name {
				found = t
			}
		}
	}
	if found == nil {
		s.t.Fatalf("no task %s", name)
	}
	return found
}

func (c *call) kill() error { return c.s.step(&Kill{Attempt: c.id()}) }

func (c *call) archive() error { return c.s.step(&Archived{Attempt: c.id()}) }

// crash starts a new process on what the follower has. What is named goes on.
func (c *call) crash() error {
	s := c.s
	s.live, s.asked, s.wake = s.reopened(), nil, time.Time{}
	survived := map[Lease]bool{}
	for l := range s.live.Leases {
		survived[l] = slices.ContainsFunc(c.args.plain, func(name string) bool { return s.leases[name] == l })
	}
	out, err := s.live.Step(s.now, &Boot{Survived: survived})
	if err != nil {
		return err
	}
	for _, e := range out.Events {
		if m, ok := e.(*TaskMoved); ok {
			from := s.replica.Attempt(m.Attempt).task(m.Task).State()
			s.taken[fmt.Sprintf("%v %v %v", from, m.By, m.To)] = true
		}
		s.printEvent(e)
	}
	for _, e := range s.live.Pending() {
		s.perform(e)
	}
	s.wake = out.Wake
	if !out.Wake.IsZero() {
		s.printf("wake at %s", s.clock(out.Wake))
	}
	s.compare()
	return nil
}

func (c *call) report() error {
	return c.s.step(&Report{Alert: Alert{Kind: AlertMessage, Incident: c.first(), Message: strings.Join(c.args.plain[1:], " ")}})
}

func (c *call) sent() error {
	in := &AlertSent{ID: c.id()}
	if c.args.has("thread") {
		in.Thread = Thread{Channel: "c", TS: c.args.named["thread"]}
	}
	return c.s.step(in)
}

func (c *call) undelivered() error {
	in := &AlertUndelivered{ID: c.id(), Why: strings.Join(c.args.plain[1:], " ")}
	if c.args.has("retry") {
		in.Retry = c.s.now.Add(c.duration(c.args.named["retry"]))
	}
	return c.s.step(in)
}

// tasks prints the rows of an attempt.
func (c *call) tasks() error {
	a := c.s.live.Attempt(c.id())
	if a == nil {
		return ErrNoAttempt
	}
	for t := range a.Tasks {
		text := fmt.Sprintf("%s %v", t.FullName(), t.State())
		if t.Canceling() {
			text += ", to be canceled"
		}
		if t.execution > 1 {
			text += fmt.Sprintf(", %d executions", t.execution)
		}
		if at := t.Row().RetryAt; !at.IsZero() {
			text += ", until " + c.s.clock(at)
		}
		c.s.printf("%s", text)
	}
	return nil
}

// see prints the parameters that a running task gets from the layers above it
// (language.md 5.2, steps 3 to 5).
func (c *call) see() error {
	s := c.s
	l := c.lease()
	a := s.live.Attempt(l.Attempt)
	v := view(a, a.task(l.Task))
	p := params.Merge(params.NewMap(0), orEmpty(v.Attempt.Params.Map))
	for i := range v.Levels {
		l := &v.Levels[i]
		p = l.Before.ApplyTo(p)
		p = l.Stores.ApplyTo(p)
		if l.Export != nil {
			p = params.Merge(p, l.Export)
		}
		if l.Error != nil {
			p = params.Merge(p, params.Of("error", l.Error))
		}
		if l.Returned != nil {
			p = params.Merge(p, l.Returned)
		}
		if l.Store != nil || l.Reset != nil {
			p = params.Stores{}.Put(l.Store, l.Reset).ApplyTo(p)
		}
	}
	s.printf("%s", params.AppendJSON(nil, p))
	return nil
}

func orEmpty(m *params.Map) *params.Map {
	if m == nil {
		return params.NewMap(0)
	}
	return m
}

func (c *call) alerts() error {
	for _, p := range c.s.live.Alerts() {
		text := fmt.Sprintf("%d %s", p.ID, c.s.alert(&p.Alert))
		if p.Tries > 0 {
			text += fmt.Sprintf(", tried %d times, next at %s: %s", p.Tries, c.s.clock(p.Due), p.Why)
		}
		c.s.printf("%s", text)
	}
	return nil
}
