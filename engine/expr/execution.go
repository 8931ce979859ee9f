package expr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dop251/goja"

	"gitdag/engine/params"
)

// An execution evaluates the expressions of one text, which share what they assign.
type execution struct {
	session *session
	text    string
	scope   layers
	runtime *runtime // nil until an expression needs JavaScript
	watch   *watch
	used    bool // the runtime must not serve another text
}

func (x *execution) evaluate(ctx context.Context, code string) (string, error) {
	exactly, name, isReference := reference(code, x.scope, exact)
	if isReference && x.runtime == nil {
		return exactly, nil
	}
	compiled, err := x.session.evaluator.cache.get(code)
	if err != nil {
		return "", err
	}
	if x.runtime == nil {
		x.start(ctx)
	}
	x.used = x.used || compiled.mutates || compiled.computes && x.runtime.kind == withMoment
	result, err := x.runtime.run(compiled.program)
	if err != nil && x.watch.reason() != nil {
		err = x.watch.reason()
	}
	if isReference && err == nil && !x.runtime.scope.changed[name] {
		// An earlier expression of this text may have changed the value. If not, it is given exactly here too.
		if unchanged, _, _ := reference(code, x.scope, params.Number.JavaScript); result == unchanged {
			return exactly, nil
		}
	}
	return result, err
}

// start takes the session's runtime or a new one. Between texts a runtime carries nothing, so that a text which needs
// moment.js may have another than the one before.
func (x *execution) start(ctx context.Context) {
	s := x.session
	kind := plain
	if mentions(x.text, "moment", "eval", "Function", "constructor") {
		kind = withMoment
	}
	if s.runtimes[kind] == nil {
		s.runtimes[kind] = s.evaluator.pool.take(kind)
	}
	x.runtime = s.runtimes[kind]
	x.runtime.zone = s.zone
	x.runtime.scope.layers = x.scope
	x.runtime.deadline = time.Now().Add(s.evaluator.options.TimeLimit)
	x.watch = watchOver(ctx, x.runtime, s.evaluator.options.TimeLimit)
}

func (x *execution) end() {
	if x.runtime == nil {
		return
	}
	stopped := x.watch.end() != nil
	if stopped || x.used || !x.runtime.reset() {
		x.session.runtimes[x.runtime.kind] = nil
		x.session.evaluator.pool.giveBack(x.runtime, false)
	}
}

// run calls a compiled expression and returns the text that its value becomes.
func (r *runtime) run(program *goja.Program) (result string, err error) {
	defer func() {
		// A defect of the JavaScript engine fails this text, not the process.
		if p := recover(); p != nil {
			err = fmt.Errorf("InternalError: %v", p)
		}
	}()
	function, err := r.vm.RunProgram(program)
	if err != nil {
		return "", r.reason(err)
	}
	call, _ := goja.AssertFunction(function)
	value, err := call(r.this)
	if err != nil {
		return "", r.reason(err)
	}
	if thrown := r.vm.Try(func() { result = r.embed(value) }); thrown != nil {
		return "", r.reason(thrown)
	}
	return result, nil
}

// embed is the text that a JavaScript value becomes inside a template.
func (r *runtime) embed(value goja.Value) string {
	if value == nil || goja.IsUndefined(value) || goja.IsNull(value) {
		return ""
	}
	if goja.IsString(value) {
		return value.String()
	}
	text, ok := r.stringify(value, nil, nil, "")
	if !ok {
		return "undefined"
	}
	return text
}

// reason words an error as JavaScript does: kind, colon, message, without positions in the wrapped code.
func (r *runtime) reason(err error) error {
	var overflow *goja.StackOverflowError
	if errors.As(err, &overflow) {
		return errors.New("RangeError: Maximum call stack size exceeded")
	}
	var exception *goja.Exception
	if !errors.As(err, &exception) {
		return err
	}
	text := exception.Error()
	if thrown := r.vm.Try(func() { text = exception.Value().String() }); thrown != nil {
		text, _, _ = strings.Cut(text, " at ")
	}
	return errors.New(text)
}
