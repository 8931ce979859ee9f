package dig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// analyse tells what kind of task a mapping is (language.md 2.5) and reads its options.
func (c *compiler) analyse(m *params.Map) *body {
	b := &body{m: m}
	if c.flag(m, disableKey) {
		b.group, b.disabled, b.config = true, true, params.NewMap(0)
		return b
	}
	operators := operatorKeys(m)
	b.group = len(operators) == 0 && !m.Has("_type")
	b.export = c.mapping(m, "_export")
	b.onError = c.onError(m)
	b.background = c.flag(m, "_background")
	b.after = c.afterList(m)
	b.timeout = c.timeout(m)
	c.labels(m)
	if b.group {
		c.group(b)
	} else {
		c.operator(b, operators)
	}
	return b
}

// flag reads an option that is decided at compile time.
func (c *compiler) flag(m *params.Map, key string) bool {
	v, ok := m.Lookup(key)
	if !ok || v == nil {
		return false
	}
	on, expected := params.Bool(v)
	if expected != "" {
		c.errorAtValue(m, key, "", "task %s: %s must be true or false, it is never evaluated", c.task(), key)
	}
	return on
}

// operatorKeys are the keys of the form `name>`.
func operatorKeys(m *params.Map) []string {
	var keys []string
	for key := range m.All() {
		if strings.HasSuffix(key, ">") {
			keys = append(keys, key)
		}
	}
	return keys
}

// mapping reads an option that is a mapping; null is like none.
func (c *compiler) mapping(m *params.Map, key string) *params.Map {
	v, ok := m.Lookup(key)
	if !ok || v == nil {
		return nil
	}
	sub, ok := v.(*params.Map)
	if !ok {
		c.errorAtValue(m, key, "", "task %s: %s must be a mapping", c.task(), key)
		return nil
	}
	if sub.Len() == 0 {
		return nil
	}
	return sub
}

func (c *compiler) onError(m *params.Map) *flow.Tree {
	v, ok := m.Lookup("_error")
	if !ok {
		return nil
	}
	sub, isMap := v.(*params.Map)
	if !isMap {
		c.errorAtValue(m, "_error", "", "task %s: _error must be a mapping of what to run", c.task())
		return nil
	}
	if sub.Len() == 0 {
		return nil
	}
	if tree, ok := c.env.errors[sub]; ok {
		return tree
	}
	if len(c.path) > maxDepth {
		c.errorAt(m, "_error", "", "task %s is nested more than %d levels deep", c.task(), maxDepth)
		return nil
	}
	nested := &compiler{env: c.env, path: slices.Clone(c.path)}
	tree := nested.compile("^error", sub)
	if err := tree.Link(); err != nil {
		c.errorAt(m, "_error", "", "task %s: _error: %s", c.task(), err)
	}
	c.env.errors[sub] = tree
	return tree
}

func (c *compiler) afterList(m *params.Map) params.List {
	v, ok := m.Lookup("_after")
	if !ok {
		return nil
	}
	list, isList := v.(params.List)
	if !isList {
		c.errorAtValue(m, "_after", "write it in brackets: `_after: [+name]`",
			"task %s: _after must be a list of task names", c.task())
		return nil
	}
	if list == nil {
		list = params.List{}
	}
	return list
}

// timeout reads `_timeout`, unless it is a template: then it is for nobody to decide here.
func (c *compiler) timeout(m *params.Map) time.Duration {
	v, ok := m.Lookup("_timeout")
	if !ok || v == nil || flow.HasTemplate(v) {
		return 0
	}
	d, expected := params.Duration(v)
	if expected != "" || d <= 0 {
		c.errorAtValue(m, "_timeout", "", "task %s: _timeout must be a duration such as 30s or 1h 30m", c.task())
		return 0
	}
	return d
}

// labels checks `_labels`: names with texts.
func (c *compiler) labels(m *params.Map) {
	sub := c.mapping(m, "_labels")
	for key, v := range sub.All() {
		if _, expected := params.String(v); expected != "" {
			c.errorAtValue(sub, key, "", "task %s: the label %q must be a text", c.task(), key)
		}
	}
}

// labelsOf returns the `_labels` of a mapping that has been checked.
func labelsOf(m *params.Map) map[string]string {
	v, _ := m.Lookup("_labels")
	sub, ok := v.(*params.Map)
	if !ok {
		return nil
	}
	labels := make(map[string]string, sub.Len())
	for key, v := range sub.All() {
		labels[key], _ = params.String(v)
	}
	return labels
}

