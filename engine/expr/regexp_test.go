package expr_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"gitdag/engine/expr"
	"gitdag/engine/params"
)

// ECMA-262, 15.5.4 and 15.10: what JavaScript's own matching gives.
func TestRegularExpressions(t *testing.T) {
	e := newEvaluator(t)
	vars := params.Of("uni", "é😀a😀", "s", "2016-01-02")
	for code, want := range map[string]string{
		`/(\d+)-(\d+)/.exec(s)`: `["2016-01","2016","01"]`, `/(\d+)-(\d+)/.exec(s).index`: `0`, `/-(\d+)/.exec(s).input`: `2016-01-02`, `/x/.exec(s)`: ``,
		`/(a)|(b)/.exec('b')`: `["b",null,"b"]`, `/(a)|(b)/.exec('b')[1] === undefined`: `true`, `/(?:)/.exec('x')`: `[""]`, `new RegExp().source`: `(?:)`,
		`(function(){ var r = /\d+/g, l = [], m; while ((m = r.exec(s)) !== null) l.push(m[0] + '@' + r.lastIndex); return l })()`: `["2016@4","01@7","02@10"]`,
		`(function(){ var r = /\d/g; return [r.test('1'), r.lastIndex, r.test('1'), r.lastIndex] })()`:                             `[true,1,false,0]`,
		`(function(){ var r = /a/g; r.lastIndex = 5; return [r.test('aa'), r.lastIndex] })()`:                                      `[false,0]`,
		`(function(){ var r = /^a/g; r.lastIndex = 1; return r.test('aa') })()`:                                                    `false`,
		`(function(){ var r = /^a/gm; r.lastIndex = 1; return [r.test('aa\na'), r.lastIndex] })()`:                                 `[true,4]`,
		`(function(){ var r = /\bb/g; r.lastIndex = 1; return r.test('ab b') + ' ' + r.lastIndex })()`:                             `true 4`,
		`s.match(/\d+/g)`: `["2016","01","02"]`, `s.match(/(\d+)-/)`: `["2016-","2016"]`, `'aaa'.match(/x/g)`: ``, `'aaa'.match(/b*/g)`: `["","","",""]`, `s.match('0.')`: `["01"]`, `''.match()`: `[""]`,
		`s.search(/-/)`: `4`, `s.search('x')`: `-1`, `s.search(/-/g)`: `4`,
		`s.replace('-', '/')`: `2016/01-02`, `s.replace(/-/g, '/')`: `2016/01/02`, `s.replace(/-/, '/')`: `2016/01-02`, `'aaa'.replace(/b*/g, '-')`: `-a-a-a-`, `'x'.replace('y', 'z')`: `x`,
		`'abc'.replace(/(b)/, "[$1$&$$$'$` + "`" + `]")`: `a[bb$ca]c`, `'abc'.replace('b', '<$&$1$>')`: `a<b$1$>c`, `'abc'.replace(/(z)?b/, '[$1$2$01$10$00]')`: `a[$20$00]c`,
		`'a1b2'.replace(/\d/g, function(m, at, all){ return m * 2 + '@' + at + all.length })`: `a2@14b4@34`, `'ab'.replace(/(a)|(z)/g, function(m, a, z){ return a + z })`: `aundefinedb`,
		`'abc'.replace(/b/, '$')`: `a$c`, `'a.b.c'.replace(/\./g, '')`: `abc`, `'aXbX'.replace(/x/gi, '')`: `ab`, `'ab'.replace(/(?=b)/, '-')`: `a-b`, `'aa bb'.replace(/(.)\1/g, '$1')`: `a b`,
		`s.split(/-/)`: `["2016","01","02"]`, `s.split('-', 2)`: `["2016","01"]`, `s.split(/(-)/)`: `["2016","-","01","-","02"]`, `'abc'.split(/(?:)/)`: `["a","b","c"]`, `''.split(/x/)`: `[""]`,
		`''.split(/(?:)/)`: `[]`, `'ab'.split(/b/)`: `["a",""]`, `'abc'.split(/b/, 1)`: `["a"]`, `'abc'.split(/b/, 0)`: `[]`, `'A<B>b</B>c'.split(/<(\/)?([^<>]+)>/)`: `["A",null,"B","b","/","B","c"]`,
		`'ab'.split(/a*?/)`: `["a","b"]`, `'ab'.split(/a*/)`: `["","b"]`, `'abc'.split()`: `["abc"]`, `'a,b'.split(',')`: `["a","b"]`, `'a  b'.split(/\s+/)`: `["a","b"]`,
		`uni.length`: `6`, `uni.match(/./g).length`: `6`, `uni.search('a')`: `3`, `uni.search(/a/)`: `3`, `uni.replace(/😀/g, '-')`: `é-a-`, `uni.split(/a/)`: `["é😀","😀"]`, `/😀$/.test(uni)`: `true`, `/(?=😀)/.exec(uni).index`: `1`,
		`/é/.test(uni)`: `true`, `/É/i.test(uni)`: `true`, `'aXb'.search(/x/i)`: `1`, `/a.c/.test('a\nc')`: `false`, `/^b$/m.test('a\nb')`: `true`, `/^b$/.test('a\nb')`: `false`, `/\s/.test('\u2003')`: `true`,
		`/[^]/.test('\n')`: `true`, `/a{2,3}?/.exec('aaaa')`: `["aa"]`, `/a{1001}/.test('a')`: `false`, `/\u0041\x42\cA?/.test('AB')`: `true`, `/[\b]/.test('\b')`: `true`, `/\//.source`: `\/`,
		`RegExp('x', 'g').global`: `true`, `RegExp(/x/gi).ignoreCase`: `true`, `new RegExp(/x/gi, 'm').global`: `false`, `new RegExp(/x/gi).toString()`: `/x/gi`, `(function(){ var r = /x/; return RegExp(r) === r })()`: `true`,
		`/x/ instanceof RegExp`: `true`, `Object.prototype.toString.call(/x/)`: `[object RegExp]`, `typeof /x/.sticky`: `undefined`, `String.prototype.match.call(123, /2/)`: `["2"]`, `/undefined/.test()`: `true`,
	} {
		got, err := e.Text(context.Background(), "${"+code+"}", vars, time.UTC)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", code, got, err, want)
		}
	}
	for code, want := range map[string]string{
		`new RegExp('(')`: `SyntaxError`, `new RegExp('x', 'y')`: `SyntaxError: Invalid flags`, `new RegExp('x', 'gq')`: `SyntaxError: Invalid flags`, `'a'.match('[')`: `SyntaxError`,
		`String.prototype.match.call(null, /x/)`: `TypeError`, `RegExp.prototype.exec.call({}, 'a')`: ``, `'a'.replaceAll('(?<=a*)b', '')`: ``,
		`new RegExp(new Array(9000).join('x'))`: `longer than 8 KiB`, "/" + strings.Repeat("x", 9000) + "/": `longer than 8 KiB`,
	} {
		got, err := e.Text(context.Background(), "${"+code+"}", vars, time.UTC)
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40s: got %s, %.100v, want %s", code, got, err, want)
		}
	}
}

