// Package params holds the parameters of tasks: JSON values that keep key order and exact numbers, their merge, typed
// reads, and the stores that tasks leave to those after them. Each text leaf knows whether it is a template, evaluated
// at dispatch, or data, which nothing ever evaluates (L20).
//
// A value is nil, bool, Number, string (data), Template, List or *Map. It knows neither YAML nor JavaScript nor the
// engine. Its invariant: a value that has been handed to anyone is never changed again; whoever builds on it shares it.
package params
