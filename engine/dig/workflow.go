package dig

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// Workflow is one root .dig file, compiled.
type Workflow struct {
	Name string
	// File is the path of its file inside the project.
	File string
	// Timezone is the name of the time zone as written, UTC if none is; Zone is what it means.
	Timezone string
	Zone     *time.Location
	// Config is the top level of the file with its includes: `_export`, the other options, then the tasks in file
	// order, without `timezone`. Texts are templates.
	Config *params.Map
	// Tree is the task tree, rooted at "+" and the name.
	Tree *flow.Tree
	// Schedule is when the workflow is due, nil for never; ScheduleConfig is the mapping that says so.
	Schedule       *schedule.Schedule
	ScheduleConfig *params.Map
	SLA            *SLA
	// Labels are the top level's `_labels`.
	Labels map[string]string
}

// SLA is a workflow's `sla:` mapping.
type SLA struct {
	schedule.SLA
	// Tree is what runs on a miss, rooted at "^sla"; nil for nothing.
	Tree *flow.Tree
}

// topKeys are the keys of a file's top level, but for its tasks.
var topKeys = keysAt(atTop)

const timezoneKey = "timezone"

// maxTasks bounds the static tasks of a workflow, more than any attempt may have.
const maxTasks = 250_000

// workflow compiles a document that became a workflow of its own. It is nil if an error was reported.
func (l *loader) workflow(doc *document, opts *Options) *Workflow {
	name := strings.TrimSuffix(doc.path, suffix)
	w := &Workflow{Name: name, File: doc.path}
	u := &unit{loader: l, opts: opts, m: doc.m, failed: doc.failed, shadows: map[shadow]bool{}}
	start := place{file: doc.path, line: 1, column: 1}
	if err := CheckName(name); err != nil {
		u.error(start, "", "rename the file", "%s", err)
	} else if err := checkTaskName("+"+name, false); err != nil {
		u.error(start, "", "rename the file", "workflow name %q: %s", name, err)
	}
	if doc.m == nil || doc.incomplete {
		return nil
	}
	u.checkTop()
	w.Timezone, w.Zone = u.timezone()
	w.Config = normalise(l.places, doc.m)
	env := u.env()
	c := &compiler{env: env, top: true}
	w.Labels = labelsOf(w.Config)
	w.Tree = c.compile("+"+name, w.Config)
	w.ScheduleConfig, w.Schedule = u.schedule(w.Zone)
	w.SLA = u.sla(env, "+"+name)
	u.lint(env)
	if err := w.Tree.Link(); err != nil {
		u.error(start, "", "", "%s", err)
	}
	if u.failed {
		return nil
	}
	return w
}

// unit is a file's top level while it is checked.
type unit struct {
	loader *loader
	opts   *Options
	m      *params.Map
	failed bool
	tasks  []*visited
	// shadows are those reported already.
	shadows map[shadow]bool
}

func (u *unit) error(at place, key, hint, format string, args ...any) {
	u.failed = true
	u.loader.report(Error, at, key, fmt.Sprintf(format, args...), hint)
}

func (u *unit) env() *compileEnv {
	return &compileEnv{
		report: u.report,
		visit:  func(t *visited) { u.tasks = append(u.tasks, t) },
		places: u.loader.places,
		bodies: map[*params.Map]*body{},
		errors: map[*params.Map]*flow.Tree{},
		limit:  maxTasks,
	}
}

func (u *unit) report(s Severity, p problem, message, hint string) {
	if s == Error {
		u.failed = true
	}
	at, key := u.loader.places.key(p.in, p.key)
	if p.value {
		at = u.loader.places.value(p.in, p.key)
	}
	u.loader.report(s, at, key, message, hint)
}

// checkTop reports the keys that do not belong at the top level of a file.
func (u *unit) checkTop() {
	for key := range u.m.All() {
		if strings.HasPrefix(key, "+") || slices.Contains(topKeys, key) {
			continue
		}
		at, written := u.loader.places.key(u.m, key)
		u.error(at, written, u.topHint(key, written), "workflow includes unknown keys: [%s]", written)
	}
}

// checkNames reports the names of tasks that are not allowed at the top level of a file.
func (u *unit) checkNames() {
	for key := range u.m.All() {
		if !strings.HasPrefix(key, "+") {
			continue
		}
		if err := checkTaskName(key, true); err != nil {
			at, written := u.loader.places.key(u.m, key)
			u.error(at, written, "", "task %s: %s", key, err)
		}
	}
}

func (u *unit) topHint(key, written string) string {
	switch {
	case written != key && strings.HasPrefix(written, "+"):
		return fmt.Sprintf("%s is read as a number; put the task name in quotes: %q", written, written)
	case strings.HasSuffix(key, ">"):
		return fmt.Sprintf("an operator belongs into a task: `+name: {%s: …}`", key)
	case u.m.Has("+" + key):
		return ""
	}
	return DidYouMean(key, topKeys)
}

