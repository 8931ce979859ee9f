package operator

import "context"

// Builtin returns the operators that need nothing but a task, for
// [NewRegistry]; the caller may add others.
func Builtin() map[string]Entry {
	base := func(run operatorFunc) Entry { return Entry{Operator: run, Retries: true} }
	pure := func(run operatorFunc) Entry { return Entry{Operator: run, Pure: true} }
	reading := func(e Entry, options ...string) Entry {
		e.Options = append([]string{}, options...) // not nil, even if there are none
		return e
	}
	return map[string]Entry{
		"call":      {Operator: operatorFunc(runCall), Pure: true, Retries: true},
		"echo":      reading(pure(runEcho)),
		"embulk":    base(runEmbulk),
		"fail":      reading(pure(runFail)),
		"for_each":  pure(runForEach),
		"for_range": pure(runForRange),
		"http":      HTTP(HTTPClient{}),
		"http_call": HTTPCall(HTTPClient{}),
		"if":        reading(pure(runIf), "_do", "_else_do", "_retry", "_parallel"),
		"loop":      pure(runLoop),
		"mail":      Mail(MailServer{}),
		"notify":    reading(Entry{Operator: operatorFunc(runNotify)}),
		"py":        base(runPy),
		"rb":        base(runRb),
		"require":   base(runRequire),
		"sh":        base(runSh),
		"wait":      reading(pure(runWait), "blocking", "poll_interval"),
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
