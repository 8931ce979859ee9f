package expr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/expr"
	"gitdag/engine/params"
)

// T marks text of a workflow file, which is evaluated; a Go string is data.
type T = params.Template

func newEvaluator(tb testing.TB) *expr.Evaluator {
	tb.Helper()
	e := expr.New(expr.Options{})
	tb.Cleanup(e.Close)
	return e
}

// language.md §5.4, row by row
func TestEvaluationOrderAndScope(t *testing.T) {
	e := newEvaluator(t)
	for name, c := range map[string]struct {
		outer, local *params.Map
		want         string
	}{
		"an earlier key is evaluated": {
			params.Of("session_date", "2024-01-02", "a", T("${session_date}"), "b", T("${a}x")), nil,
			`{"session_date":"2024-01-02","a":"2024-01-02","b":"2024-01-02x"}`,
		},
		"a later key is raw": {
			params.Of("session_date", "2024-01-02", "b", T("${a}x"), "a", T("${session_date}")), nil,
			`{"session_date":"2024-01-02","b":"${session_date}x","a":"2024-01-02"}`,
		},
		"a nested object sees its outer keys raw": {
			params.Of("d", "D", "a", T("${d}"), "m", params.Of("b", T("${a}"))), nil,
			`{"d":"D","a":"D","m":{"b":"${d}"}}`,
		},
		"a nested object sees its own keys evaluated": {
			params.Of("d", "D", "m", params.Of("a", T("${d}"), "b", T("${a}"))), nil,
			`{"d":"D","m":{"a":"D","b":"D"}}`,
		},
		"text in a list sees evaluated keys": {
			params.Of("d", "D", "a", T("${d}"), "l", params.List{T("${a}"), params.List{T("${a}")}}), nil,
			`{"d":"D","a":"D","l":["D",["D"]]}`,
		},
		"an object in a list sees raw keys": {
			params.Of("d", "D", "a", T("${d}"), "l", params.List{params.Of("o", T("${a}"))}), nil,
			`{"d":"D","a":"D","l":[{"o":"${d}"}]}`,
		},
		"a local key stands at the inherited key's place": {
			params.Of("x", "outer"), params.Of("sh>", T("${x}"), "x", "local"),
			`{"x":"local","sh>":"local"}`,
		},
		"a local key extends the inherited one": {
			params.Of("path", "/a"), params.Of("path", T("${path}/b")),
			`{"path":"/a/b"}`,
		},
		"an export that refers to itself sees its raw text": {
			params.Of("path", T("${path}/b")), nil,
			`{"path":"${path}/b/b"}`,
		},
		"_do and _else_do are left alone at any depth": {
			params.Of("a", 1, "_do", params.Of("x", T("${zz}")), "m", params.Of("_else_do", params.List{T("${zz}")})), nil,
			`{"a":1,"_do":{"x":"${zz}"},"m":{"_else_do":["${zz}"]}}`,
		},
		"keys are never evaluated": {
			params.Of("a", 1, "${a}", T("${a}")), nil,
			`{"a":1,"${a}":"1"}`,
		},
		"data is never evaluated": {
			params.Of("d", "${zz} $$ ${", "l", params.List{"${zz}"}, "t", T("<${d}>")), nil,
			`{"d":"${zz} $$ ${","l":["${zz}"],"t":"<${zz} $$ ${>"}`,
		},
		"results are texts": {
			params.Of("one", T("${1}"), "list", T("${[1]}"), "t", T("${typeof one} ${typeof list} ${typeof raw}"), "raw", 1), nil,
			`{"one":"1","list":"[1]","t":"string string number","raw":1}`,
		},
		"other kinds are copied": {
			params.Of("n", params.Number("12345678901234567890"), "b", true, "z", nil, "f", params.Number("1.50")), nil,
			`{"n":12345678901234567890,"b":true,"z":null,"f":1.50}`,
		},
		"secrets are left alone": {
			params.Of("a", "x", "s", T("${secret:db.${a}} ${ a }")), nil,
			`{"a":"x","s":"${secret:db.x} x"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := e.Evaluate(context.Background(), expr.Scope{Outer: c.outer, Local: c.local})
			if err != nil {
				t.Fatal(err)
			}
			if wire := string(params.AppendJSON(nil, got)); wire != c.want {
				t.Errorf("got %s, want %s", wire, c.want)
			}
		})
	}
}

func TestEvaluatedTextIsData(t *testing.T) {
	e := newEvaluator(t)
	got, err := e.Evaluate(context.Background(), expr.Scope{
		Outer: params.Of("a", T("${'$'}{1 + 1}"), "plain", T("x"), "_do", params.Of("b", T("${1}"))),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":{"!data":"${1 + 1}"},"plain":"x","_do":{"b":"${1}"}}`; string(params.Encode(got)) != want {
		t.Errorf("got %s, want %s", params.Encode(got), want)
	}
}

func TestAnyBadTextFailsTheTask(t *testing.T) {
	e := newEvaluator(t)
	for name, c := range map[string]struct {
		outer, local *params.Map
		want         string
	}{
		"unused export": {
			params.Of("v", T("x ${later}")), nil,
			"Failed to evaluate a variable x ${later} (ReferenceError: later is not defined)",
		},
		"in an object in a list": {
			params.Of("l", params.List{params.Of("v", T("${later}"))}), nil,
			"Failed to evaluate a variable ${later} (ReferenceError: later is not defined)",
		},
		"local after the operator": {
			nil, params.Of("sh>", T("echo ${x}"), "x", 1),
			"Failed to evaluate a variable echo ${x} (ReferenceError: x is not defined)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.Evaluate(context.Background(), expr.Scope{Outer: c.outer, Local: c.local})
			if failure := new(expr.Error); !errors.As(err, &failure) || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func visible() *params.Map {
	return params.Of(
		"a", "x", "n", 5, "arr", []any{1, 2}, "obj", params.Of("k", "v"), "t", true, "none", nil, "raw", T("${zz}"),
		"my-key", "dash", "a b", "space", "$x", "dollar", "_y", "underscore", "日本", "unicode", "class", "reserved",
		"big", params.Number("123456789012345678"), "f", params.Number("1e3"), "deep", params.Of("l", []any{params.Of("x", []any{"y"})}),
	)
}

// language.md §5.5 and §5.6, with the recorded cases' values
func TestTemplates(t *testing.T) {
	e := newEvaluator(t)
	for text, want := range map[string]string{
		`no dollar`: `no dollar`, ``: ``, `$5 $`: `$5 $`, `cost $$5`: `cost $5`, `$$$`: `$$`, `$$$$`: `$$`, `$a $1`: `$a $1`,
		`$${a}`: `$x`, `$$${a}`: `$x`, `\${a}`: `\x`, `${a}$`: `x$`, `${a}$$${a}`: `x$x`, `x ${a} $$ ${n}`: `x x $ 5`,
		`${'$'}{a}`: `${a}`, `${`: `${`, `${a`: `${a`, `pre ${a} ${b`: `pre x ${b`, `$${x`: `$${x`, `}${a}{`: `}x{`,
		`${"{"}`: `${"{"}`, `${a + "{"} tail $$`: `${a + "{"} tail $`, `x${}y`: `xy`,
		`${foo:bar}`: `${foo:bar}`, `${var:-x}`: `${var:-x}`, `${secret:${a}}`: `${secret:x}`, `${x:}`: `${x:}`, `$${secret:x}`: `${secret:x}`,
		`${a ? 1 : 2}`: `1`, `${ a }`: `x`, `${t?1:2}`: `1`,
		`${a}${n}`: `x5`, `${a} and ${a + n}`: `x and x5`, `${n}%`: `5%`, `${x=1}${x+1}`: `12`, `${a,n}`: `5`, `${print(1)}p`: `p`,
		`${arr}`: `[1,2]`, `${obj}`: `{"k":"v"}`, `${t}`: `true`, `${none}`: ``, `${[a, n]}`: `["x",5]`, `${{x: 1}.x}`: `1`, `${1.50}`: `1.5`,
		`${1e21}`: `1e+21`, `${0.1 + 0.2}`: `0.30000000000000004`, `${0/0}`: `null`, `${1/0}`: `null`, `${-0}`: `0`, `${'q"uote'}`: `q"uote`,
		`${[undefined, null]}`: `[null,null]`, `${new Date(0)}`: `"1970-01-01T00:00:00.000Z"`, `${a === "x"}`: `true`, `${typeof zz}`: `undefined`,
		`${arr.length}`: `2`, `${"é"}`: `é`, `${{}}`: `{}`, `${function(){}}`: `undefined`, `${{f: function(){}, u: undefined, d: 1}}`: `{"d":1}`,
		`${obj.zz}`: ``, `${arr.map(function(i){return i*2})}`: `[2,4]`, `${raw}`: `${zz}`, `${raw + a}`: `${zz}x`,
		`${[this['my-key'], this['a b'], $x, _y, 日本, this.class]}`: `["dash","space","dollar","underscore","unicode","reserved"]`,
		`${big}`: `123456789012345678`, `${big + 1}`: `123456789012345680`, `${f}`: `1000`, `${moment("2016-01-01T00:00:00Z")}`: `"2016-01-01T00:00:00.000Z"`,
		`${a='y'}${a}`: `yy`, `${obj.k = 2}${obj.k}`: `22`, `${delete this.a}${typeof a}`: `trueundefined`, `${arr.push(3)}${arr}`: `3[1,2,3]`,
		`${moment.version}`: `2.21.0`, `${typeof moment.tz}`: `undefined`, `${JSON.stringify(this.deep)}`: `{"l":[{"x":["y"]}]}`,
		`${Object.keys(this).indexOf('a') >= 0}`: `true`, `${'a' in this}`: `true`, `${(function(){ return typeof this.a })()}`: `undefined`,
		`${moment('2016-01-31').add(1, 'month').format('MMM Do, dddd')}`: `Feb 29th, Monday`, `${moment.duration(90, 'minutes').humanize()}`: `2 hours`,
		`${moment('20160102', 'YYYYMMDD').isoWeek()}`: `53`, `${moment('nonsense').isValid()}`: `false`, `${moment.locale()}`: `en`,
		`${eval('a + n')}`: `x5`, `${Function('return 1 + 1')()}`: `2`, `${new Function('x', 'return x * 2')(4)}`: `8`, `${eval(5)}`: `5`,
		`${String(function f(o){ o.toString = function(){ return 'own' }; return o }({}))}`: `own`, `${(function(){ var e = new Error('m'); e.message = 'n'; return e })().message}`: `n`,
		`${'x' instanceof String} ${new Date() instanceof Date} ${/x/ instanceof RegExp} ${/x/.constructor === RegExp} ${RegExp('x', 'g').global}`: `false true true true true`,
		`${'1234567'.replace(/\B(?=(\d{3})+(?!\d))/g, ',')}`: `1,234,567`, `${'a1b2'.replace(/[0-9]/g, '<$&>')}`: `a<1>b<2>`, `${'aéa'.split('é')}`: `["a","a"]`,
		`${'abcabc'.match(/b/g)} ${'abc'.search('c')} ${'abc'.match('b').index}`: `["b","b"] 2 1`, `${Math.max.apply(null, arr)}`: `2`, `${[3,1,2].sort().join('-')}`: `1-2-3`,
	} {
		got, err := e.Text(context.Background(), text, visible(), time.UTC)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	e := newEvaluator(t)
	for text, want := range map[string]string{
		`${ }`: `SyntaxError`, `${"}"}`: `SyntaxError`, `${a()}`: `TypeError`, `${obj.zz.y}`: `TypeError: Cannot read property 'y' of undefined`,
		`${a1:b}`: `SyntaxError`, `${if}`: `SyntaxError`, `${a;n}`: `SyntaxError`, `${ secret:x }`: `SyntaxError`, `${var q = 1}`: `SyntaxError`,
		`${(function(){ throw "oops" })()}`: `(oops)`, `${(a}`: `SyntaxError`, `${nosuch}`: `ReferenceError: nosuch is not defined`, `${FOO:bar}`: `SyntaxError`,
		`${1); (2}`: `SyntaxError`, `${none.x}`: `TypeError`, `${class}`: `SyntaxError`, `${null.x}`: `TypeError`,
		`${(function(){ throw {toString: function(){ throw 1 }} })()}`: `(`, `${JSON.parse('x')}`: `SyntaxError`, `${eval('(')}`: `SyntaxError`,
		`${(function(){ var o = {}; o.o = o; return o })()}`: `TypeError: Converting circular structure to JSON`, `${new RegExp('(')}`: `SyntaxError`,
		`${Java.type('java.io.File')}`: `ReferenceError: Java is not defined`, `${load('x')}`: `ReferenceError`, `${moment.tz('x')}`: `TypeError`,
		`${'a'.replaceAll('a', '$7')}`: `RangeError: Illegal group reference`, `${'a'.replaceAll('(', '')}`: `SyntaxError`,
	} {
		_, err := e.Text(context.Background(), text, visible(), time.UTC)
		if err == nil || !strings.HasPrefix(err.Error(), "Failed to evaluate a variable "+text+" (") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// language.md §5.6: what is not ECMAScript 5
func TestECMAScript5(t *testing.T) {
	e := newEvaluator(t)
	for _, code := range []string{
		"[1].map(x => x)", "`t`", "(function(){ let x = 1 })()", "(function(){ const x = 1 })()", "(function(){ for (let x in {}) {} })()",
		"(function(){ for (let i = 0; i < 1; i++) {} })()", "(function(){ for (var x of []) {} })()", "[...arr]", "Math.max(...arr)",
		"(function(...r){})()", "(function(x = 1){})()", "(function(){ var [x] = arr })()", "(function(){ var {k} = obj })()", "{a}.a", "{['k']: 1}",
		"{f() {}}", "a?.b", "a ?? n", "2 ** 3", "10n", "class {}", "(function*(){})()", "(async function(){})()", "/x/u", "/x/y", "/x/s", "new.target",
	} {
		if got, err := e.Text(context.Background(), "${"+code+"}", visible(), time.UTC); err == nil || !strings.Contains(err.Error(), "(SyntaxError: ") {
			t.Errorf("%s: got %s, %v, want a SyntaxError", code, got, err)
		}
	}
	for _, name := range strings.Fields("Symbol Map Set WeakMap Promise Proxy Reflect Intl console globalThis BigInt ArrayBuffer Uint8Array" +
		" Object.assign Object.entries Array.from Array.of [].includes [].find [].fill [].flat ''.padStart ''.includes ''.startsWith ''.repeat" +
		" ''.trimStart Math.sign Math.trunc Number.isInteger String.raw Java load exit require process") {
		got, err := e.Text(context.Background(), "${typeof "+name+"}", nil, time.UTC)
		if err != nil || got != "undefined" {
			t.Errorf("typeof %s: got %s, %v, want undefined", name, got, err)
		}
	}
	for text, want := range map[string]string{
		`${(function(){ for (var k in {x: 1}) { if (true) { try { throw k } catch (e) { return e } } } })()}`:          `x`,
		`${{get x() { return 7 }}.x} ${/A/gim.test('a')} ${parseInt('12px')} ${encodeURIComponent('é')} ${isNaN(NaN)}`: `7 true 12 %C3%A9 true`,
		`${'a'.substr(0)}${' b '.trim()}${[1,2].reduce(function(x, y){ return x + y })}${Array.isArray([])}`:           `ab3true`,
	} {
		if got, err := e.Text(context.Background(), text, nil, time.UTC); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
}

// Java (language.md §5.6): the string methods that work
func TestJavaStrings(t *testing.T) {
	e := newEvaluator(t)
	for code, want := range map[string]string{
		`'a.b.c'.replaceAll('.', '-')`: `-----`, `'a.b.c'.replaceAll('[.]', '-')`: `a-b-c`, `'a-b-c'.replaceFirst('-', '+')`: `a+b-c`,
		`'abc'.matches('a.*')`: `true`, `'abc'.matches('b')`: `false`, `'abc'.contains('b')`: `true`, `'abc'.equals('abc')`: `true`,
		`'abc'.equalsIgnoreCase('ABC')`: `true`, `''.isEmpty()`: `true`, `'abc'.length()`: `3`, `'abc'.length`: `3`, `(a + 'bc').length()`: `3`,
		`'a1b22'.replaceAll('([0-9]+)', '<$1>')`: `a<1>b<22>`, `'aaa'.replaceAll('a', 'A')`: `AAA`, `'a'.replaceAll('a', '\\$1')`: `$1`,
		`'a$b'.replaceAll('\\Q$\\E', '.')`: `a.b`, `'ABC'.replaceAll('(?i)b', '-')`: `A-C`, `'ab'.replaceAll('\\p{Alpha}', 'x')`: `xx`,
		`'a b'.replaceAll('[\\p{Space}]', '_')`: `a_b`, `'ab'.replaceAll('a++b', 'x')`: `x`, `'ab'.replaceAll('\\Aa', 'x')`: `xb`, `'ab'.replaceAll('b\\z', 'x')`: `ax`,
		`'x'.equals(5)`: `false`, `'x'.equalsIgnoreCase(5)`: `false`, `'ab'.replaceAll('(a)|(z)', '[$1$2]')`: `[a]b`, `'ab'.replaceAll(/b/g, 'x')`: `ax`,
		`'a1'.replaceAll('\\P{Digit}', '')`: `1`, `'a	b'.replaceAll('\\h', '_')`: `a_b`, `{length: function(){ return 9 }}.length()`: `9`,
		`'abc'.replaceAll('b', function(m){ return m + m })`: `abbc`, `'a+b'.replaceAll('\\+', '-')`: `a-b`, `'aa'.replaceFirst('a', '$0$0')`: `aaa`,
	} {
		if got, err := e.Text(context.Background(), "${"+code+"}", visible(), time.UTC); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", code, got, err, want)
		}
	}
}

func TestBounds(t *testing.T) {
	e := expr.New(expr.Options{TimeLimit: 300 * time.Millisecond})
	defer e.Close()
	// What is bounded by its size must not be ended by the time that it takes here.
	patient := expr.New(expr.Options{TimeLimit: time.Minute})
	defer patient.Close()
	vars := params.Of("text", strings.Repeat("a", 1<<20))
	for _, c := range []struct{ code, want string }{
		{`(function(){ while (true) {} })()`, `takes longer than 300ms`},
		{`(function f(){ return f() })()`, `Maximum call stack size exceeded`},
		{`(function(){ var s = 'x'; while (true) s += s })()`, `RangeError`},
		{`(function(){ try { while (true) {} } catch (e) { return 1 } })()`, `takes longer`},
		{`new Array(1e9).join('x')`, `too long`},
		{`new Array(1e9)`, `too long`},
		{`[].concat(new Array(1e9))`, `too long`},
		{`JSON.stringify({x: new Array(1e9)})`, `too long`},
		{`[].slice.call({length: 4e9})`, `too long`},
		{`Math.max.apply(null, {length: 4e9})`, `too long`},
		{`text.replace(/a/g, text)`, `too long`},
		{`text.replace(/a/g, "$'")`, `too long`},
		{`text.replaceAll('a', text)`, `too long`},
		{`[text, text, text, text, text, text].join()`, `too long`},
		{`(text + text + text + text + text + 'b').split('')`, `too long`},
		{`JSON.parse(new Array(5000).join('['))`, `nested too deeply`},
		{`(function(){ var o = {}; for (var i = 0; i < 5000; i++) o = {o: o}; return o })()`, `nested too deeply`},
		{`(function(){ var o = []; for (var i = 0; i < 3000; i++) o = [o]; return '' + o })()`, `RangeError`},
		{`eval(new Array(5000).join('('))`, `nested more than`},
		{`Function(new Array(5000).join('('))`, `nested more than`},
		{strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300), `nested more than`},
		{strings.Repeat("1+", 40000) + "1", `longer than 64 KiB`},
	} {
		by := patient
		if strings.HasPrefix(c.want, "takes longer") {
			by = e
		}
		got, err := by.Text(context.Background(), "${"+c.code+"}", vars, time.UTC)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %.20s, %v, want %s", c.code, got, err, c.want)
		}
	}
	if _, err := e.Text(context.Background(), strings.Repeat("${text}", 17), vars, time.UTC); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("a giant result: got %v", err)
	}
	if got, err := e.Text(context.Background(), "${1 + 1}", vars, time.UTC); err != nil || got != "2" {
		t.Errorf("afterwards: got %s, %v, want 2", got, err)
	}
}

func TestContextEndsAnEvaluation(t *testing.T) {
	e := newEvaluator(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Text(ctx, "${(function(){ while (true) {} })()}", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if _, err := e.Text(ctx, "${1}", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestManyTasksAtOnce(t *testing.T) {
	e := expr.New(expr.Options{Warm: 2})
	var running sync.WaitGroup
	for i := range 20 {
		running.Go(func() {
			zone := time.FixedZone("", i*60)
			want := fmt.Sprintf("%d %d %d", i, i*2, -i)
			got, err := e.Text(context.Background(), "${n} ${q = n * 2} ${moment.version && new Date().getTimezoneOffset()}", params.Of("n", i), zone)
			if i == 0 {
				want = "0 0 0"
			}
			if err != nil || got != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		})
	}
	running.Wait()
	e.Close()
	e.Close()
	if got, err := e.Text(context.Background(), "${1 + 1}", nil, nil); err != nil || got != "2" {
		t.Errorf("after Close: got %s, %v, want 2", got, err)
	}
}
