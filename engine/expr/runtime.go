package expr

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

//go:embed prelude.js
var preludeSource string

//go:embed moment/moment.min.js
var momentSource string

const (
	maxCalls     = 1000    // depth of JavaScript calls
	maxItems     = 1000000 // of arrays that built-in functions work on
	maxChars     = 4 << 20 // of texts that built-in functions work on or make
	lengthMethod = "__length"
)

// Kinds of runtimes: loading moment.js takes most of the time that starting one takes.
const (
	plain = iota
	withMoment
)

// A runtime is a JavaScript global environment: ECMAScript 5, with the workflow's time zone, Java's string methods and
// frozen builtins. It serves one task at a time, and one text at a time.
type runtime struct {
	vm       *goja.Runtime
	kind     int
	lasting  bool // it may serve other tasks, for all that can be reached from its names is frozen
	zone     *time.Location
	scope    *scope
	this     *goja.Object // scope, as JavaScript sees it
	globals  int          // how many names the global object has when nothing is assigned
	deadline time.Time    // of the text that is being evaluated
	stopped  atomic.Bool  // the watch has interrupted
	patterns patterns

	builtinDate goja.Value // the engine's own
	builtinEval goja.Value
	evaluator   goja.Value // function (eval, code): evaluates code in the scope
}

// A builder makes runtimes. It compiles the libraries when the first runtime needs them.
type builder struct {
	prelude func() *goja.Program
	moment  func() *goja.Program
	es5     func() map[string][]string
}

func newBuilder() *builder {
	return &builder{
		prelude: library("prelude.js", &preludeSource),
		moment:  library("moment.js", &momentSource),
		es5:     sync.OnceValue(es5),
	}
}

func library(name string, source *string) func() *goja.Program {
	return sync.OnceValue(func() *goja.Program { return goja.MustCompile(name, *source, false) })
}

func (b *builder) build(kind int, lasting bool) *runtime {
	vm := goja.New()
	vm.SetMaxCallStackSize(maxCalls)
	vm.SetParserOptions(parser.WithDisableSourceMaps)
	r := &runtime{vm: vm, kind: kind, lasting: lasting, zone: time.UTC}
	r.scope = &scope{vm: vm, values: map[string]goja.Value{}, changed: map[string]bool{}}
	r.this = vm.NewDynamicObject(r.scope)
	r.builtinDate, r.builtinEval = vm.Get("Date"), vm.Get("eval")
	evaluator, err := vm.RunString("(function(eval, code) { with (this) { return eval(code) } })")
	must(err)
	r.evaluator = evaluator
	setup, err := vm.RunProgram(b.prelude())
	must(err)
	call, _ := goja.AssertFunction(setup)
	freezeAll, err := call(goja.Undefined(), r.natives())
	must(err)
	r.trim(b.es5())
	if kind == withMoment {
		_, err = vm.RunProgram(b.moment())
		must(err)
	}
	r.freeze()
	if lasting {
		freeze, _ := goja.AssertFunction(freezeAll)
		_, err = freeze(goja.Undefined(), vm.GlobalObject())
		must(err)
	}
	r.globals = len(vm.GlobalObject().GetOwnPropertyNames())
	return r
}

// must stops at a defect of the embedded libraries, which no input can cause.
func must(err error) {
	if err != nil {
		panic("expr: " + err.Error())
	}
}

// reset forgets what a text has assigned. It returns false if that was not possible.
func (r *runtime) reset() bool {
	r.scope.reset()
	r.patterns.text, r.patterns.units = nil, nil
	global := r.vm.GlobalObject()
	names := global.GetOwnPropertyNames()
	if len(names) == r.globals {
		return true
	}
	for _, name := range names[r.globals:] {
		if err := global.Delete(name); err != nil {
			return false
		}
	}
	return len(global.GetOwnPropertyNames()) == r.globals
}

// es5 names what the objects of ECMAScript 5 have; the rest of what the engine offers is removed, so that a workflow
// which works here works in Digdag.
func es5() map[string][]string {
	names := map[string][]string{}
	for path, list := range map[string]string{
		"Object": "length name prototype getPrototypeOf getOwnPropertyDescriptor getOwnPropertyNames create defineProperty" +
			" defineProperties seal freeze preventExtensions isSealed isFrozen isExtensible keys",
		"Function":           "length name prototype",
		"Function.prototype": "length name constructor toString apply call bind",
		"Array":              "length name prototype isArray",
		"Array.prototype": "length constructor toString toLocaleString concat join pop push reverse shift slice sort splice unshift" +
			" indexOf lastIndexOf every some forEach map filter reduce reduceRight",
		"String": "length name prototype fromCharCode",
		"String.prototype": "length constructor toString valueOf charAt charCodeAt concat indexOf lastIndexOf localeCompare match" +
			" replace search slice split substring toLowerCase toLocaleLowerCase toUpperCase toLocaleUpperCase trim substr" +
			" replaceAll replaceFirst matches contains equals equalsIgnoreCase isEmpty" +
			" anchor big blink bold fixed fontcolor fontsize italics link small strike sub sup",
		"Number": "length name prototype MAX_VALUE MIN_VALUE NaN NEGATIVE_INFINITY POSITIVE_INFINITY" +
			" EPSILON MAX_SAFE_INTEGER MIN_SAFE_INTEGER", // these three cannot be removed
		"Number.prototype": "constructor toString toLocaleString valueOf toFixed toExponential toPrecision",
		"Math": "E LN10 LN2 LOG2E LOG10E PI SQRT1_2 SQRT2 abs acos asin atan atan2 ceil cos exp floor log max min pow random" +
			" round sin sqrt tan",
		"JSON":             "parse stringify",
		"RegExp.prototype": "constructor exec test toString source global ignoreCase multiline lastIndex flags", // toString needs the last
		// print emits nothing
		"": "Object Function Array String Boolean Number Date RegExp Error EvalError RangeError ReferenceError SyntaxError" +
			" TypeError URIError Math JSON NaN Infinity undefined parseInt parseFloat isNaN isFinite decodeURI" +
			" decodeURIComponent encodeURI encodeURIComponent escape unescape eval print moment",
	} {
		names[path] = strings.Fields(list)
	}
	return names
}

func (r *runtime) object(path string) *goja.Object {
	object := r.vm.GlobalObject()
	for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' }) {
		object = object.Get(name).(*goja.Object)
	}
	return object
}

// trim removes what ECMAScript 5 does not have.
func (r *runtime) trim(es5 map[string][]string) {
	for path, names := range es5 {
		if path != "" {
			keep(r.object(path), names)
		}
	}
	keep(r.object(""), es5[""]) // last, so that the others are found
}

func keep(object *goja.Object, names []string) {
	for _, name := range object.GetOwnPropertyNames() {
		if !slices.Contains(names, name) {
			must(object.Delete(name))
		}
	}
}

// freeze makes the names of the global object, and what is used most of them, unchangeable.
func (r *runtime) freeze() {
	global := r.vm.GlobalObject()
	freeze, _ := goja.AssertFunction(r.object("Object").Get("freeze"))
	for _, name := range global.GetOwnPropertyNames() {
		object, ok := global.Get(name).(*goja.Object)
		if !ok {
			continue
		}
		for _, inner := range []string{"prototype", "fn", "duration"} {
			if part, ok := object.Get(inner).(*goja.Object); ok {
				_, err := freeze(goja.Undefined(), part)
				must(err)
			}
		}
		_, err := freeze(goja.Undefined(), object)
		must(err)
		must(global.DefineDataProperty(name, object, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	}
}
