package dig

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

// Every row of language.md 2.1 (L1): the value as JSON.
func TestScalarDialect(t *testing.T) {
	for text, want := range map[string]string{
		// booleans
		"true": `true`, "True": `true`, "false": `false`, "False": `false`,
		"TRUE": `"TRUE"`, "yes": `"yes"`, "no": `"no"`, "on": `"on"`, "off": `"off"`, "y": `"y"`, "n": `"n"`,
		`"true"`: `"true"`, `'false'`: `"false"`,
		// null
		"~": `null`, "null": `null`, "Null": `null`, "NULL": `null`, "": `null`, "nULL": `"nULL"`, `""`: `""`,
		// integers
		"7": `7`, "-7": `-7`, "+7": `7`, "0": `0`, "-0": `0`, "1_000": `1000`, "0b101": `5`, "-0b11": `-3`,
		"0x1F": `31`, "-0x10": `-16`, "0x_f": `15`, "010": `8`, "-010": `-8`, "0_7": `7`,
		"08": `"08"`, "0o10": `"0o10"`, "1 000": `"1 000"`, "0x": `"0x"`, "0b": `"0b"`, "0x_": `"0x_"`, "0b2": `"0b2"`,
		"123456789012345678901234567890": `123456789012345678901234567890`,
		"0xffffffffffffffffffff":         `1208925819614629174706175`,
		// sexagesimal integers
		"07:00:00": `"07:00:00"`, "1:30": `"1:30"`, "30:00": `"30:00"`, "-1:30": `"-1:30"`, "190:20:30": `"190:20:30"`,
		// floats
		"0.5": `"0.5"`, "-0.5": `"-0.5"`, "0.0": `"0.0"`, "0e3": `"0e3"`, "00.5": `"00.5"`, "1.5.2": `"1.5.2"`,
		".5": `0.5`, "-.5": `-0.5`, "1.5": `1.5`, "+1.5": `1.5`, "1.": `1.0`, "1e3": `1e3`, "1E2": `1E2`, "1e-3": `1e-3`,
		"1.25e+2": `1.25e+2`, "1_0.5": `10.5`, ".": `"."`, "1e": `"1e"`, "e3": `"e3"`, "+": `"+"`,
		"1e999": `"Infinity"`, "-1e999": `"-Infinity"`, "1e-999999999": `0.0`,
		"1:30.5": `90.5`, "-1:30.5": `-90.5`, "1:30.": `90.0`, "1:70.5": `"1:70.5"`,
		".inf": `"Infinity"`, ".Inf": `"Infinity"`, "+.inf": `"Infinity"`, "-.INF": `"-Infinity"`, ".nan": `"NaN"`, ".NaN": `"NaN"`,
		"inf": `"inf"`, "nan": `"nan"`,
		// timestamps
		"2016-01-01": `"2016-01-01"`, "2016-01-01 00:00:00": `"2016-01-01 00:00:00"`, "2016-01-01T10:20:30Z": `"2016-01-01T10:20:30Z"`,
		// explicit tags
		"!!str 5": `"5"`, "!!str true": `"true"`, `!!int "7"`: `7`, "!!int 0x10": `16`, `!!float "1"`: `1.0`, "!!float 0.5": `0.5`,
		"!!float .inf": `"Infinity"`, `!!bool "true"`: `true`, "!!bool yes": `true`, "!!bool off": `false`, `!!null ""`: `null`,
		"!!null x": `null`, "!!map {x: 1}": `{"x":1}`, "!!seq [1, 2]": `[1,2]`, "!!set {p, q}": `["p","q"]`,
		"!!omap [{b: 1}, {a: 2}]": `{"b":1,"a":2}`, "!!binary aGk=": `"aGk="`, "!<tag:yaml.org,2002:str> 5": `"5"`,
		// flow style and JSON
		`{"a":1,"b":[true,null,"x"]}`: `{"a":1,"b":[true,null,"x"]}`, "[1, [2], {a: b}]": `[1,[2],{"a":"b"}]`,
		`"tab\there \u00e9 \x41"`: `"tab\there é A"`, `'it''s'`: `"it's"`,
	} {
		t.Run(text, func(t *testing.T) {
			w := one(t, "_export:\n  v: "+text+"\n")
			if got := export(t, w, "v"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestTextsAreTemplates(t *testing.T) {
	w := one(t, "_export: {v: '${a}', n: 1.50, l: [x]}\n")
	want := params.Of("v", params.Template("${a}"), "n", params.Number("1.50"), "l", params.List{params.Template("x")})
	if got := w.Tree.Root().Export; !got.Equal(want) {
		t.Errorf("got %s, want %s", params.Encode(got), params.Encode(want))
	}
	if v, _ := w.Tree.Root().Export.Lookup("v"); v != params.Template("${a}") {
		t.Errorf("got %T, want a template", v)
	}
}

func TestKeysBecomeText(t *testing.T) {
	w := one(t, `
_export:
  v:
    1: int
    0x10: hex
    true: bool
    True : Bool
    1.5: float
    1e3: exp
    .5: half
    no: word
    2016-01-01: date
    "q": quoted
    ? complex
    : explicit
    !!str 010: tagged
`)
	want := `{"1":"int","16":"hex","true":"Bool","1.5":"float","1000.0":"exp","0.5":"half","no":"word",` +
		`"2016-01-01":"date","q":"quoted","complex":"explicit","010":"tagged"}`
	if got := export(t, w, "v"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// Anchors, aliases and << as the dialect has them: what is there stays, what is written later wins, and keys keep the
// place where they first came up.
func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"alias", "a: &x {k: 1}\n  v: *x", `{"k":1}`},
		{"scalar alias", "a: &x 0x10\n  v: [*x, *x]", `[16,16]`},
		{"redefined anchor", "a: &x 1\n  b: *x\n  c: &x 2\n  v: *x", `2`},
		{"own key after", "a: &x {k: 1, l: 1}\n  v: {<<: *x, k: 2}", `{"k":2,"l":1}`},
		{"own key before", "a: &x {k: 1, l: 1}\n  v: {k: 2, <<: *x}", `{"k":2,"l":1}`},
		{"no deep merge", "a: &x {k: {p: 1}}\n  v: {<<: *x, k: {q: 1}}", `{"k":{"q":1}}`},
		{"list, the first wins", "a: &x {k: 1}\n  b: &y {k: 2, l: 2}\n  v: {<<: [*x, *y], m: 3}", `{"k":1,"l":2,"m":3}`},
		{"inline", "v: {<<: {k: 1}}", `{"k":1}`},
		{"nested", "a: &x {k: 1}\n  b: &y {<<: *x, l: 2}\n  v: {<<: *y}", `{"k":1,"l":2}`},
		{"quoted is a key", "v: {'<<': 1}", `{"<<":1}`},
		{"alias as key", "a: &x name\n  v: {*x : 1}", `{"name":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := export(t, one(t, "_export:\n  "+c.text+"\n"), "v"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestOtherTexts(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{
			"block scalars",
			"_export:\n  v:\n    a: |\n      x\n        y\n\n    b: |-\n      x\n    c: |+\n      x\n\n    d: >\n      x\n      y\n\n      z\n    e: one\n      two\n",
			`{"a":"x\n  y\n","b":"x","c":"x\n\n","d":"x y\nz\n","e":"one two"}`,
		},
		{"byte order mark and CRLF", "\ufeff_export:\r\n  v: |\r\n    é\r\n    y\r\n", `"é\ny\n"`},
		{"JSON with tabs", "{\n\t\"_export\": {\n\t\t\"v\": [1]\n\t}\n}\n", `[1]`},
		{"JSON surrogates", `{"_export": {"v": "\ud83d\ude00 \\ud83d\\ude00"}}`, `"😀 \\ud83d\\ude00"`},
		{"end mark", "---\n_export: {v: 1}\n...\n", `1`},
		{"directive", "%YAML 1.1\n---\n_export: {v: 1}\n", `1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := export(t, one(t, c.text), "v"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// What is wrong with a file, with its place.
func TestDialectErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"duplicate keys", "_export:\n  k: 1\n  l: 2\n  \"k\": 3\n", []string{`w.dig:4:3: error: duplicated key "k"`}},
		{"duplicate in a list", "_export: {l: [{k: 1, k: 2}]}\n", []string{`w.dig:1:22: error: duplicated key "k"`}},
		{"duplicate merge", "_export: {<<: {a: 1}, <<: {b: 1}}\n", []string{`w.dig:1:23: error: duplicated key "<<"`}},
		{"duplicate tasks", "+a: {echo>: 1}\n+a: {echo>: 2}\n", []string{`w.dig:2:1: error: duplicated key "+a"`}},
		{"null key", "_export:\n  ~: 1\n", []string{"w.dig:2:3: error: a key must not be null"}},
		{"empty key", "_export: {? : 1}\n", []string{"w.dig:1:13: error: a key must not be null"}},
		{"list as key", "? [a]\n: 1\n", []string{"w.dig:1:3: error: a key must be a text, not a mapping or a list"}},
		{"unknown tag", "_export:\n  v: !color red\n", []string{"w.dig:2:6: error: unknown tag !color"}},
		{"unknown tag of a mapping", "_export: !x {}\n", []string{"w.dig:1:10: error: unknown tag !x"}},
		{"unknown standard tag", "_export: {v: !!timestamp 2001-01-01}\n", []string{"w.dig:1:14: error: unknown tag !!timestamp"}},
		{"bad integer", "_export: {v: !!int x}\n", []string{`w.dig:1:14: error: "x" is not an integer`}},
		{"bad float", "_export: {v: !!float x}\n", []string{`w.dig:1:14: error: "x" is not a number`}},
		{"bad boolean", "_export: {v: !!bool x}\n", []string{`w.dig:1:14: error: "x" is not a boolean`}},
		{"bad binary", "_export: {v: !!binary '!'}\n", []string{"w.dig:1:14: error: the text of !!binary is not base64"}},
		{"bad set", "_export: {v: !!set {a: 1}}\n", []string{"w.dig:1:24: error: a !!set has keys only"}},
		{"bad omap", "_export: {v: !!omap [a]}\n", []string{"w.dig:1:22: error: an !!omap is a list of mappings with one key each"}},
		{"merge of a text", "_export: {<<: x}\n", []string{"w.dig:1:15: error: << takes a mapping or a list of mappings"}},
		{"self reference", "_export: &a {b: *a}\n", []string{`w.dig:1:17: error: the value of anchor "a" contains itself`}},
		{"empty", "", []string{"w.dig:1:1: error: the file must be a mapping of keys to values, it is empty"}},
		{"comment only", "# x\n", []string{"w.dig:1:1: error: the file must be a mapping of keys to values, it is empty"}},
		{"text", "x y\n", []string{"w.dig:1:1: error: the file must be a mapping of keys to values, it is a text"}},
		{"list", "- a\n", []string{"w.dig:1:1: error: the file must be a mapping of keys to values, it is a list"}},
		{"two documents", "+a: {}\n---\n+b: {}\n", []string{"w.dig:2:1: error: a second document begins here"}},
		{"broken second document", "+a: {}\n---\n+b: [\n", []string{"w.dig:3:5: error: invalid YAML: did not find expected node content"}},
		{"not UTF-8", "+a: {}\nb\xff: 1\n", []string{"w.dig:2:2: error: the file is not UTF-8"}},
		{"UTF-16", "\xff\xfe+\x00", []string{"w.dig:1:1: error: the file is not UTF-8"}},
		{"tab", "+a:\n\tsh>: x\n", []string{"w.dig:2:1: error: invalid YAML: found character that cannot start any token"}},
		{"colon", "+a:\n  echo>: ${true ? 1 : 2}\n", []string{"w.dig:2:21: error: invalid YAML: mapping values are not allowed in this context"}},
		{"braces", "+a: {sh>: echo ${x}}\n", []string{"w.dig:1:11: error: invalid YAML: did not find expected ',' or '}'"}},
		{"bracket", "+a:\n  x: [1, 2\n  echo>: x\n", []string{"w.dig:2:10: error: invalid YAML: did not find expected ',' or ']'"}},
		{"quote", "+b: {}\n+a:\n  echo>: \"x\n", []string{"w.dig:3:10: error: invalid YAML: found unexpected end of stream"}},
		{"alias", "+a:\n  echo>: *é\n+b: {}\n", []string{"w.dig:2:11: error: invalid YAML: did not find expected alphabetic or numeric character"}},
		{"unknown alias", "+a:\n  echo>: *x\n+b: {}\n", []string{"w.dig:2:10: error: invalid YAML: unknown anchor 'x' referenced"}},
		{"indent", "+a:\n  echo>: x\n   y: 1\n", []string{"w.dig:3:5: error: invalid YAML: mapping values are not allowed in this context"}},
		{"dedent", "+a:\n    echo>: x\n  y: 1\n", []string{"w.dig:3:3: error: invalid YAML: did not find expected key"}},
		{"escape", "+a: {}\n+b:\n  echo>: \"\\q\"\n", []string{"w.dig:3:11: error: invalid YAML: found unknown escape character"}},
		{"list in a mapping", "+a: {}\n- b\n", []string{"w.dig:2:1: error: invalid YAML: did not find expected key"}},
		{
			"all at once", "_export: {a: !x 1, b: !y 2}\n+a: {_parallel: 3}\nkey: 1\n",
			[]string{
				"w.dig:1:14: error: unknown tag !x", "w.dig:1:23: error: unknown tag !y",
				"w.dig:2:17: error: task +w+a: invalid _parallel format: 3 is neither a boolean nor a mapping with limit",
				"w.dig:3:1: error: workflow includes unknown keys: [key]",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ds := Load(write(t, map[string]string{"w.dig": c.text}), Options{})
			if diff := cmp.Diff(c.want, lines(ds)); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongNumbers(t *testing.T) {
	digits := make([]byte, 2000)
	for i := range digits {
		digits[i] = '7'
	}
	for _, text := range []string{string(digits), "0x" + string(digits), string(digits) + ".5", string(digits) + ":30.5"} {
		_, ds := Load(write(t, map[string]string{"w.dig": "_export: {v: " + text + "}\n"}), Options{})
		want := []string{"w.dig:1:14: error: a number of more than 1000 characters"}
		if diff := cmp.Diff(want, lines(ds)); diff != "" {
			t.Errorf("diagnostics (-want +got):\n%s", diff)
		}
	}
}
