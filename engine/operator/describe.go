package operator

import (
	"slices"
	"strings"

	"gitdag/engine/params"
)

// Describe returns what a task is about to do, `type>: command`: the first
// thing that is told of it.
func Describe(t *Task) string {
	switch {
	case t.Type == "":
		return "nothing to do"
	case !t.Config.Has(t.Type + ">"):
		return "type: " + t.Type
	}
	command, _ := t.Config.Lookup("_command")
	return t.Type + ">: " + described(command)
}

func described(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case *params.Map:
		parts := make([]string, 0, v.Len())
		for key, value := range v.All() {
			parts = append(parts, key+"="+described(value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return params.EnvText(v)
}

// isEngineKey tells whether the engine reads the key, whatever the operator.
func isEngineKey(key string) bool {
	switch key {
	case "_type", "_command", "_timeout", "_labels", "_secrets":
		return true
	}
	return false
}

// Unused returns the keys of a task's own that nothing has read, which are
// mistakes most likely; none where the operator may read any (language.md 5.9).
func (e Entry) Unused(t *Task) []string {
	if e.Options == nil {
		return nil
	}
	var unused []string
	for key := range t.Local.All() {
		if !isEngineKey(key) && key != t.Type+">" && !slices.Contains(e.Options, key) {
			unused = append(unused, key)
		}
	}
	return unused
}