func (c *compiler) group(b *body) {
	for key, v := range b.m.All() {
		switch {
		case strings.HasPrefix(key, "+"):
			c.kid(b, key, v)
		case !slices.Contains(groupKeys, key):
			hint := DidYouMean(key, slices.Concat(c.also, groupKeys))
			if hint == "" {
				hint = c.keyHint(b.m, key)
			}
			c.errorAt(b.m, key, hint, "task %s contains invalid keys: %q", c.task(), key)
		}
	}
	if b.m.Has("_check") {
		c.warnAt(b.m, "_check", "put it on the last task instead",
			"task %s: _check is ignored on a group", c.task())
	}
	c.parallel(b)
	c.retry(b)
	b.config = c.own(b.m, true)
}

// keyHint explains a key that YAML did not read as it is written (L66), or an operator that is none.
func (c *compiler) keyHint(m *params.Map, key string) string {
	if c.env.places == nil {
		return ""
	}
	if _, raw := c.env.places.key(m, key); raw != key && strings.HasPrefix(raw, "+") {
		return fmt.Sprintf("%s is read as a number; put the task name in quotes: %q", raw, raw)
	}
	return ""
}

func (c *compiler) parallel(b *body) {
	raw, ok := b.m.Lookup("_parallel")
	if !ok {
		return
	}
	if flow.HasTemplate(raw) {
		_, b.parallel.On = raw.(*params.Map)
		b.anyOrder = !b.parallel.On
		b.options = groupOptions(b.m)
		return
	}
	p, err := flow.ParseParallel(raw)
	if err != nil {
		c.errorAtValue(b.m, "_parallel", "use true, false or {limit: N}", "task %s: %s", c.task(), err)
	}
	b.parallel = p
}

func (c *compiler) retry(b *body) {
	raw, ok := b.m.Lookup("_retry")
	if !ok {
		return
	}
	if flow.HasTemplate(raw) {
		b.options = groupOptions(b.m)
		return
	}
	r, err := flow.ParseRetry(raw)
	if err != nil {
		c.warnAt(b.m, "_retry", "use a number or {limit: N, interval: SECONDS}",
			"task %s: %s; the group is not retried", c.task(), err)
	}
	b.retry = r
}

// groupOptions are the raw options that are evaluated when the group becomes ready (L31).
func groupOptions(m *params.Map) *params.Map {
	options := params.NewMap(2)
	for _, key := range []string{"_retry", "_parallel"} {
		if v, ok := m.Lookup(key); ok {
			options.Set(key, v)
		}
	}
	return options
}

func (c *compiler) kid(b *body, name string, v any) {
	if err := checkTaskName(name, c.top && len(c.path) == 1); err != nil {
		c.errorAt(b.m, name, "", "task %s: %s", c.task()+name, err)
		return
	}
	m, err := c.taskMapping(v)
	if err != nil {
		c.errorAt(b.m, name, "write {} for a task that does nothing", "task %s: %s", c.task()+name, err)
		return
	}
	b.kids = append(b.kids, kid{name, m})
}

// taskMapping is the mapping of a task: its value, or the mappings of a list laid over each other (L11).
func (c *compiler) taskMapping(v any) (*params.Map, error) {
	switch v := v.(type) {
	case *params.Map:
		return v, nil
	case params.List:
		if len(v) == 1 {
			return c.taskMapping(v[0])
		}
		out := params.NewMap(0)
		for _, item := range v {
			m, ok := item.(*params.Map)
			if !ok {
				return nil, errors.New("a task that is a list must be a list of mappings")
			}
			for key, value := range m.All() {
				out.Set(key, value)
				if c.env.places != nil {
					c.env.places.copyKey(out, m, key)
				}
			}
		}
		return out, nil
	case nil:
		return nil, errors.New("a task must be a mapping, but it is empty")
	}
	return nil, errors.New("a task must be a mapping")
}

func (c *compiler) operator(b *body, operators []string) {
	if len(operators) > 1 {
		c.errorAt(b.m, operators[1], "make a task of each",
			"task %s has more than one operator: %s", c.task(), strings.Join(operators, ", "))
	}
	for key := range b.m.All() {
		if strings.HasPrefix(key, "+") {
			c.errorAt(b.m, key, "put the operator into a task of its own",
				"task %s: a task with an operator can't have subtasks: %q", c.task(), key)
			break
		}
	}
	b.config = c.own(b.m, false)
}

// ownKeys is what of m stays with the task: m itself where that is all.
func ownKeys(m *params.Map, group bool) *params.Map {
	foreign := func(key string) bool {
		switch key {
		case "_export", "_background", "_after":
			return true
		}
		return group && strings.HasPrefix(key, "+")
	}
	n := 0
	for key := range m.All() {
		if !foreign(key) {
			n++
		}
	}
	if n == m.Len() {
		return m
	}
	own := params.NewMap(n)
	for key, v := range m.All() {
		if !foreign(key) {
			own.Set(key, v)
		}
	}
	return own
}
