package flow

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gitdag/engine/params"
)

// outline is one line of the notation in which scenarios write trees, with the
// lines indented below it. The notation has its own few words, since the core
// does not read .dig files:
//
//	+w parallel=2 export={"x":1}
//	  +a
//	  +b background after=+a retry=2,1s,exponential,4s timeout=5s
//	    ^error
//	      +tell
//
// A line with children is a group, any other an operator task unless it says
// `group`. `^error` is the `_error` of the line above it.
type outline struct {
	name string
	args words
	kids []*outline
}

// words are the arguments of a line: `key=value`, or a key alone. Values in
// brackets or quotes may hold spaces.
type words struct {
	plain []string
	named map[string]string
}

func (w words) has(key string) bool {
	_, ok := w.named[key]
	return ok
}

// text returns the words without a key, put together.
func (w words) text() string { return strings.Join(w.plain, " ") }

func splitWords(line string) []string {
	var list []string
	start, depth, quoted := -1, 0, false
	for i, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		space := c == ' ' && depth == 0 && !quoted
		switch {
		case space && start >= 0:
			list = append(list, line[start:i])
			start = -1
		case !space && start < 0:
			start = i
		}
	}
	if start >= 0 {
		list = append(list, line[start:])
	}
	return list
}

// parseWords takes the words in flags and all `key=value` as named.
func parseWords(list []string, flags ...string) words {
	w := words{named: map[string]string{}}
	for _, s := range list {
		key, value, ok := strings.Cut(s, "=")
		named := ok && key != "" && !strings.ContainsAny(key, `+^{["`)
		for _, f := range flags {
			named = named || s == f
		}
		if !named {
			w.plain = append(w.plain, s)
			continue
		}
		w.named[key] = strings.Trim(value, `"`)
	}
	return w
}

func parseOutline(lines []string) ([]*outline, error) {
	var top []*outline
	var path []*outline // the line's ancestors, by depth
	for _, line := range lines {
		list := splitWords(line)
		depth := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		if depth > len(path) {
			return nil, fmt.Errorf("%q is indented too far", line)
		}
		o := &outline{name: list[0], args: parseWords(list[1:], "background", "group", "parallel")}
		path = append(path[:depth], o)
		if depth == 0 {
			top = append(top, o)
		} else {
			path[depth-1].kids = append(path[depth-1].kids, o)
		}
	}
	return top, nil
}

// tree compiles an outline. The root of a workflow is always a group.
func (o *outline) tree() (*Tree, error) {
	t := &Tree{}
	if err := o.grow(t, -1, map[string]int32{}); err != nil {
		return nil, err
	}
	if strings.HasPrefix(o.name, "+") {
		t.Nodes[0].Group = true
	}
	return t, t.Link()
}

func (o *outline) grow(t *Tree, parent int32, siblings map[string]int32) error {
	i := int32(len(t.Nodes))
	t.Nodes = append(t.Nodes, Node{Name: o.name, Parent: parent})
	n, err := o.node(parent, siblings)
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	kids := map[string]int32{}
	for _, k := range o.kids {
		if k.name == "^error" {
			if n.Error, err = k.tree(); err != nil {
				return err
			}
			continue
		}
		n.Group = true
		at := int32(len(t.Nodes))
		if err := k.grow(t, i, kids); err != nil {
			return err
		}
		kids[k.name] = at
	}
	t.Nodes[i] = n
	return nil
}

func (o *outline) node(parent int32, siblings map[string]int32) (Node, error) {
	n := Node{Name: o.name, Parent: parent, Background: o.args.has("background"), Group: o.args.has("group")}
	var err error
	for key, value := range o.args.named {
		switch key {
		case "background", "group", "every", "delay", "catchup", "skip_delayed_by", "skip_on_overtime", "hash", "sla":
		case "parallel":
			n.Parallel.On = true
			if value != "" {
				n.Parallel.Limit, err = strconv.Atoi(value)
			}
		case "after":
			for name := range strings.SplitSeq(value, ",") {
				k, ok := siblings[name]
				if !ok {
					return n, fmt.Errorf("no earlier sibling %s", name)
				}
				n.After = append(n.After, k)
			}
		case "retry":
			n.Retry, err = parseRetryWord(value)
		case "timeout":
			n.Timeout, err = time.ParseDuration(value)
		case "export":
			n.Export, err = parseObject(value)
		case "options":
			n.Options, err = parseObject(value)
		default:
			err = fmt.Errorf("%s is not known", key)
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// parseRetryWord reads LIMIT[,INTERVAL[,exponential[,MAX]]].
func parseRetryWord(s string) (r Retry, err error) {
	for i, part := range strings.Split(s, ",") {
		switch i {
		case 0:
			r.Limit, err = strconv.Atoi(part)
		case 1:
			r.Interval, err = time.ParseDuration(part)
		case 2:
			r.Exponential = part == "exponential"
		case 3:
			r.Max, err = time.ParseDuration(part)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseObject(s string) (*params.Map, error) {
	v, err := params.Parse([]byte(s))
	if err != nil {
		return nil, err
	}
	m, ok := v.(*params.Map)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", s)
	}
	return m, nil
}
