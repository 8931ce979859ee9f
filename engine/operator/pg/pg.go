// Package pg holds the operator `pg>`: a query or a script on a PostgreSQL server
// (operators.md 9.1).
//
// It is the only user of the PostgreSQL client beside `param_set>`, and knows nothing of
// the engine but the contract of operators. Its one invariant: what a task with
// `strict_transaction` writes is there once, however often the task is executed, for a
// row that is known by the task's key commits together with it.
package pg

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// Limits bound what `store_last_results` keeps; 0 means Digdag's own limit.
type Limits struct {
	Rows    int // of `all`; 8192
	Columns int // 64
	Value   int // characters of one value; 256
}

// Operator returns `pg>`.
func Operator(limits Limits) operator.Entry {
	limits = Limits{cmp.Or(limits.Rows, 8192), cmp.Or(limits.Columns, 64), cmp.Or(limits.Value, 256)}
	run := func(ctx context.Context, t *operator.Task) (*operator.Result, error) { return run(ctx, t, limits) }
	return operator.Entry{Operator: operator.Func(run), Retries: true}
}

func run(ctx context.Context, t *operator.Task, limits Limits) (*operator.Result, error) {
	settings, err := operator.NewSettings(t, "pg")
	if err != nil {
		return nil, err
	}
	r, err := readRequest(ctx, t, settings)
	if err != nil {
		return nil, err
	}
	s, err := readServer(ctx, settings)
	if err != nil {
		return nil, err
	}
	if v, _ := settings.Config.Lookup("password"); v != nil {
		if _, err := io.WriteString(t.Log, "pg: the parameter `password` is ignored: the secret pg.password holds the password\n"); err != nil {
			return nil, fmt.Errorf("write to the task log: %w", err)
		}
	}
	switch {
	case r.download != "":
		return &operator.Result{}, downloadResults(ctx, t, s, r)
	case r.keep != keepNothing:
		results, err := queryResults(ctx, t, s, r, limits)
		if err != nil {
			return nil, err
		}
		// Replaced, not merged with those of a query before (O18).
		return &operator.Result{
			Reset: []string{"pg.last_results"},
			Store: params.Of("pg", params.Of("last_results", results)),
		}, nil
	}
	return &operator.Result{}, write(ctx, t, s, r)
}
