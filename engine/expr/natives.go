package expr

import (
	"errors"
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"gitdag/engine/params"
)

// natives is the object of functions that the prelude gets.
func (r *runtime) natives() *goja.Object {
	native := r.vm.NewObject()
	for name, value := range map[string]any{
		"maxItems": maxItems, "maxChars": maxChars, "lengthMethod": lengthMethod,
		"checkJSON":       r.checkJSON,
		"checkCode":       r.checkCode,
		"checkRegExp":     r.checkRegExp,
		"match":           r.matchRegExp,
		"evaluate":        r.evaluate,
		"stringify":       r.stringifyCall,
		"parseDate":       r.parseDate,
		"makeDate":        r.makeDate,
		"getters":         r.dateGetters(),
		"setters":         r.dateSetters(),
		"javaPattern":     r.javaPattern,
		"javaReplacement": r.javaReplacement,
	} {
		must(native.Set(name, value))
	}
	return native
}

// throw ends a native function with a JavaScript error of the given kind.
func (r *runtime) throw(kind, message string) {
	failure, err := r.vm.New(r.vm.Get(kind), r.vm.ToValue(message))
	if err != nil {
		panic(r.vm.NewTypeError(message))
	}
	panic(failure)
}

// checkJSON refuses text on which the engine's JSON parser would work too long or recurse too deeply.
func (r *runtime) checkJSON(call goja.FunctionCall) goja.Value {
	text := call.Argument(0).String()
	if len(text) > maxChars || nesting(text) > maxDepth {
		r.throw("RangeError", "the JSON text is too long or nested too deeply")
	}
	return goja.Undefined()
}

// checkCode refuses code that is made at run time and would make the engine's parser recurse too deeply.
func (r *runtime) checkCode(call goja.FunctionCall) goja.Value {
	if err := checkSize(call.Argument(0).String()); err != nil {
		r.throw("RangeError", strings.TrimPrefix(err.Error(), "RangeError: "))
	}
	return goja.Undefined()
}

// evaluate is eval: code sees the scope, not the variables of the functions around the call.
func (r *runtime) evaluate(call goja.FunctionCall) goja.Value {
	function, _ := goja.AssertFunction(r.evaluator)
	return rethrow(function(r.this, r.builtinEval, call.Argument(0)))
}

func (r *runtime) stringifyCall(call goja.FunctionCall) goja.Value {
	var allowed []string
	replacer, _ := goja.AssertFunction(call.Argument(1))
	if list, ok := call.Argument(1).(*goja.Object); ok && list.ClassName() == "Array" {
		allowed = []string{}
		for i := range min(list.Get("length").ToInteger(), maxItems) {
			allowed = append(allowed, list.Get(strconv.FormatInt(i, 10)).String())
		}
	}
	text, ok := r.stringify(call.Argument(0), replacer, allowed, indentation(call.Argument(2)))
	if !ok {
		return goja.Undefined()
	}
	return r.vm.ToValue(text)
}

func indentation(space goja.Value) string {
	if goja.IsString(space) {
		text := []rune(space.String())
		return string(text[:min(len(text), 10)])
	}
	if goja.IsNumber(space) {
		return strings.Repeat(" ", int(max(0, min(space.ToInteger(), 10))))
	}
	return ""
}

// stringify is JSON.stringify, with bounds and a way out: the engine's own can be neither interrupted nor stopped from
// recursing. It returns false for what has no JSON form.
func (r *runtime) stringify(v goja.Value, replacer goja.Callable, allowed []string, indent string) (string, bool) {
	w := &jsonWriter{runtime: r, replacer: replacer, allowed: allowed, indent: indent}
	holder := r.vm.NewObject()
	if replacer != nil {
		must(holder.Set("", v))
	}
	ok := w.property(holder, "", v)
	return string(w.out), ok
}

type jsonWriter struct {
	runtime  *runtime
	replacer goja.Callable
	allowed  []string // names of members, nil for all
	indent   string
	out      []byte
	within   []*goja.Object
}

const maxDepth = 1000 // of values that are written as JSON

