package operator

import (
	"context"
	"errors"
	"fmt"

	"gitdag/engine/params"
)

func configError(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Kind: "config"}
}

// outcome gives the error of an operator its class. What says itself what it
// is stays; what ended with the context is no failure of the task and is
// handed on as it is.
func outcome(ctx context.Context, err error) error {
	var poll *Poll
	var failure *Error
	var read *params.ReadError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &poll):
		return poll
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &read):
		return &Error{Message: read.Error(), Kind: "config"}
	case ctx.Err() != nil:
		return err
	}
	return &Error{Message: err.Error(), Kind: "runtime"}
}

// sample is the beginning of a value's JSON text, for error messages.
func sample(v any) string {
	const limit = 100
	text := []rune(string(params.AppendJSON(nil, v)))
	return string(text[:min(len(text), limit)])
}
