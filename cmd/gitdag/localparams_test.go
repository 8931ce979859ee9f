package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

func TestParameterOptions(t *testing.T) {
	tests := []struct {
		options []string
		want    string // as JSON, or the error
	}{
		{nil, `{}`},
		{[]string{"a=1", "b=x y", "e=", "u=é"}, `{"a":"1","b":"x y","e":"","u":"é"}`},
		{[]string{"a=1=2"}, `{"a":"1=2"}`},
		{[]string{"a=1,2,3", "b=x,c=y"}, `{"a":"1,2,3","b":"x","c":"y"}`},
		{[]string{"a=1,=2"}, `{"a":"1,=2"}`},
		{[]string{"c.d.e=deep", "c.f=g"}, `{"c":{"d":{"e":"deep"},"f":"g"}}`},
		{[]string{"a=1", "a=2"}, `{"a":"2"}`},
		{[]string{"novalue"}, `-p needs KEY=VALUE, not "novalue"`},
		{[]string{"=x"}, `-p needs KEY=VALUE, not "=x"`},
		{[]string{"x.a=1", "x.a.b=2"}, `parameter "x.a.b" can't be set: "x.a" is a value already`},
		{[]string{"a.b=2", "a=1"}, `parameter "a" can't be a value: it has others below it`},
	}
	for _, tt := range tests {
		list, err := splitAssignments(tt.options)
		var m *params.Map
		if err == nil {
			m, err = assign(params.NewMap(0), list)
		}
		got := string(params.AppendJSON(nil, m))
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.options, got, tt.want)
		}
	}
}

func TestProperties(t *testing.T) {
	p := properties{}
	p.read("# comment\n! too\n\n a = 1 \r\nb:2\nc 3\nd\n" +
		"e\\=f\\:g\\ h = x\\ty\\\\ \\u00e9\\ud83d\\ude00\\q\n" +
		"long = one, \\\n   two\\\\\nnext = = v\nbad = \\u12\nlast = end\\")
	want := properties{
		"a": "1 ", "b": "2", "c": "3", "d": "", "e=f:g h": "x\ty\\ é😀q",
		"long": `one, two\`, "next": "= v", "bad": "u12", "last": "end",
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	p = properties{"x.a": "1", "x.b.c": "2", "x.": "3", "y": "4"}
	if diff := cmp.Diff(map[string]string{"a": "1", "b.c": "2"}, p.below("x.")); diff != "" {
		t.Error(diff)
	}
}

func TestSpan(t *testing.T) {
	for s, want := range map[int64]string{
		-1: "0s", 7: "7s", 303: "5m 3s", 7203: "2h 0m 3s", 7000 * 365 * 86400: "61320000h 0m 0s",
	} {
		if got := span(s); got != want {
			t.Errorf("%d: got %s, want %s", s, got, want)
		}
	}
}
