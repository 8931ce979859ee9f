package operator

import "context"

// Builtin returns the operators that need nothing but a task, for
// [NewRegistry]; the caller may add others.
func Builtin() map[string]Entry {
	pure := func(run operatorFunc) Entry { return Entry{Operator: run, Pure: true} }
	return map[string]Entry{
		"call":      {Operator: operatorFunc(runCall), Pure: true, Retries: true},
		"echo":      pure(runEcho),
		"fail":      pure(runFail),
		"for_each":  pure(runForEach),
		"for_range": pure(runForRange),
		"if":        pure(runIf),
		"loop":      pure(runLoop),
		"notify":    {Operator: operatorFunc(runNotify)},
		"py":        {Operator: operatorFunc(runPy), Retries: true},
		"require":   {Operator: operatorFunc(runRequire), Retries: true},
		"sh":        {Operator: operatorFunc(runSh), Retries: true},
		"wait":      pure(runWait),
	}
}

type operatorFunc func(ctx context.Context, t *Task) (*Result, error)

// Run implements [Operator].
func (f operatorFunc) Run(ctx context.Context, t *Task) (*Result, error) {
	result, err := f(ctx, t)
	if err = outcome(ctx, err); err != nil {
		return nil, err
	}
	return result, nil
}
