package engine

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// assemble merges the layers that a task sees, without its own keys: steps 1
// to 7 of language.md 5.2.
func (e *Engine) assemble(v *flow.View, fullName string, zone *time.Location) *params.Map {
	p := e.options.Params
	if p == nil {
		p = params.NewMap(0)
	}
	p = merged(p, v.Attempt.Params.Map)
	last := len(v.Levels) - 1
	for i := range v.Levels {
		l := &v.Levels[i]
		p = l.Before.ApplyTo(p)
		if i == last {
			p = merged(p, ownExport(l))
			break
		}
		p = merged(p, ownExport(l))
		p = merged(p, l.Returned)
		if l.Store.Len() > 0 || len(l.Reset) > 0 {
			p = params.Stores{}.Put(l.Store, l.Reset).ApplyTo(p)
		}
	}
	if p.Has("_check") || p.Has("_error") {
		p = p.Clone()
		p.Delete("_check")
		p.Delete("_error")
	}
	return merged(p, runtime(v, fullName, zone, p))
}

// ownExport is a level's `_export`; an ^error subtree is also given what the
// failed tasks stored, and their errors.
func ownExport(l *flow.Level) *params.Map {
	if l.Error == nil {
		return l.Export
	}
	p := merged(params.NewMap(0), l.Export)
	p = l.Stores.ApplyTo(p)
	return params.Merge(p, params.Of("error", l.Error))
}

func merged(dst, src *params.Map) *params.Map {
	if src.Len() == 0 {
		return dst
	}
	return params.Merge(dst, src)
}

// local returns the keys that are a task's own parameters.
func local(config *params.Map) *params.Map {
	if !config.Has("_check") && !config.Has("_error") {
		return config
	}
	c := config.Clone()
	c.Delete("_check")
	c.Delete("_error")
	return c
}

// The formats of the built-in variables (language.md 6).
const (
	timeFormat        = "2006-01-02T15:04:05-07:00"
	dateFormat        = "2006-01-02"
	dateCompactFormat = "20060102"
	localTimeFormat   = "2006-01-02 15:04:05"
	offsetFormat      = "-0700"
)

// runtime returns the built-in variables.
func runtime(v *flow.View, fullName string, zone *time.Location, seen *params.Map) *params.Map {
	a := &v.Attempt
	r := params.NewMap(48)
	r.Set("timezone", a.Timezone)
	r.Set("project_id", number(a.Project))
	r.Set("session_id", number(v.Session.ID))
	r.Set("attempt_id", number(a.ID))
	r.Set("session_uuid", v.Session.UUID)
	at := v.Session.Time.In(zone)
	r.Set("session_time", at.Format(timeFormat))
	setTimes(r, "session_", at)
	r.Set("task_name", fullName)
	if a.RetryName != "" {
		r.Set("retry_attempt_name", a.RetryName)
	}
	for _, prefix := range []string{"last_session_", "next_session_"} {
		if t, ok := timeAt(seen, prefix+"time", zone); ok {
			setTimes(r, prefix, t)
		}
	}
	setExecuted(r, seen, zone)
	return r
}

func number(id uint64) params.Number { return params.Number(strconv.FormatUint(id, 10)) }

// setTimes adds the variables derived from a time.
func setTimes(r *params.Map, prefix string, t time.Time) {
	r.Set(prefix+"date", t.Format(dateFormat))
	r.Set(prefix+"date_compact", t.Format(dateCompactFormat))
	r.Set(prefix+"local_time", t.Format(localTimeFormat))
	r.Set(prefix+"tz_offset", t.Format(offsetFormat))
	r.Set(prefix+"unixtime", params.Number(strconv.FormatInt(t.Unix(), 10)))
}

// setExecuted adds the variables of the last scheduled run, which are always
// there: without one they are empty (L26).
func setExecuted(r, seen *params.Map, zone *time.Location) {
	const prefix = "last_executed_session_"
	v, _ := seen.Lookup(prefix + "time")
	text, _ := params.Text(v)
	if text == "" {
		r.Set(prefix+"time", "")
		for _, name := range []string{"date", "date_compact", "local_time"} {
			r.Set(prefix+name, "")
		}
		r.Set(prefix+"tz_offset", time.Unix(0, 0).In(zone).Format(offsetFormat))
		r.Set(prefix+"unixtime", "")
		return
	}
	r.Set(prefix+"time", text)
	if t, ok := timeAt(seen, prefix+"time", zone); ok {
		setTimes(r, prefix, t)
	}
}

// timeShape is the only form of a given time that is expanded (L69).
var timeShape = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$`)
})

func timeAt(m *params.Map, key string, zone *time.Location) (time.Time, bool) {
	v, _ := m.Lookup(key)
	text, ok := params.Text(v)
	if !ok || !strings.Contains(text, "T") || !timeShape().MatchString(text) {
		return time.Time{}, false
	}
	t, err := time.Parse(timeFormat, text)
	return t.In(zone), err == nil
}
