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

// groupKeys are the keys of a group, but for its tasks.
var groupKeys = keysAt(onGroup)

// Compile compiles a subtree that a task generated, or that is generated for it, rooted at name ("^sub", "^check",
// "^error"). The tree shares config's mappings as far as they hold nothing but a task's own keys. What config holds
// more than once, as the body of a loop, is compiled once and kept once, even where it is a copy. The error is that of
// the first task that has one.
func Compile(name string, config *params.Map) (*flow.Tree, error) {
	var first error
	c := &compiler{
		env: &compileEnv{
			report: func(s Severity, _ problem, message, hint string) {
				if s != Error || first != nil {
					return
				}
				if hint != "" {
					message += ", " + hint
				}
				first = errors.New(message)
			},
			bodies: map[*params.Map]*body{},
			errors: map[*params.Map]*flow.Tree{},
			equal:  map[string]*params.Map{},
		},
	}
	tree := c.compile(name, config)
	if first != nil {
		return nil, first
	}
	if err := tree.Link(); err != nil {
		return nil, err
	}
	return tree, nil
}

// problem is what a diagnostic is about: a key of a mapping, or with value the value there.
type problem struct {
	in    *params.Map
	key   string
	value bool
}

// compileEnv is what the compilers of a workflow and of its `_error` subtrees share.
type compileEnv struct {
	report func(s Severity, p problem, message, hint string)
	// visit sees every task with the exports in its scope; nil where nobody looks for more than errors.
	visit  func(t *visited)
	places places // nil for generated subtrees
	bodies map[*params.Map]*body
	errors map[*params.Map]*flow.Tree
	equal  map[string]*params.Map // the tasks' own keys by their text, nil where repetition is not expected
	scope  []*params.Map          // the exports of the tasks around the current one
	tasks  int                    // compiled so far
	limit  int                    // of tasks; 0 for none
}

// compiler compiles one tree.
type compiler struct {
	env   *compileEnv
	top   bool     // the root's children stand at the top level of a file
	also  []string // keys that may be meant beyond those of a group
	nodes []flow.Node
	path  []string // names of the tasks around the current one
}

func (c *compiler) compile(name string, config *params.Map) *flow.Tree {
	c.path = append(c.path, name)
	c.emit(c.body(config, 0), name, -1)
	return &flow.Tree{Nodes: c.nodes}
}

// task is the full name of the current task.
func (c *compiler) task() string { return strings.Join(c.path, "") }

func (c *compiler) errorAt(m *params.Map, key, hint, format string, args ...any) {
	c.env.report(Error, problem{in: m, key: key}, fmt.Sprintf(format, args...), hint)
}

func (c *compiler) errorAtValue(m *params.Map, key, hint, format string, args ...any) {
	c.env.report(Error, problem{in: m, key: key, value: true}, fmt.Sprintf(format, args...), hint)
}

func (c *compiler) warnAt(m *params.Map, key, hint, format string, args ...any) {
	c.env.report(Warning, problem{in: m, key: key}, fmt.Sprintf(format, args...), hint)
}

// body is what one mapping says, whatever the task's name and place.
type body struct {
	m        *params.Map
	group    bool
	disabled bool
	config   *params.Map
	export   *params.Map
	onError  *flow.Tree
	parallel flow.Parallel
	// anyOrder tells that the parallel option is decided when the group becomes ready.
	anyOrder   bool
	retry      flow.Retry
	options    *params.Map
	timeout    time.Duration
	background bool
	after      params.List
	kids       []kid
}

type kid struct {
	name string
	m    *params.Map
}

