package operator_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// names lists the generated tasks with what each exports.
func names(t *testing.T, group *params.Map) []string {
	t.Helper()
	var lines []string
	for name, task := range group.All() {
		if !strings.HasPrefix(name, "+") {
			lines = append(lines, name+" "+encoded(task))
			continue
		}
		export, _ := task.(*params.Map).Lookup("_export")
		lines = append(lines, name+" "+encoded(export))
	}
	return lines
}

func wantNames(t *testing.T, what any, group *params.Map, want ...string) {
	t.Helper()
	got := names(t, group)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%v: got\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

var body = params.Of("sh>", tmpl("echo ${i}"))

func TestLoop(t *testing.T) {
	p := newProject(t)
	tests := []struct {
		own  []any
		want int
	}{
		{[]any{"loop>", 2}, 2},
		{[]any{"loop>", "3"}, 3}, // 10.9
		{[]any{"loop>", " 2 "}, 2},
		{[]any{"loop>", params.Number("2.9")}, 2}, // 10.9
		{[]any{"loop>", 0}, 0},
		{[]any{"loop>", -1}, 0},
		{[]any{"loop>", ""}, 0},
		{[]any{"loop>", 3, "count", 1}, 1}, // L13: the task's own
		{[]any{"loop>", 3, "count", "0"}, 0},
		{[]any{"loop>", 1000}, 1000},
	}
	for _, tt := range tests {
		own := append(tt.own, "_do", body)
		if got := mustRun(t, p.task(own...)).Subtasks.Len(); got != tt.want {
			t.Errorf("%v: got %d subtasks, want %d", tt.own, got, tt.want)
		}
	}
	group := mustRun(t, p.task("loop>", 2, "_do", body)).Subtasks
	want := `{"+loop-0":{"sh>":"echo ${i}","_export":{"i":0}},"+loop-1":{"sh>":"echo ${i}","_export":{"i":1}}}`
	if got := encoded(group); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLoopIgnoresAnInheritedCount(t *testing.T) {
	task := newProject(t).inherit(params.Of("count", 3), "loop>", 1, "_do", body)
	if got := mustRun(t, task).Subtasks.Len(); got != 1 {
		t.Errorf("got %d iterations, want 1 (L13)", got)
	}
}

func TestLoopRefuses(t *testing.T) {
	p := newProject(t)
	const expected = "Expected integer (int) type for key "
	wantFailure(t, p.task("loop>", "x", "_do", body), expected+`'_command' but got "x" (string) (config)`)
	wantFailure(t, p.task("loop>", "1.5", "_do", body), expected+`'_command' but got "1.5" (string) (config)`)
	wantFailure(t, p.task("loop>", true, "_do", body), expected+`'_command' but got true (boolean) (config)`)
	wantFailure(t, p.task("loop>", []any{1}, "_do", body), expected+`'_command' but got [1] (array) (config)`)
	wantFailure(t, p.task("loop>", 2, "count", "x", "_do", body), expected+`'count' but got "x" (string) (config)`)
	wantFailure(t, p.task("loop>", nil, "_do", body), "Parameter '_command' is required but not set (config)")
	wantFailure(t, p.task("loop>", 2), "Parameter '_do' is required but not set (config)")
	wantFailure(t, p.task("loop>", 2, "_do", []any{}),
		"Expected object type for key '_do' but got [] (array) (config)")
	wantFailure(t, p.task("loop>", 2, "_do", params.Of("_export", "x")),
		`Expected object type for key '_export' but got "x" (string) (config)`)
	wantFailure(t, p.task("loop>", 1001, "_do", body), "Too many loop subtasks. Limit: 1000 (config)")
}

// The variable of a loop replaces an equal key of the body's own export, L67;
// the others stay templates.
func TestLoopVariableBeatsTheBodysExport(t *testing.T) {
	do := params.Of("_export", params.Of("i", 77, "j", tmpl("${i}")), "echo>", "x")
	group := mustRun(t, newProject(t).task("loop>", 1, "_do", do)).Subtasks
	wantNames(t, "loop", group, `+loop-0 {"i":0,"j":"${i}"}`)
	if got, want := encoded(do), `{"_export":{"i":77,"j":"${i}"},"echo>":"x"}`; got != want {
		t.Errorf("the body became %s, want %s", got, want)
	}
}

func TestParallelOfLoops(t *testing.T) {
	p := newProject(t)
	tests := []struct {
		given any
		want  string
	}{
		{true, "true"},
		{"true", "true"},
		{"True", "true"},
		{false, ""},
		{"false", ""},
		{"", ""},
		{params.Of("limit", "2"), `{"limit":2}`},
		{params.Of("limit", params.Number("2.5"), "more", 1), `{"limit":2}`},
		{params.Of("limit", 0), "true"},
		{params.Of("limit", -1), "true"},
	}
	for _, tt := range tests {
		want := []string{`+loop-0 {"i":0}`}
		if tt.want != "" {
			want = []string{"_parallel " + tt.want, want[0]}
		}
		own := mustRun(t, p.task("loop>", 1, "_parallel", tt.given, "_do", body)).Subtasks
		wantNames(t, tt.given, own, want...)
		seen := mustRun(t, p.inherit(params.Of("_parallel", tt.given), "loop>", 1, "_do", body)).Subtasks
		wantNames(t, "an inherited one", seen, want...)
	}
	if got := mustRun(t, p.task("loop>", 0, "_parallel", true, "_do", body)).Subtasks; got.Len() != 0 {
		t.Errorf("got %s for no iterations, want nothing", encoded(got))
	}
	for value, want := range map[any]string{
		params.Number("3"):        "invalid _parallel format: 3 (config)",
		nil:                       "invalid _parallel format: null (config)",
		"often":                   `Expected 'true' or 'false' for key '_parallel' but got "often" (string) (config)`,
		params.Of():               "Parameter 'limit' is required but not set (config)",
		params.Of("limit", "two"): `Expected integer (int) type for key 'limit' but got "two" (string) (config)`,
	} {
		wantFailure(t, p.task("loop>", 1, "_parallel", value, "_do", body), want)
	}
}

func TestForEach(t *testing.T) {
	p := newProject(t)
	tests := []struct {
		name    string
		command any
		want    []string
	}{
		{
			"product, first key outermost", params.Of("fruit", []any{"apple", "orange"}, "verb", []any{"eat", "throw"}),
			[]string{
				`+for-0=fruit=0=apple&1=verb=0=eat {"fruit":"apple","verb":"eat"}`,
				`+for-0=fruit=0=apple&1=verb=1=throw {"fruit":"apple","verb":"throw"}`,
				`+for-0=fruit=1=orange&1=verb=0=eat {"fruit":"orange","verb":"eat"}`,
				`+for-0=fruit=1=orange&1=verb=1=throw {"fruit":"orange","verb":"throw"}`,
			},
		},
		{"JSON text", `{"v": [1, "a"]}`, []string{`+for-0=v=0=1 {"v":1}`, `+for-0=v=1=a {"v":"a"}`}},
		{"lists as JSON text", params.Of("v", "[true]"), []string{`+for-0=v=0=true {"v":true}`}},
		{"values are data", params.Of("v", []any{"${n}", params.Of("_do", tmpl("${n}"))}), []string{
			`+for-0=v=0=%24%7Bn%7D {"v":{"!data":"${n}"}}`,
			`+for-0=v=1=%7B%22_do%22%3A%22 {"v":{"_do":{"!data":"${n}"}}}`,
		}},
		{"null", params.Of("v", []any{1, nil}), []string{`+for-0=v=0=1 {"v":1}`, `+for-0=v=1=null {"v":null}`}},
		{"no lists", params.Of(), nil},
		{"the first list is empty", params.Of("a", []any{}, "b", []any{1, 2}), nil}, // O22
		{"the last list is empty", params.Of("a", []any{1, 2}, "b", []any{}), nil},
	}
	for _, tt := range tests {
		group := mustRun(t, p.task("for_each>", tt.command, "_do", body)).Subtasks
		wantNames(t, tt.name, group, tt.want...)
	}
	group := mustRun(t, p.task("for_each>", params.Of("v", []any{1}), "_parallel", true, "_do", body)).Subtasks
	wantNames(t, "parallel", group, "_parallel true", `+for-0=v=0=1 {"v":1}`)
}

// Names of keys and values are cut to eight UTF-16 units and then encoded.
func TestForEachNames(t *testing.T) {
	p := newProject(t)
	for _, tt := range []struct {
		value any
		want  string
	}{
		{"a/b", "a%2Fb"},
		{"a b&c", "a%20b%26c"},
		{"é日本語です", "%C3%A9%E6%97%A5%E6%9C%AC%E8%AA%9E%E3%81%A7%E3%81%99"},
		{params.Of("k", 1), "%7B%22k%22%3A1%7D"},
		{[]any{1, 2}, "%5B1%2C2%5D"},
		{"", ""},
		{"a+b:c=d", "a%2Bb%3Ac%3Dd"},
		{params.Number("12345.678901"), "12345.67"},
		{params.Number("1e3"), "1000.0"},
		{10, "10"},
		{"a*b", "a*b"}, // no task may have that name: kept
		{"A-z_0.9~", "A-z_0.9%7E"},
		{"123456789", "12345678"},
		{"123456😀7", "123456%F0%9F%98%80"},
		{"1234567😀", "1234567%3F"}, // half a pair
		{"\xff", "%EF%BF%BD"},
	} {
		group := mustRun(t, p.task("for_each>", params.Of("longer name", []any{tt.value}), "_do", body)).Subtasks
		if got, want := group.Keys()[0], "+for-0=longer%20n=0="+tt.want; got != want {
			t.Errorf("%v: got %s, want %s", tt.value, got, want)
		}
	}
}

func TestForEachRefuses(t *testing.T) {
	p := newProject(t)
	wantFailure(t, p.task("for_each>", []any{1, 2}, "_do", body),
		"Expected object type for key '_command' but got [1,2] (array) (config)")
	wantFailure(t, p.task("for_each>", "nonsense", "_do", body),
		`Expected object type for key '_command' but got "nonsense" (string) (config)`)
	wantFailure(t, p.task("for_each>", params.Of("v", 3), "_do", body),
		"Expected array type for key 'v' but got 3 (number) (config)")
	wantFailure(t, p.task("for_each>", params.Of("v", nil), "_do", body),
		"Parameter 'v' is required but null (config)")
	wantFailure(t, p.task("for_each>", params.Of("v", []any{1})), "Parameter '_do' is required but not set (config)")

	ten := params.List{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	huge := params.NewMap(30)
	for i := range 30 { // 10^30 combinations do not fit any integer
		huge.Set(fmt.Sprintf("k%d", i), ten)
	}
	wantFailure(t, p.task("for_each>", huge, "_do", body), "Too many for_each subtasks. Limit: 1000 (config)")
	none := huge.Clone()
	none.Set("last", params.List{})
	if got := mustRun(t, p.task("for_each>", none, "_do", body)).Subtasks; got.Len() != 0 {
		t.Errorf("got %d subtasks for a product with an empty list, want none", got.Len())
	}
}

func TestForRange(t *testing.T) {
	p := newProject(t)
	of := params.Of
	tests := []struct {
		command any
		want    []string
	}{
		{of("from", 10, "to", 50, "step", 15), []string{
			`+range-from=10&to=25 {"range":{"from":10,"to":25,"index":0}}`,
			`+range-from=25&to=40 {"range":{"from":25,"to":40,"index":1}}`,
			`+range-from=40&to=50 {"range":{"from":40,"to":50,"index":2}}`,
		}},
		{of("from", "-1", "to", "1", "step", "1"), []string{
			`+range-from=-1&to=0 {"range":{"from":-1,"to":0,"index":0}}`,
			`+range-from=0&to=1 {"range":{"from":0,"to":1,"index":1}}`,
		}},
		{of("from", 0, "to", 10, "slices", 3), []string{
			`+range-from=0&to=4 {"range":{"from":0,"to":4,"index":0}}`,
			`+range-from=4&to=8 {"range":{"from":4,"to":8,"index":1}}`,
			`+range-from=8&to=10 {"range":{"from":8,"to":10,"index":2}}`,
		}},
		{of("from", 0, "to", 2, "slices", 5), []string{
			`+range-from=0&to=1 {"range":{"from":0,"to":1,"index":0}}`,
			`+range-from=1&to=2 {"range":{"from":1,"to":2,"index":1}}`,
		}},
		{`{"from": 1, "to": 2, "step": 9, "slices": null}`, []string{
			`+range-from=1&to=2 {"range":{"from":1,"to":2,"index":0}}`,
		}},
		{of("from", math.MinInt64, "to", math.MaxInt64, "slices", 2), []string{
			`+range-from=-9223372036854775808&to=0 {"range":{"from":-9223372036854775808,"to":0,"index":0}}`,
			`+range-from=0&to=9223372036854775807 {"range":{"from":0,"to":9223372036854775807,"index":1}}`,
		}},
		{of("from", 3, "to", 3, "step", 1), nil},
		{of("from", 3, "to", 1, "slices", 1), nil},
	}
	for _, tt := range tests {
		wantNames(t, tt.command, mustRun(t, p.task("for_range>", tt.command, "_do", body)).Subtasks, tt.want...)
	}
}

func TestForRangeRefuses(t *testing.T) {
	p := newProject(t)
	tests := []struct {
		command any
		want    string
	}{
		{"0..4", `Expected object type for key '_command' but got "0..4" (string) (config)`},
		{params.Of("to", 4, "step", 1), "Parameter 'from' is required but not set (config)"},
		{params.Of("from", 0, "step", 1), "Parameter 'to' is required but not set (config)"},
		{params.Of("from", 0, "to", 4, "step", 1, "slices", 2), "Only one of step and slices can be given (config)"},
		{params.Of("from", 0, "to", 4), "Either step or slices is required (config)"},
		{params.Of("from", 0, "to", 4, "step", 0), "step must be positive, but is 0 (config)"},
		{params.Of("from", 4, "to", 0, "slices", -1), "slices must be positive, but is -1 (config)"},
		{
			params.Of("from", 0, "to", 4, "step", "few"),
			`Expected integer (long) type for key 'step' but got "few" (string) (config)`,
		},
		{params.Of("from", 0, "to", 1001, "step", 1), "Too many for_range subtasks. Limit: 1000 (config)"},
		{
			params.Of("from", math.MinInt64, "to", math.MaxInt64, "step", 1),
			"Too many for_range subtasks. Limit: 1000 (config)",
		},
	}
	for _, tt := range tests {
		wantFailure(t, p.task("for_range>", tt.command, "_do", body), tt.want)
	}
	wantFailure(t, p.task("for_range>", params.Of("from", 0, "to", 1, "step", 1)),
		"Parameter '_do' is required but not set (config)")
}

// What is below the first level of a body is one value for all its tasks.
func TestIterationsShareTheirBody(t *testing.T) {
	inner := params.Of("echo>", tmpl("${i}"))
	group := mustRun(t, newProject(t).task("loop>", 3, "_do", params.Of("+a", inner))).Subtasks
	for name, task := range group.All() {
		if got, _ := task.(*params.Map).Lookup("+a"); got != inner {
			t.Errorf("%s: got a copy of the body's task, want the same value", name)
		}
	}
}

func BenchmarkForEach(b *testing.B) {
	values := make([]any, 0, 100)
	for i := range 100 {
		values = append(values, i)
	}
	steps := params.NewMap(20)
	for i := range 20 {
		steps.Set(fmt.Sprintf("+step%d", i), params.Of("sh>", tmpl(strings.Repeat("x", 1000))))
	}
	do := params.Of("+all", steps)
	lists := params.Of("a", values, "b", values, "c", values[:10])
	task := newProject(b).task("for_each>", lists, "_do", do)
	task.MaxTasks = 100_000
	forEach := operator.Builtin()["for_each"].Operator
	b.ReportAllocs()
	for b.Loop() {
		result, err := forEach.Run(b.Context(), task)
		if err != nil || result.Subtasks.Len() != 100_000 {
			b.Fatalf("got %d subtasks, %v, want 100000", result.Subtasks.Len(), err)
		}
	}
}
