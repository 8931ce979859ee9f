package operator

import (
	"gitdag/engine/dig"
	"gitdag/engine/params"
)

// Missing is the failure of a task whose operator is in no registry. For what Digdag
// has, or can load, and gitdag cannot have, it names the way that is left.
func Missing(t *Task) *Error {
	const way = "an executable operators/%[1]s in the project can do its work, or a script with sh> or py>"
	switch {
	case dig.Unsupported(t.Type):
		return configError("Unknown task type: %[1]s: gitdag does not support %[1]s>; "+way, t.Type)
	case loadsPlugins(t.Config):
		return configError("Unknown task type: %[1]s: gitdag cannot load plug-ins of the JVM, if it is of one; "+way, t.Type)
	}
	return UnknownType(t.Type)
}

// loadsPlugins tells whether the parameters name plug-ins, below `plugin` or on their
// own (operators.md 1.3).
func loadsPlugins(config *params.Map) bool {
	for _, m := range []any{config, at(config, "plugin")} {
		if list, ok := at(m, "dependencies").(params.List); ok && len(list) > 0 {
			return true
		}
	}
	return false
}

// at returns what an object has under a key; nil for what is no object.
func at(v any, key string) any {
	m, _ := v.(*params.Map)
	value, _ := m.Lookup(key)
	return value
}