// emit appends a task and all below it. The bodies of the children are known before the first is appended, since
// their options are those of their place among siblings.
func (c *compiler) emit(b *body, name string, parent int32) {
	at := int32(len(c.nodes))
	c.nodes = append(c.nodes, flow.Node{
		Name: name, Parent: parent, Group: b.group,
		Parallel: b.parallel, Retry: b.retry, Options: b.options,
		Config: b.config, Export: b.export, Error: b.onError, Timeout: b.timeout,
	})
	if c.env.visit != nil {
		c.env.visit(&visited{task: c.task(), body: b, scope: c.env.scope})
	}
	if len(c.path) > maxDepth {
		c.errorAt(b.m, "", "", "task %s is nested more than %d levels deep", c.task(), maxDepth)
		return
	}
	if c.env.tasks++; c.env.limit > 0 && c.env.tasks > c.env.limit {
		if c.env.tasks == c.env.limit+1 {
			c.errorAt(b.m, "", "", "the workflow has more than %d tasks", c.env.limit)
		}
		return
	}
	if b.export != nil {
		outer := c.env.scope
		c.env.scope = append(slices.Clip(outer), b.export) // clipped: who visited a task keeps its scope
		defer func() { c.env.scope = outer }()
	}
	c.nodes = slices.Grow(c.nodes, len(b.kids))
	siblings := earlier{group: b, at: make([]int32, 0, len(b.kids))}
	for _, k := range b.kids {
		c.path = append(c.path, k.name)
		c.child(&siblings, k, at)
		c.path = c.path[:len(c.path)-1]
	}
}

// earlier are the tasks of a group that stand before the current one.
type earlier struct {
	group *body
	at    []int32          // their nodes
	named map[string]int32 // by name, as far as somebody has asked
}

func (e *earlier) find(name string) (int32, bool) {
	if e.named == nil {
		e.named = map[string]int32{}
	}
	for i := len(e.named); i < len(e.at); i++ {
		e.named[e.group.kids[i].name] = e.at[i]
	}
	at, ok := e.named[name]
	return at, ok
}

func (c *compiler) child(siblings *earlier, k kid, parent int32) {
	b := c.body(k.m, len(c.path))
	at := int32(len(c.nodes))
	c.emit(b, k.name, parent)
	c.nodes[at].Background = c.background(siblings.group, b)
	if b.after != nil {
		c.nodes[at].After = c.after(siblings, b)
	}
	siblings.at = append(siblings.at, at)
}

func (c *compiler) background(group, b *body) bool {
	if b.background && group.parallel.On {
		c.errorAt(b.m, "_background", "",
			"task %s: _background is unnecessary in a parallel group", c.task())
	}
	return b.background
}

// after resolves the names of earlier siblings (L8).
func (c *compiler) after(siblings *earlier, b *body) []int32 {
	group := siblings.group
	if !group.parallel.On && !group.anyOrder {
		c.errorAt(b.m, "_after", "the tasks of this group run one after the other already",
			"task %s: _after is only allowed in a group with _parallel", c.task())
		return nil
	}
	var nodes []int32
	for _, item := range b.after {
		name, ok := params.Text(item)
		if !ok {
			c.errorAtValue(b.m, "_after", "", "task %s: _after must be a list of task names", c.task())
			return nil
		}
		at, ok := siblings.find(name)
		if !ok {
			c.errorAtValue(b.m, "_after", afterHint(group, len(siblings.at), name),
				"task %s: dependency task %s does not exist", c.task(), name)
			continue
		}
		if !slices.Contains(nodes, at) {
			nodes = append(nodes, at)
		}
	}
	return nodes
}

func afterHint(group *body, i int, name string) string {
	var names []string
	for j, k := range group.kids {
		if k.name == name {
			if j == i {
				return "a task cannot wait for itself"
			}
			return fmt.Sprintf("%s is defined later; only earlier tasks can be waited for", name)
		}
		if j < i {
			names = append(names, k.name)
		}
	}
	if slices.Contains(names, "+"+name) {
		return fmt.Sprintf("write the name with its plus: %q", "+"+name)
	}
	return DidYouMean(name, names)
}

// own is what of m stays with the task.
func (c *compiler) own(m *params.Map, group bool) *params.Map {
	m = ownKeys(m, group)
	if c.env.equal == nil {
		return m
	}
	text := params.Encode(m)
	if known, ok := c.env.equal[string(text)]; ok {
		return known
	}
	c.env.equal[string(text)] = m
	return m
}

// body analyses a mapping. Below the children of a generated root mappings repeat, in a loop's body, so they are
// remembered from there on.
func (c *compiler) body(m *params.Map, depth int) *body {
	if depth < 2 {
		return c.analyse(m)
	}
	b, ok := c.env.bodies[m]
	if !ok {
		b = c.analyse(m)
		c.env.bodies[m] = b
	}
	return b
}
