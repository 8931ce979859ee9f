package engine

import (
	"strings"

	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// withhold returns the error for a result that contains a secret of the project:
// it would be in the journal, in archives and state files, and be passed on to
// whoever reads the parameters. Nil if there is none.
func withhold(mask *secret.Known, r *operator.Result) error {
	if !mask.Masks() {
		return nil
	}
	for _, part := range []struct {
		does   string
		values *params.Map
	}{{"stored", r.Store}, {"exported", r.Export}, {"generated", r.Subtasks}} {
		if path := findSecret(mask, part.values); path != nil {
			return containsSecret("the " + part.does + " parameter '" + strings.Join(path, ".") + "'")
		}
	}
	for _, path := range r.Reset {
		if mask.Finds(path) {
			return containsSecret("the name of a parameter to reset")
		}
	}
	return nil
}

// withholdState is withhold for the state of an operator that waits.
func withholdState(mask *secret.Known, state *params.Map) error {
	if !mask.Masks() {
		return nil
	}
	if path := findSecret(mask, state); path != nil {
		return containsSecret("the state '" + strings.Join(path, ".") + "' of the operator")
	}
	return nil
}

func containsSecret(what string) error {
	return &operator.Error{
		Message: "A secret would be written to disk: " + what + " contains one. Have the tasks that need it read it with ${secret:…}",
		Kind:    "secret in a parameter",
	}
}