// property writes the value that holder has under key, and returns false if there is none to write.
func (w *jsonWriter) property(holder *goja.Object, key string, v goja.Value) bool {
	w.check()
	vm := w.runtime.vm
	if object, ok := v.(*goja.Object); ok {
		if toJSON, ok := goja.AssertFunction(object.Get("toJSON")); ok {
			v = rethrow(toJSON(object, vm.ToValue(key)))
		}
	}
	if w.replacer != nil {
		v = rethrow(w.replacer(holder, vm.ToValue(key), v))
	}
	object, ok := v.(*goja.Object)
	if !ok {
		return w.primitive(v)
	}
	switch object.ClassName() {
	case "Number":
		return w.primitive(object.ToNumber())
	case "String":
		return w.primitive(object.ToString())
	case "Boolean":
		return w.primitive(vm.ToValue(object.Export()))
	}
	if _, function := goja.AssertFunction(object); function {
		return false
	}
	w.enter(object)
	if object.ClassName() == "Array" {
		w.array(object)
	} else {
		w.object(object)
	}
	w.within = w.within[:len(w.within)-1]
	return true
}

// rethrow passes on, from within a native function, what a called function threw.
func rethrow(v goja.Value, err error) goja.Value {
	var exception *goja.Exception
	if errors.As(err, &exception) {
		panic(exception.Value())
	}
	if err != nil {
		panic(err)
	}
	return v
}

func (w *jsonWriter) check() {
	if len(w.out) > maxResult || w.runtime.stopped.Load() {
		w.runtime.throw("RangeError", "the JSON text is too long")
	}
}

func (w *jsonWriter) enter(object *goja.Object) {
	for _, outer := range w.within {
		if outer == object {
			w.runtime.throw("TypeError", "Converting circular structure to JSON")
		}
	}
	if w.within = append(w.within, object); len(w.within) > maxDepth {
		w.runtime.throw("RangeError", "the value is nested too deeply for JSON")
	}
}

func (w *jsonWriter) primitive(v goja.Value) bool {
	switch {
	case v == nil || goja.IsUndefined(v):
		return false
	case goja.IsNull(v) || goja.IsNumber(v) && (goja.IsNaN(v) || goja.IsInfinity(v)):
		w.out = append(w.out, "null"...)
	case goja.IsString(v):
		w.out = params.AppendJSON(w.out, v.String())
	default:
		if _, symbol := v.(*goja.Symbol); symbol {
			return false
		}
		w.out = append(w.out, v.String()...)
	}
	return true
}

func (w *jsonWriter) array(list *goja.Object) {
	length := list.Get("length").ToInteger()
	if length > maxItems {
		w.runtime.throw("RangeError", "an array of "+strconv.FormatInt(length, 10)+" items is too long for JSON")
	}
	w.out = append(w.out, '[')
	for i := range length {
		w.separate(i == 0)
		key := strconv.FormatInt(i, 10)
		if !w.property(list, key, list.Get(key)) {
			w.out = append(w.out, "null"...)
		}
	}
	w.close(length == 0, ']')
}

func (w *jsonWriter) object(object *goja.Object) {
	keys := w.allowed
	if keys == nil {
		keys = object.Keys()
	}
	w.out = append(w.out, '{')
	empty := true
	for _, key := range keys {
		before := len(w.out)
		w.separate(empty)
		w.out = append(params.AppendJSON(w.out, key), ':')
		if w.indent != "" {
			w.out = append(w.out, ' ')
		}
		if w.property(object, key, object.Get(key)) {
			empty = false
		} else {
			w.out = w.out[:before]
		}
	}
	w.close(empty, '}')
}

func (w *jsonWriter) separate(first bool) {
	if !first {
		w.out = append(w.out, ',')
	}
	w.newLine(len(w.within))
}

func (w *jsonWriter) close(empty bool, bracket byte) {
	if !empty {
		w.newLine(len(w.within) - 1)
	}
	w.out = append(w.out, bracket)
}

func (w *jsonWriter) newLine(depth int) {
	if w.indent == "" {
		return
	}
	w.out = append(w.out, '\n')
	for range depth {
		w.out = append(w.out, w.indent...)
	}
}
