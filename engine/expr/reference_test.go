package expr_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gitdag/engine/expr"
	"gitdag/engine/params"
)

// A plain reference and the same in parentheses, which JavaScript evaluates, give the same.
func TestReferencesAreAsInJavaScript(t *testing.T) {
	e := newEvaluator(t)
	vars := params.Of(
		"s", "text", "n", params.Number("1.0"), "big", params.Number("1e400"), "neg", params.Number("-0"), "tiny", params.Number("1.5e-9"),
		"t", true, "z", nil, "e", "", "l", []any{1, "two", nil, []any{params.Number("1e21")}}, "quote", "\"\\\n\u2028\x01é😀",
		"o", params.Of("k", "v", "10", "ten", "9", "nine", "01", "x", "z", nil, "toString", "own", "__proto__", "p", "l", []any{params.Of("x", 1)}),
		"toString", "mine", "undefined", "u", "length", 3, "async", "y", "moment", "shadow", "a.b", "dotted", "Ω", "omega", "$", "d", "_", "u",
		"raw", params.Template("${x}"), "objects", []any{params.Of("4294967295", 1, "0", 2, "-1", 3)},
	)
	for _, code := range []string{
		"s", " s\n", "n", "big", "neg", "tiny", "t", "z", "e", "l", "quote", "o", "o.k", "o['k']", `o["k"]`, "o.z", "o.missing", "o.toString", "o.valueOf",
		"o.__proto__", "o.l[0].x", "o.l[0]", "o.l[7]", "l[0]", "l[2]", "l[3]", "l[3][0]", "l[9]", "l[01]", "l[-1]", "l.length", "s.length", "s.zz", "o.l.zz",
		"toString", "undefined", "length", "async", "moment", "valueOf", "constructor", "zz", "z.x", "o.missing.x", "Ω", "$", "_", "raw", "o['10']",
		"this", "null", "true", "o.", "o..k", "o[", "o['k'", "o['k\\x']", "l[]", "l['0']", "o[0]", "1", "", "a.b", "o.class", "objects", "o['']", "n.x", "s[0]",
		"o.k.k", "hasOwnProperty", "o . k", "let", "yield", "arguments", "this['a.b']", `this["s"]`, "this.o.k", "this.zz", "this['toString']", "this.valueOf",
		"this.o['10']", "this[0]", "this['']", "this.this", "this.class",
	} {
		got, errGot := e.Text(context.Background(), "${"+code+"}", vars, time.UTC)
		want, errWant := e.Text(context.Background(), "${("+code+")}", vars, time.UTC)
		if code == "" {
			want, errWant = "", nil // ${} emits nothing, without JavaScript
		}
		if got != want || (errGot == nil) != (errWant == nil) {
			t.Errorf("%s: got %q, %v, want %q, %v", code, got, errGot, want, errWant)
		}
	}
}

// TestIntegersStayExact (L20): a plain reference gives an integer as it is, wherever it stands; in JavaScript it is a
// double.
func TestIntegersStayExact(t *testing.T) {
	e := newEvaluator(t)
	const big, negative = "9007199254740993", "-123456789012345678901234567890"
	vars := params.Of("big", params.Number(big), "o", params.Of("id", params.Number(big), "l", []any{params.Number(negative), 1}, "my-id", params.Number(big)),
		"safe", params.Number("9007199254740992"), "f", params.Number("9007199254740993.0"), "e", params.Number("1e30"), "x", 1)
	for text, want := range map[string]string{
		"${big}": big, "${ big }": big, "<${big}>": "<" + big + ">", "${o.id}": big, "${o['my-id']}": big, "${this['big']}": big, "${this.o.id}": big, "${o.l[0]}": negative,
		"${o.l}": "[" + negative + ",1]", "${o}": `{"id":` + big + `,"l":[` + negative + `,1],"my-id":` + big + "}",
		"${x + 1} ${big}": "2 " + big, "${o.id + 1} ${o.id} ${o}": "9007199254740992 " + big + ` {"id":` + big + `,"l":[` + negative + `,1],"my-id":` + big + "}",
		"${o.id = 5}${o.id}": "55", "${big = 7}${big}": "77", "${delete this.big}${typeof big}": "trueundefined", "${o.l.push(2)} ${o.l}": "3 [-1.2345678901234568e+29,1,2]",
		"${safe}": "9007199254740992", "${f}": "9007199254740992", "${e}": "1e+30", "${big + 0}": "9007199254740992", "${(big)}": "9007199254740992", "${'' + big}": "9007199254740992",
		"${JSON.stringify(o.l)}": "[-1.2345678901234568e+29,1]", "${big == 9007199254740992}": "true",
	} {
		if got, err := e.Text(context.Background(), text, vars, time.UTC); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzTemplates(f *testing.F) {
	for _, seed := range []string{
		"${a}", "${o.k} $$ ${", "${l[0]}${x=1}", "${'{'}", "${secret:${a}}", "${moment(0).format()}", "${o['k']}", "${(function(){})()}", "${a.b.c}",
		"${[1,2].map(function(x){return x})}", "${/a+/.test(a)}", "${'a'.replaceAll('(a)', '$1')}", "${new Date(2016,1,1)}", "${eval('1')}", "${JSON.stringify(o,null,2)}",
	} {
		f.Add(seed)
	}
	e := expr.New(expr.Options{TimeLimit: 200 * time.Millisecond})
	vars := params.Of("a", "x", "o", params.Of("k", "v", "1", 2), "l", []any{1, nil}, "z", nil)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := e.Text(context.Background(), text, vars, time.UTC)
		if !strings.Contains(text, "${") && err == nil && got != strings.ReplaceAll(text, "$$", "$") {
			t.Errorf("%q without an expression: got %q", text, got)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "Failed to evaluate a variable ") {
			t.Errorf("%q: got error %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "InternalError") {
			t.Errorf("%q: the engine panicked: %v", text, err)
		}
	})
}

func hundred() *params.Map {
	m := params.NewMap(100)
	for i := range 90 {
		m.Set(fmt.Sprintf("key_%d", i), "value")
	}
	for i := range 9 {
		m.Set(fmt.Sprintf("t_%d", i), params.Template(fmt.Sprintf("${key_%d}/${key_%d}", i, i+1)))
	}
	m.Set("timezone", "UTC")
	return m
}

func benchmarkTask(b *testing.B, command string, warm int) {
	e := expr.New(expr.Options{Warm: warm})
	defer e.Close()
	outer, local := hundred(), params.Of("sh>", params.Template(command))
	b.ReportAllocs()
	for b.Loop() {
		var all *params.Map
		for range 3 {
			all = params.Merge(all, outer)
		}
		if _, err := e.Evaluate(context.Background(), expr.Scope{Outer: all, Local: local}); err != nil {
			b.Fatal(err)
		}
	}
}

// The cost of layering and evaluating 100 visible parameters, of which ten are templates.
func BenchmarkTaskWithoutJavaScript(b *testing.B) { benchmarkTask(b, "echo ${key_1} ${t_1}", 0) }

func BenchmarkTaskWithJavaScript(b *testing.B) { benchmarkTask(b, "echo ${key_1 + t_1}", 2) }

func BenchmarkTaskWithMoment(b *testing.B) {
	benchmarkTask(b, "echo ${moment(0).format('YYYY-MM-DD')}", 2)
}