// timezone reads the workflow's time zone; it is never evaluated.
func (u *unit) timezone() (string, *time.Location) {
	const standard = "UTC"
	v, ok := u.m.Lookup(timezoneKey)
	if !ok || v == nil {
		return standard, time.UTC
	}
	at := u.loader.places.value(u.m, timezoneKey)
	name, isText := params.Text(v)
	if !isText {
		u.error(at, timezoneKey, zoneHint(""), "timezone must be the name of a time zone")
		return standard, time.UTC
	}
	zone, err := Zone(name)
	if err != nil {
		u.error(at, timezoneKey, zoneHint(name), "%s", err)
		return standard, time.UTC
	}
	return name, zone
}

// normalise orders the top level as it is shown everywhere, without the time zone.
func normalise(p places, m *params.Map) *params.Map {
	out := params.NewMap(m.Len())
	p[out] = &spots{}
	if s := p[m]; s != nil {
		p[out].at = s.at
	}
	for _, key := range topKeys {
		if v, ok := m.Lookup(key); ok && key != timezoneKey {
			out.Set(key, v)
			p.copyKey(out, m, key)
		}
	}
	for key, v := range m.All() {
		if strings.HasPrefix(key, "+") {
			out.Set(key, v)
			p.copyKey(out, m, key)
		}
	}
	return out
}

// schedule reads the `schedule:` mapping. A key that it does not know is an error, but for those who only run the
// workflow (L49).
func (u *unit) schedule(zone *time.Location) (*params.Map, *schedule.Schedule) {
	m := u.block("schedule")
	if m == nil {
		return nil, nil
	}
	s, err := schedule.Parse(Fields(m), zone)
	for _, fault := range schedule.Faults(err) {
		severity := Error
		if fault.Kind == schedule.UnknownKey && u.opts.LooseSchedules {
			severity = Warning
		}
		u.fault(m, "schedule", fault, severity)
	}
	return m, s
}

// block is a top-level option that is a mapping.
func (u *unit) block(key string) *params.Map {
	v, ok := u.m.Lookup(key)
	if !ok || v == nil {
		return nil
	}
	m, ok := v.(*params.Map)
	if !ok {
		u.error(u.loader.places.value(u.m, key), key, "", "%s must be a mapping", key)
	}
	return m
}

// fault reports what is wrong with a block, at the value of the key if the key is right.
func (u *unit) fault(m *params.Map, block string, f *schedule.Error, severity Severity) {
	places := u.loader.places
	at, key := places.key(u.m, block)
	if f.Key != "" {
		at, key = places.key(m, f.Key)
		if f.Kind != schedule.UnknownKey && len(f.Suggestions) == 0 {
			at = places.value(m, f.Key)
		}
	}
	hint := ""
	if len(f.Suggestions) > 0 {
		hint = fmt.Sprintf("did you mean %q?", f.Suggestions[0])
	}
	if severity == Error {
		u.failed = true
	}
	u.loader.report(severity, at, key, f.Msg, hint)
}

// sla reads the `sla:` mapping and compiles what it runs on a miss.
func (u *unit) sla(env *compileEnv, root string) *SLA {
	m := u.block("sla")
	if m == nil {
		return nil
	}
	sla, rest, err := schedule.ParseSLA(Fields(m))
	for _, fault := range schedule.Faults(err) {
		u.fault(m, "sla", fault, Error)
	}
	if err != nil || len(rest) == 0 {
		return &SLA{SLA: sla}
	}
	config := params.NewMap(len(rest))
	for _, f := range rest {
		v, _ := m.Lookup(f.Key)
		config.Set(f.Key, v)
		u.loader.places.copyKey(config, m, f.Key)
	}
	c := &compiler{env: env, path: []string{root}, also: []string{"time", "duration", "alert", "fail", "warn"}}
	tree := c.compile("^sla", config)
	if err := tree.Link(); err != nil {
		u.error(u.loader.places.value(u.m, "sla"), "sla", "", "%s", err)
	}
	return &SLA{SLA: sla, Tree: tree}
}

// Fields hands a `schedule:` or `sla:` mapping to package schedule. What is neither a text, a number, a boolean nor
// null is nothing that it accepts anywhere.
func Fields(m *params.Map) []schedule.Field {
	list := make([]schedule.Field, 0, m.Len())
	for key, v := range m.All() {
		switch x := v.(type) {
		case params.Number:
			v = json.Number(x)
		case params.Template:
			v = string(x)
		}
		list = append(list, schedule.Field{Key: key, Value: v})
	}
	return list
}
