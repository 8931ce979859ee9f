package expr_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"gitdag/engine/expr"
	"gitdag/engine/params"
)

// texts are pairs: whatever the first does or tries to do, the second gives what it gives alone.
var texts = []struct{ first, second, want string }{
	{`${q = 1}`, `${typeof q}`, `undefined`},
	{`${(function(){ this.leak = 1 })()}`, `${typeof leak}`, `undefined`},
	{`${(function(){ this[0] = 1 })()}`, `${(function(){ return typeof this[0] })()}`, `undefined`},
	{`${(function(){ this['le' + 'ak'] = 1 })()}`, `${typeof leak}`, `undefined`},
	{`${String.prototype.foo = 1}`, `${typeof ''.foo}`, `undefined`},
	{`${Math.max.foo = 1}`, `${typeof Math.max.foo}`, `undefined`},
	{`${Math.max = 1}${Math = 1}`, `${typeof Math.max}`, `function`},
	{`${RegExp.prototype.exec = 1}`, `${/x/.test('x')}`, `true`},
	{`${Array.prototype.push.call(Object.prototype, 1)}`, `${typeof {}[0]}`, `undefined`},
	{`${Array.prototype.push.call(Math.max, 1)}`, `${typeof Math.max[0]}`, `undefined`},
	{`${[1].forEach([]['pu' + 'sh'], Math.max)}`, `${typeof Math.max[0]}`, `undefined`},
	{`${[].push.apply(''.replace, [1])}`, `${typeof ''.replace[0]}`, `undefined`},
	{`${[].push.apply(moment.fn.format.prototype, [1])}`, `${typeof moment.fn.format.prototype[0]}`, `undefined`},
	{`${Object.freeze(moment.fn.format)}`, `${moment('2016-01-01').format('YYYY')}`, `2016`},
	{`${moment.updateLocale('en', {months: ['X']}) && 1}`, `${moment('2016-01-01').format('MMMM')}`, `January`},
	{`${moment['update' + 'Loc' + 'ale']('en', {months: ['X']}) && 1}`, `${moment('2016-01-01').format('MMMM')}`, `January`},
	{`${(moment()['_loc' + 'ale']['_mon' + 'ths'] = ['X']) && 1}`, `${moment('2016-01-01').format('MMMM')}`, `January`},
	{`${moment()["\x5flocale"]._months.reverse() && 1}`, `${moment('2016-01-01').format('MMMM')}`, `January`},
	{`${(function(){ with (moment()) { return \u005flocale._months.reverse() && 1 } })()}`, `${moment('2016-01-01').format('MMMM')}`, `January`},
	{`${moment.relativeTimeThreshold('m', 1)}`, `${moment.duration(20, 'minutes').humanize()}`, `20 minutes`},
	{`${moment['relative' + 'TimeThreshold']('m', 1)}`, `${moment.duration(20, 'minutes').humanize()}`, `20 minutes`},
	{`${moment.now = function(){ return 0 }}`, `${moment().year() > 2000}`, `true`},
	{`${moment.fn.format = 1}`, `${moment('2016-01-01').format('YYYY')}`, `2016`},
	{`${Date.prototype.getHours = 1}`, `${new Date(0).getHours()}`, `0`},
	{`${Date.now = function(){ return 0 }}`, `${Date.now() > 1e12}`, `true`},
	{`${eval('zz = 1')}`, `${typeof zz}`, `undefined`},
	{`${Function('zz = 1')()}`, `${typeof zz}`, `undefined`},
	{`${(function(){}).constructor('zz = 1')()}`, `${typeof zz}`, `undefined`},
	{`${a = 'changed'}`, `${a}${a + a}`, `xxx`},
	{`${obj.k = 'changed'}`, `${obj.k + 1}`, `v1`},
	{`${arr.push(3)}`, `${arr.length}`, `2`},
	{`${delete this.a}`, `${a + 1}`, `x1`},
	{`${Object.defineProperty(JSON, 'foo', {value: 1})}`, `${typeof JSON.foo}`, `undefined`},
	{`${(function(){ throw q2 = 1 })()}`, `${typeof q2}`, `undefined`},
	{`${/a/g.exec('aa').index}`, `${/a/g.exec('aa').index}`, `0`},
}

func seen() *params.Map {
	outer := visible()
	outer.Delete("raw") // fails, as it must
	return outer
}

// TestOneTextSeesNothingOfAnother: neither of one of the same task nor of a task before it.
func TestOneTextSeesNothingOfAnother(t *testing.T) {
	e := newEvaluator(t)
	ctx := context.Background()
	evaluate := func(list ...string) (string, error) {
		texts := params.List{}
		for _, text := range list {
			texts = append(texts, T(text))
		}
		got, err := e.Evaluate(ctx, expr.Scope{Outer: seen(), Local: params.Of("l", texts)})
		if err != nil {
			return "", err
		}
		l, _ := got.Lookup("l")
		return fmt.Sprint(l.(params.List)[len(texts)-1]), nil
	}
	for range 5 { // so that runtimes serve more than one task from now on
		if _, err := evaluate("${1 + 1}", "${moment(0).year()}"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range texts {
		// A refusal to change a builtin is as good as none; what counts is the second text.
		if got, err := evaluate(c.first, c.second); err == nil && got != c.want {
			t.Errorf("%s, then %s: got %s, want %s", c.first, c.second, got, c.want)
		}
		if got, err := evaluate(c.second); err != nil || got != c.want {
			t.Errorf("%s, then %s of another task: got %s, %v, want %s", c.first, c.second, got, err, c.want)
		}
	}
}

// TestRuntimesServeManyTasks, at once and in turn, and each sees its own values and time zone.
func TestRuntimesServeManyTasks(t *testing.T) {
	e := newEvaluator(t)
	var running sync.WaitGroup
	for worker := range 6 {
		running.Go(func() {
			for i := range 30 {
				n := worker*100 + i
				got, err := e.Text(context.Background(), "${n} ${leak = n * 2} ${moment.duration(n, 'ms').asMilliseconds()} ${/(\\d+)/.exec(text)[1]}",
					params.Of("n", n, "text", fmt.Sprintf("<%d>", n)), nil)
				if want := fmt.Sprintf("%d %d %d %d", n, 2*n, n, n); err != nil || got != want {
					t.Errorf("got %s, %v, want %s", got, err, want)
				}
			}
		})
	}
	running.Wait()
}
