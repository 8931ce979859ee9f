package operator_test

import (
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

func TestSelect(t *testing.T) {
	tests := []struct {
		name      string
		evaluated *params.Map
		local     *params.Map
		typ       string
		config    *params.Map
		localConf *params.Map
	}{
		{
			"shorthand", params.Of("a", 1, "echo>", "hi"), params.Of("echo>", tmpl("${x}")), "echo",
			params.Of("a", 1, "echo>", "hi", "_type", "echo", "_command", "hi"), params.Of("echo>", "hi"),
		},
		{
			"explicit type", params.Of("_type", "sh", "_command", "true"), params.Of("_type", "sh"), "sh",
			params.Of("_type", "sh", "_command", "true"), params.Of("_type", "sh"),
		},
		{
			"type wins over a key", params.Of("echo>", "hi", "_type", "sh"), nil, "sh",
			params.Of("echo>", "hi", "_type", "sh"), params.Of(),
		},
		{
			"first key wins, inherited or not", params.Of("fail>", "no", "echo>", "hi"), params.Of("echo>", "hi"), "fail",
			params.Of("fail>", "no", "echo>", "hi", "_type", "fail", "_command", "no"), params.Of("echo>", "hi"),
		},
		{
			"a key beats _command", params.Of("_command", "a", "echo>", "b"), nil, "echo",
			params.Of("_command", "b", "echo>", "b", "_type", "echo"), params.Of(),
		},
		{
			"null leaves no command", params.Of("_command", "a", "sh>", nil), params.Of("sh>", nil), "sh",
			params.Of("sh>", nil, "_type", "sh"), params.Of(),
		},
		{
			"no operator", params.Of("a", 1), params.Of("a", 1), "",
			params.Of("a", 1), params.Of("a", 1),
		},
		{
			"local values come merged, null and removed ones not at all",
			params.Of("m", params.Of("up", 1, "own", 2), "gone", nil, "echo>", "x"),
			params.Of("m", params.Of("own", tmpl("${2}")), "gone", nil, "_error", params.Of("fail>", "x")), "echo",
			params.Of("m", params.Of("up", 1, "own", 2), "gone", nil, "echo>", "x", "_type", "echo", "_command", "x"),
			params.Of("m", params.Of("up", 1, "own", 2)),
		},
	}
	for _, tt := range tests {
		before := encoded(tt.evaluated)
		typ, config, local, err := operator.Select(tt.evaluated, tt.local)
		if err != nil || typ != tt.typ {
			t.Errorf("%s: got type %q, %v, want %q", tt.name, typ, err, tt.typ)
		}
		if got, want := encoded(config), encoded(tt.config); got != want {
			t.Errorf("%s: got config %s, want %s", tt.name, got, want)
		}
		if got, want := encoded(local), encoded(tt.localConf); got != want {
			t.Errorf("%s: got local %s, want %s", tt.name, got, want)
		}
		if after := encoded(tt.evaluated); after != before {
			t.Errorf("%s: the argument became %s, want %s", tt.name, after, before)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	tests := []struct {
		evaluated *params.Map
		want      string
	}{
		{params.Of("_type", []any{1}), `Expected string type for key '_type' but got [1] (array) (config)`},
		{params.Of("_type", nil), `Parameter '_type' is required but null (config)`},
		{params.Of(">", "x"), `Unknown task type:  (config)`},
	}
	for _, tt := range tests {
		if _, _, _, err := operator.Select(tt.evaluated, nil); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", encoded(tt.evaluated), err, tt.want)
		}
	}
	if got, want := operator.UnknownType("teleport").Error(), "Unknown task type: teleport (config)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBuiltin(t *testing.T) {
	registry := operator.NewRegistry(operator.Builtin())
	type traits struct{ retries, pure bool }
	want := map[string]traits{
		"call": {true, true}, "echo": {false, true}, "embulk": {true, false}, "fail": {false, true}, "for_each": {false, true},
		"for_range": {false, true}, "http": {true, false}, "http_call": {true, false}, "if": {false, true}, "loop": {false, true}, "mail": {true, false}, "notify": {false, false},
		"py": {true, false}, "rb": {true, false}, "require": {true, false}, "sh": {true, false}, "wait": {false, true},
	}
	types := registry.Types()
	if len(types) != len(want) {
		t.Errorf("got types %v, want those of %v", types, want)
	}
	for _, typ := range types {
		entry, ok := registry.Lookup(typ)
		if got := (traits{entry.Retries, entry.Pure}); !ok || got != want[typ] {
			t.Errorf("%s: got %+v, %v, want %+v", typ, got, ok, want[typ])
		}
	}
	if _, ok := registry.Lookup("nop"); ok {
		t.Error("got an operator for nop, want none")
	}
}

func TestErrorObject(t *testing.T) {
	tests := []struct {
		err  *operator.Error
		want string
	}{
		{&operator.Error{Message: "boom"}, `{"message":"boom"}`},
		{&operator.Error{Message: "cost ${x}"}, `{"message":{"!data":"cost ${x}"}}`},
		{
			&operator.Error{Message: "bad", Kind: "config", Extra: params.Of("code", 3)},
			`{"message":"bad (config)","stacktrace":"","code":3}`,
		},
	}
	for _, tt := range tests {
		if got := encoded(tt.err.Object()); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
