package local

import (
	"fmt"
	"regexp"
	"strings"

	"gitdag/engine/flow"
)

// parsePattern returns a task pattern with its plus. A task matches if its full
// name ends with the pattern.
func parsePattern(text string) (string, error) {
	pattern := text
	if !strings.HasPrefix(pattern, "+") {
		pattern = "+" + pattern
	}
	for _, segment := range strings.Split(pattern[1:], "+") {
		if segment == "" {
			return "", fmt.Errorf("task pattern %q has an empty name", text)
		}
	}
	return pattern, nil
}

// fullNames returns the full names of a tree's nodes.
func fullNames(t *flow.Tree) []string {
	names := make([]string, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Parent >= 0 {
			names[i] = names[n.Parent]
		}
		names[i] += n.Name
	}
	return names
}

// match finds the one task that a pattern means.
func match(names []string, text string) (int32, error) {
	pattern, err := parsePattern(text)
	if err != nil {
		return 0, err
	}
	var found []int32
	for i, name := range names {
		if strings.HasSuffix(name, pattern) {
			found = append(found, int32(i))
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("task pattern %q does not match any task of the workflow", text)
	case 1:
		return found[0], nil
	}
	candidates := make([]string, len(found))
	for i, k := range found {
		candidates[i] = names[k]
	}
	return 0, fmt.Errorf("task pattern %q is ambiguous, candidates: %s", text, strings.Join(candidates, ", "))
}

// alone returns the tree of one task and all below it, under the groups that
// lead to it, whose exports stay in force (L61). Neither waits for siblings.
func alone(t *flow.Tree, target int32) (*flow.Tree, error) {
	var path []int32
	for i := t.Nodes[target].Parent; i >= 0; i = t.Nodes[i].Parent {
		path = append(path, i)
	}
	sub := &flow.Tree{}
	at := map[int32]int32{-1: -1}
	add := func(i int32) *flow.Node {
		n := t.Nodes[i]
		n.Parent = at[n.Parent]
		at[i] = int32(len(sub.Nodes))
		sub.Nodes = append(sub.Nodes, n)
		return &sub.Nodes[at[i]]
	}
	for k := len(path) - 1; k >= 0; k-- {
		n := add(path[k])
		n.Background, n.After = false, nil
	}
	n := add(target)
	n.Background, n.After = false, nil
	from, to := t.Descendants(target)
	for i := from; i < to; i++ {
		n := add(i)
		after := make([]int32, len(n.After))
		for k, a := range n.After {
			after[k] = at[a]
		}
		n.After = after
	}
	if err := sub.Link(); err != nil {
		return nil, fmt.Errorf("select a task: %w", err)
	}
	return sub, nil
}

// preceding returns what must have succeeded before a task starts: the
// siblings that it and its ancestors wait for, directly or through others, with
// all below them.
func preceding(t *flow.Tree, target int32) map[int32]bool {
	set := map[int32]bool{}
	var upstream func(i int32)
	upstream = func(i int32) {
		parent := t.Nodes[i].Parent
		if parent < 0 {
			return
		}
		for _, u := range t.Upstreams(i, t.Nodes[parent].Parallel) {
			if set[u] {
				continue
			}
			set[u] = true
			from, to := t.Descendants(u)
			for d := from; d < to; d++ {
				set[d] = true
			}
			upstream(u)
		}
	}
	for i := target; i >= 0; i = t.Nodes[i].Parent {
		upstream(i)
	}
	return set
}

// selection decides by a task's name whether it is left out, and whether an
// earlier run may have done it already.
type selection struct {
	// static is the tree's index by full name; nil where every task runs and
	// every state counts.
	static map[string]int32
	// reusable are the nodes whose states count, included those that run; nil
	// for all. A generated task goes by the node that it was generated for.
	reusable, included map[int32]bool
	none               bool // no state counts
}

// choose reads Rerun, Start, Goal and End.
func (o *Options) choose(t *flow.Tree) (*selection, error) {
	s := &selection{none: o.Rerun}
	if o.Start == "" && o.Goal == "" && o.End == "" {
		return s, nil
	}
	names := fullNames(t)
	s.static = make(map[string]int32, len(names))
	for i, name := range names {
		s.static[name] = int32(i)
	}
	for _, pattern := range []string{o.Start, o.Goal} {
		if pattern == "" {
			continue
		}
		target, err := match(names, pattern)
		if err != nil {
			return nil, err
		}
		s.reusable = preceding(t, target)
	}
	if o.Goal == "" && o.End == "" {
		return s, nil
	}
	target, err := match(names, o.Goal+o.End)
	if err != nil {
		return nil, err
	}
	s.included = preceding(t, target)
	// The groups around it are included for what they generate: `_error` and
	// the alert.
	for i := t.Nodes[target].Parent; i >= 0; i = t.Nodes[i].Parent {
		s.included[i] = true
	}
	if o.Goal != "" {
		s.included[target] = true
		from, to := t.Descendants(target)
		for i := from; i < to; i++ {
			s.included[i] = true
		}
	}
	return s, nil
}

// owner returns the static task that a task is, or was generated for (L55).
func (s *selection) owner(name string) (node int32, ok bool) {
	for {
		if node, ok = s.static[name]; ok {
			return node, true
		}
		i := strings.LastIndexByte(name, '^')
		if i < 0 {
			return 0, false
		}
		name = name[:i]
	}
}

// leavesOut tells whether a task does not run at all.
func (s *selection) leavesOut(name string) bool {
	if s.included == nil {
		return false
	}
	node, ok := s.owner(name)
	return ok && !s.included[node]
}

// onFailure matches the names of tasks that a failure, or a missed deadline, has
// made.
var onFailure = regexp.MustCompile(`\^(error|failure-alert|sla)([+^]|$)`)

// mayReuse tells whether a saved state of the task counts. What a failure makes
// runs at each one: it was done about another failure.
func (s *selection) mayReuse(name string) bool {
	if strings.Contains(name, "^") && onFailure.MatchString(name) {
		return false
	}
	if s.none || s.reusable == nil {
		return !s.none
	}
	node, ok := s.owner(name)
	return ok && s.reusable[node]
}