// Regular expressions that never end: whatever the pattern, a task is failed within its time, and the evaluator lives on.
func TestRegularExpressionsThatNeverEnd(t *testing.T) {
	const limit = 400 * time.Millisecond
	e := expr.New(expr.Options{TimeLimit: limit})
	defer e.Close()
	vars := params.Of("text", strings.Repeat("a", 1<<20)+"!", "short", strings.Repeat("a", 40)+"!", "uni", "é"+strings.Repeat("a", 1<<20))
	for code, ends := range map[string]bool{ // whether it comes to a result
		`/^(a+)+$/.test(short)`: true, `/^(a+)+$/.test(text)`: true, `/(.*)*x/.test(short)`: true, `/^(a|aa)+$/.test(text)`: true, `/(a*)*b/.test(uni)`: true,
		`short.replace(/(a+)+$/g, '')`: true, `/(x+x+)+y/.test(text)`: true, `/(?=a)(a|b)*c?/.test(short)`: true,
		`/^(?=(a+)+$)/.test(short)`: false, `/(a+)+\1b/.test(text)`: false, `/(?=x|(a+)+)(a+)+$/.test(text)`: false, `/^((a+)+)(?!b)$/.test(short)`: false,
		`/(a*)(a*)(a*)(a*)\1b/.test(text)`: false, `/(?!z)a*b/.test(text)`: false, `new RegExp('(?=a)(a|a?)+$').test(short)`: false,
		`short.replace(/(?=a)(a+)+$/g, '')`: false, `short.match('(?=a)(a+)+$')`: false, `short.search(/(?=a)(a+)+$/)`: false, `short.split(/(?=a)(a+)+$/)`: false,
		`short.replaceAll('(?=a)(a+)+$', '')`: false, `short.matches('(?=a)(a+)+')`: false, `short.replaceFirst('(?=a)(a+)+$', '')`: false,
		`(function(){ var r = /\b(a+)+$/g; r.lastIndex = 1; return r.test('!' + short) })()`:       false,
		`(function(){ try { return /(?=a)(a+)+$/.test(short) } catch (e) { while (true) {} } })()`: false,
		`/(?:a?){1000}b/.test(text)`: false, `/(((((a{0,10}){0,10}){0,10})b)|c)$/.test(uni)`: false, `text.replace(/(?:a?){500}b/g, '')`: false,
	} {
		start := time.Now()
		got, err := e.Text(context.Background(), "${"+code+"}", vars, time.UTC)
		if took := time.Since(start); took > limit+2*time.Second {
			t.Errorf("%s: took %v, want %v", code, took, limit)
		}
		if !ends && (err == nil || !strings.Contains(err.Error(), "takes too long") && !strings.Contains(err.Error(), "takes longer") &&
			!strings.Contains(err.Error(), "needs too much memory")) {
			t.Errorf("%s: got %.20s, %.100v, want an error", code, got, err)
		}
		if ends && err != nil && !strings.Contains(err.Error(), "takes") {
			t.Errorf("%s: got %.100v", code, err)
		}
		if err == nil && strings.HasPrefix(code, "/^(a+)+$/") && got != "false" {
			t.Errorf("%s: got %s, want false", code, got)
		}
	}
	if got, err := e.Text(context.Background(), "${/a+/.exec(short)[0].length}", vars, time.UTC); err != nil || got != "40" {
		t.Errorf("afterwards: got %s, %v, want 40", got, err)
	}
}
