package flow

import (
	"strings"
	"testing"
	"time"

	"gitdag/engine/params"
)

func TestParseRetry(t *testing.T) {
	n := func(s string) params.Number { return params.Number(s) }
	for _, c := range []struct {
		what string
		in   any
		want Retry
		err  string
	}{
		{"a number", n("3"), Retry{Limit: 3}, ""},
		{"a text", "3", Retry{Limit: 3}, ""},
		{"an evaluated template", params.Template(" 3 "), Retry{Limit: 3}, ""},
		{"a fraction is cut off", n("2.9"), Retry{Limit: 2}, ""},
		{"an exponent", n("1e1"), Retry{Limit: 10}, ""},
		{"an empty text", "", Retry{}, ""},
		{"a text with a fraction", "2.9", Retry{}, "not a whole number"},
		{"words", "often", Retry{}, "not a whole number"},
		{"a boolean", true, Retry{}, "a whole number is needed"},
		{"a list", params.List{n("1")}, Retry{}, "a whole number is needed"},
		{"null", nil, Retry{}, "a whole number is needed"},
		{"beyond 32 bits", n("3000000000"), Retry{}, "out of range"},
		{"no number at all", n("x"), Retry{}, "not a number"},
		{"a limit", params.Of("limit", 2), Retry{Limit: 2}, ""},
		{"no limit", params.Of("interval", 2), Retry{}, "limit is missing"},
		{"a bad limit", params.Of("limit", "x"), Retry{}, "limit:"},
		{"an interval", params.Of("limit", 2, "interval", 5), Retry{Limit: 2, Interval: 5 * time.Second}, ""},
		{"a null interval", params.Of("limit", 2, "interval", nil), Retry{Limit: 2}, ""},
		{"a negative interval", params.Of("limit", 2, "interval", -1), Retry{Limit: 2}, ""},
		{"a bad interval", params.Of("limit", 2, "interval", "x"), Retry{}, "interval:"},
		{"constant", params.Of("limit", 1, "interval_type", "Constant"), Retry{Limit: 1}, ""},
		{
			"exponential", params.Of("limit", 1, "interval", 2, "interval_type", "EXPONENTIAL", "max_interval", 60),
			Retry{Limit: 1, Interval: 2 * time.Second, Exponential: true, Max: time.Minute},
			"",
		},
		{"a bad maximum", params.Of("limit", 1, "max_interval", params.List{}), Retry{}, "max_interval:"},
		{"another type", params.Of("limit", 1, "interval_type", "random"), Retry{}, `"random" is neither`},
		{"a type that is no text", params.Of("limit", 1, "interval_type", params.List{}), Retry{}, "must be constant or exponential"},
		{"a null type", params.Of("limit", 1, "interval_type", nil), Retry{Limit: 1}, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := ParseRetry(c.in)
			checkParsed(t, got, c.want, err, c.err)
		})
	}
}

func TestParseParallel(t *testing.T) {
	for _, c := range []struct {
		what string
		in   any
		want Parallel
		err  string
	}{
		{"true", true, Parallel{On: true}, ""},
		{"false", false, Parallel{}, ""},
		{"true as a text", "True", Parallel{On: true}, ""},
		{"false as a text", params.Template(" false "), Parallel{}, ""},
		{"an empty text", "", Parallel{}, ""},
		{"a limit", params.Of("limit", 2), Parallel{On: true, Limit: 2}, ""},
		{"a limit as a text", params.Of("limit", "2"), Parallel{On: true, Limit: 2}, ""},
		{"no bound", params.Of("limit", -3), Parallel{On: true}, ""},
		{"no limit", params.Of("batch", 2), Parallel{}, "limit is missing"},
		{"a bad limit", params.Of("limit", "x"), Parallel{}, "limit:"},
		{"a number", params.Number("3"), Parallel{}, "neither a boolean nor a mapping"},
		{"words", "always", Parallel{}, "neither a boolean nor a mapping"},
		{"null", nil, Parallel{}, "neither a boolean nor a mapping"},
		{"a list", params.List{}, Parallel{}, "neither a boolean nor a mapping"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := ParseParallel(c.in)
			checkParsed(t, got, c.want, err, c.err)
		})
	}
}

func checkParsed[T comparable](t *testing.T, got, want T, err error, wantErr string) {
	t.Helper()
	switch {
	case wantErr == "" && err != nil:
		t.Errorf("got error %v, want %+v", err, want)
	case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
		t.Errorf("got error %v, want one with %q", err, wantErr)
	case got != want:
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestHasTemplate(t *testing.T) {
	for _, c := range []struct {
		what string
		in   any
		want bool
	}{
		{"a template", params.Template("${x}"), true},
		{"a text of the author without one", params.Template("$x"), false},
		{"data that looks like one", "${x}", false},
		{"a number", params.Number("1"), false},
		{"null", nil, false},
		{"deep in an object", params.Of("a", params.Of("b", params.List{params.Template("${x}")})), true},
		{"an object without", params.Of("a", params.List{params.Number("1"), "x"}), false},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := HasTemplate(c.in); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestRetryWait(t *testing.T) {
	second := time.Second
	for _, c := range []struct {
		what string
		in   Retry
		n    int
		want time.Duration
	}{
		{"constant", Retry{Interval: 3 * second}, 7, 3 * second},
		{"first exponential", Retry{Interval: second, Exponential: true}, 0, second},
		{"fourth exponential", Retry{Interval: second, Exponential: true}, 3, 8 * second},
		{"capped", Retry{Interval: second, Exponential: true, Max: 5 * second}, 3, 5 * second},
		{"first above the cap", Retry{Interval: 9 * second, Exponential: true, Max: 5 * second}, 0, 5 * second},
		{"a cap means nothing for constant", Retry{Interval: 9 * second, Max: 5 * second}, 0, 9 * second},
		{"no overflow", Retry{Interval: second, Exponential: true}, 1_000_000, maxRetryWait},
		{"nothing doubled", Retry{Exponential: true}, 1_000_000, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := c.in.Wait(c.n); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestUpstreams pins language.md 3.1 and 3.2 on the example of the former.
func TestUpstreams(t *testing.T) {
	lines := []string{"+w", "  +a", "  +b background", "  +c", "  +d background", "  +e"}
	tree := outlineTree(t, lines)
	for _, c := range []struct {
		what  string
		order Parallel
		want  string
	}{
		{"sequential", Parallel{}, "a: b: c:a,b d: e:c,d "},
		{"parallel", Parallel{On: true}, "a: b: c: d: e: "},
		{"batches of two", Parallel{On: true, Limit: 2}, "a: b: c:a,b d:a,b e:c,d "},
		{"one batch", Parallel{On: true, Limit: 9}, "a: b: c: d: e: "},
	} {
		t.Run(c.what, func(t *testing.T) {
			var got strings.Builder
			for _, k := range tree.Children(0) {
				got.WriteString(tree.Nodes[k].Name[1:] + ":")
				for i, u := range tree.Upstreams(k, c.order) {
					got.WriteString(strings.Repeat(",", min(i, 1)) + tree.Nodes[u].Name[1:])
				}
				got.WriteString(" ")
			}
			if got.String() != c.want {
				t.Errorf("got %q, want %q", got.String(), c.want)
			}
		})
	}
	if ups := tree.Upstreams(0, Parallel{}); ups != nil {
		t.Errorf("the root waits for %v, want nothing", ups)
	}
}

func outlineTree(t testing.TB, lines []string) *Tree {
	t.Helper()
	top, err := parseOutline(lines)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := top[0].tree()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
