package operator

import (
	"strings"

	"gitdag/engine/params"
)

// Select finds the operator of a task in its evaluated parameters: `_type` if
// there is one, otherwise the first key that ends in `>`, whose value becomes
// `_command`; null means that there is no command (language.md 2.5). The type
// is empty for a task that runs no operator and so succeeds at once.
//
// config is evaluated with `_type` and `_command` filled in. localConfig holds
// the keys of local with the values of config, which arrive merged with what
// was inherited; null ones are left out. The arguments stay as they are.
func Select(evaluated, local *params.Map) (typ string, config, localConfig *params.Map, err error) {
	config = evaluated
	if evaluated.Has("_type") {
		if typ, err = params.Required(evaluated, "_type", params.String); err != nil {
			return "", nil, nil, configError("%v", err)
		}
	} else if key, command, ok := operatorKey(evaluated); ok {
		typ = strings.TrimSuffix(key, ">")
		config = evaluated.Clone()
		config.Set("_type", typ)
		if command == nil {
			config.Delete("_command")
		} else {
			config.Set("_command", command)
		}
		if typ == "" {
			return "", nil, nil, UnknownType(typ)
		}
	}
	localConfig = params.NewMap(local.Len())
	for key := range local.All() {
		if value, _ := config.Lookup(key); value != nil {
			localConfig.Set(key, value)
		}
	}
	return typ, config, localConfig, nil
}

func operatorKey(m *params.Map) (key string, command any, ok bool) {
	for key, command = range m.All() {
		if strings.HasSuffix(key, ">") {
			return key, command, true
		}
	}
	return "", nil, false
}

// UnknownType is the failure of a task whose operator is in no registry.
func UnknownType(typ string) *Error { return configError("Unknown task type: %s", typ) }
