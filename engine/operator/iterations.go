package operator

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gitdag/engine/params"
)

// iterations builds the group of tasks that a loop generates. Every task is the
// loop's `_do` with an `_export` of its own: what lies below the body's first
// level is shared, so that a body costs the same for one task as for 100,000.
type iterations struct {
	body     *params.Map
	export   *params.Map // of the body; nil for none
	parallel any         // `_parallel` of the group; nil for sequential
	limit    int
	group    *params.Map
}

func newIterations(t *Task) (*iterations, error) {
	body, err := params.Required(t.Config, "_do", params.Object)
	if err != nil {
		return nil, err
	}
	export, err := params.Optional(body, "_export", params.Object, nil)
	if err != nil {
		return nil, err
	}
	parallel, err := readParallel(t.Config)
	if err != nil {
		return nil, err
	}
	return &iterations{body: body, export: export, parallel: parallel, limit: t.MaxTasks}, nil
}

// readParallel returns what the generated group gets as its `_parallel`
// (language.md 3.2).
func readParallel(config *params.Map) (any, error) {
	value, ok := config.Lookup("_parallel")
	if !ok {
		return nil, nil
	}
	switch value := value.(type) {
	case bool, string, params.Template:
		on, err := params.Required(config, "_parallel", params.Bool)
		if err != nil || !on {
			return nil, err
		}
		return true, nil
	case *params.Map:
		limit, err := params.Required(value, "limit", params.Int)
		if err != nil || limit <= 0 {
			return true, err
		}
		return params.Of("limit", limit), nil
	}
	return nil, configError("invalid _parallel format: %s", sample(value))
}

// reserve prepares for n tasks, or refuses them.
func (g *iterations) reserve(typ string, n uint64) error {
	if n > uint64(max(g.limit, 0)) {
		return configError("Too many %s subtasks. Limit: %d", typ, g.limit)
	}
	g.group = params.NewMap(int(n) + 1)
	if g.parallel != nil {
		g.group.Set("_parallel", g.parallel)
	}
	return nil
}

// add generates a task. What it exports replaces equal keys of the body's own
// `_export` (L67). The map becomes the task's.
func (g *iterations) add(name string, export *params.Map) {
	task := params.NewMap(g.body.Len() + 1)
	for key, value := range g.body.All() {
		task.Set(key, value)
	}
	if g.export.Len() > 0 {
		merged := g.export.Clone()
		for key, value := range export.All() {
			merged.Set(key, value)
		}
		export = merged
	}
	task.Set("_export", export)
	g.group.Set(name, task)
}

func (g *iterations) result() *Result { return &Result{Subtasks: g.group} }

// nameTag is how a text appears in the name of a generated task: the first
// eight UTF-16 units, URL-encoded as forms are, but with %20 for a space. Half
// a surrogate pair becomes a question mark. `*` stays, which no task name may
// hold: kept from Digdag.
func nameTag(text string) string {
	const units = 8
	var b strings.Builder
	used := 0
	for _, r := range text {
		if used == units {
			break
		}
		if r > 0xFFFF {
			if used++; used == units {
				r = '?'
			}
		}
		used++
		if r < utf8.RuneSelf && isPlain(byte(r)) {
			b.WriteByte(byte(r))
			continue
		}
		var encoded [utf8.UTFMax]byte
		for _, c := range encoded[:utf8.EncodeRune(encoded[:], r)] {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-*_", c) >= 0
}
