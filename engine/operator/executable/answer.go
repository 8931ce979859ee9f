package executable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// maxAnswer bounds what a program may answer: it is held in memory.
const maxAnswer = 64 << 20

// read returns what the program wrote, nil for nothing.
func (x *exchange) read() (*params.Map, error) {
	text, err := x.text()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read its result: %w", err)
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("its result is larger than %d MiB", maxAnswer>>20)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, nil
	}
	v, err := params.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read its result: %w", err)
	}
	answer, ok := v.(*params.Map)
	if !ok {
		return nil, errors.New("its result is no JSON object")
	}
	return answer, nil
}

func (x *exchange) text() ([]byte, error) {
	if x.result != nil {
		return io.ReadAll(io.NewSectionReader(x.result, 0, maxAnswer+1))
	}
	f, err := os.OpenFile(x.answer(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxAnswer+1))
}

// The keys of an answer.
const (
	storeKey    = "store_params"
	exportKey   = "export_params"
	resetKey    = "reset_store_params"
	subtasksKey = "subtask_config"
	pollKey     = "poll"
	errorKey    = "error"
)

// outcome is what came of a run.
func (p *program) outcome(x *exchange, code int) (*operator.Result, error) {
	answer, err := x.read()
	if err == nil {
		err = checkKeys(answer, storeKey, exportKey, resetKey, subtasksKey, pollKey, errorKey)
	}
	if failure := p.stated(answer); failure != nil && err == nil {
		return nil, failure
	}
	switch {
	case code != 0 && err != nil:
		return nil, fmt.Errorf("%s failed with code %d; %w", p.name, code, err)
	case code != 0:
		return nil, fmt.Errorf("%s failed with code %d", p.name, code)
	case err == nil && answer.Has(pollKey):
		err = again(answer)
	case err == nil:
		var r *operator.Result
		if r, err = result(answer); err == nil {
			return r, nil
		}
	}
	var poll *operator.Poll
	if errors.As(err, &poll) {
		return nil, poll
	}
	// Not wrapped: an answer that cannot be read is no mistake of the task's parameters.
	return nil, fmt.Errorf("%s: %v", p.name, err)
}

// checkKeys refuses what an object may not have: most likely it is misspelt.
func checkKeys(m *params.Map, known ...string) error {
	for key := range m.All() {
		if slices.Contains(known, key) {
			continue
		}
		text := fmt.Sprintf("its result has the unknown key %q", key)
		if hint := dig.DidYouMean(key, known); hint != "" {
			text += ": " + hint
		}
		return errors.New(text)
	}
	return nil
}

// stated is the failure that a program tells of: a text, or an object with one as
// its `message` and what else `_error` tasks are to see.
func (p *program) stated(answer *params.Map) *operator.Error {
	v, _ := answer.Lookup(errorKey)
	if v == nil {
		return nil
	}
	failure := &operator.Error{}
	if object, ok := v.(*params.Map); ok {
		v, _ = object.Lookup("message")
		failure.Extra = object.Clone()
		failure.Extra.Delete("message")
	}
	failure.Message, _ = params.String(v)
	if failure.Message == "" {
		failure.Message = p.name + " failed"
	}
	return failure
}

// again is the wish to be run again.
func again(answer *params.Map) error {
	if answer.Len() > 1 {
		return errors.New("its result has poll and more: it is either to be run again, or done")
	}
	poll, err := params.Required(answer, pollKey, params.Object)
	if err != nil {
		return err
	}
	if err := checkKeys(poll, "interval", "state"); err != nil {
		return err
	}
	after, err := params.Required(poll, "interval", interval)
	if err != nil {
		return err
	}
	state, err := params.Optional(poll, "state", params.Object, nil)
	if err != nil {
		return err
	}
	if state == nil {
		state = params.NewMap(0)
	}
	return &operator.Poll{After: after, State: state}
}

// maxInterval is the longest wait: beyond it there is a mistake.
const maxInterval = 366 * 24 * time.Hour

// interval takes seconds, or a text such as 1h 30m.
func interval(v any) (time.Duration, string) {
	const expected = "a number of seconds, or a duration such as 1m 30s, from 0 to 366d"
	var d time.Duration
	if n, ok := v.(params.Number); ok {
		seconds := n.Float()
		if !(seconds >= 0 && seconds <= maxInterval.Seconds()) {
			return 0, expected
		}
		d = time.Duration(seconds * float64(time.Second))
	} else {
		text, _ := params.Text(v)
		parsed, err := schedule.ParseDuration(text)
		if err != nil {
			return 0, expected
		}
		d = parsed
	}
	if d > maxInterval {
		return 0, expected
	}
	return d, ""
}

// result is what a program that is done hands over. What it stores and exports is
// data; its subtasks are written like those of a file (L20).
func result(answer *params.Map) (*operator.Result, error) {
	r := &operator.Result{}
	var err error
	for _, part := range []struct {
		key string
		of  **params.Map
	}{{subtasksKey, &r.Subtasks}, {exportKey, &r.Export}, {storeKey, &r.Store}} {
		if *part.of, err = params.Optional(answer, part.key, params.Object, nil); err != nil {
			return nil, err
		}
	}
	if r.Reset, err = texts(answer, resetKey); err != nil {
		return nil, err
	}
	if r.Subtasks != nil {
		r.Subtasks = params.AsTemplate(r.Subtasks).(*params.Map)
	}
	return r, nil
}

// texts reads a list of texts, which may be missing.
func texts(m *params.Map, key string) ([]string, error) {
	return params.Optional(m, key, func(v any) ([]string, string) {
		const expected = "array of strings"
		list, ok := v.(params.List)
		if !ok {
			return nil, expected
		}
		var all []string
		for _, item := range list {
			text, ok := params.Text(item)
			if !ok || strings.TrimSpace(text) == "" {
				return nil, expected
			}
			all = append(all, text)
		}
		return all, ""
	}, nil)
}
