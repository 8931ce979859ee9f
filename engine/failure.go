package engine

import (
	"errors"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// failure returns the `error` parameter for any error of a task. Where Digdag
// has the frames of a stack, which say nothing of a workflow, stacktrace tells
// the operator and the task: a group's `_error` task learns so who failed. What
// an operator reports deliberately with a plain text has none.
func failure(err error, typ, fullName string) *params.Map {
	var e *operator.Error
	if !errors.As(err, &e) {
		e = &operator.Error{Message: err.Error(), Kind: "runtime"}
	}
	o := e.Object()
	if trace, ok := o.Lookup("stacktrace"); !ok || trace != "" {
		return o
	}
	at := ", at "
	if typ != "" {
		at += typ + "> of "
	}
	o.Set("stacktrace", e.Error()+at+fullName)
	return o
}

// failure is that of the execution.
func (r *run) failure(err error) *params.Map { return failure(err, r.typ, r.d.FullName) }
