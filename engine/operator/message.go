package operator

import (
	"context"
	"fmt"
	"io"

	"gitdag/engine/params"
)

// runEcho prints a message (operators.md 5.7).
func runEcho(_ context.Context, t *Task) (*Result, error) {
	message, err := params.Required(t.Config, "_command", params.String)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(t.Log, message+"\n"); err != nil {
		return nil, fmt.Errorf("write to the task log: %w", err)
	}
	return &Result{}, nil
}

// runFail fails with a message: deliberately, so its text stands alone.
func runFail(_ context.Context, t *Task) (*Result, error) {
	message, err := params.Optional(t.Config, "_command", params.String, "")
	if err != nil {
		return nil, err
	}
	return nil, &Error{Message: message}
}

// runNotify hands a message to the alert channels. It succeeds whether or not
// anybody can be reached (O27).
func runNotify(_ context.Context, t *Task) (*Result, error) {
	message, err := params.Required(t.Config, "_command", params.String)
	if err != nil {
		return nil, err
	}
	return &Result{Notify: message}, nil
}
