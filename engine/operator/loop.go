package operator

import (
	"context"
	"math/bits"
	"strconv"
	"strings"

	"gitdag/engine/params"
)

// runLoop repeats its body a number of times (operators.md 5.3).
func runLoop(_ context.Context, t *Task) (*Result, error) {
	g, err := newIterations(t)
	if err != nil {
		return nil, err
	}
	n, err := params.Required(t.Config, "_command", params.Int)
	if err != nil {
		return nil, err
	}
	if t.Local.Has("count") { // only the task's own `count` counts (L13)
		if n, err = params.Required(t.Config, "count", params.Int); err != nil {
			return nil, err
		}
	}
	if n <= 0 {
		return &Result{}, nil
	}
	if err := g.reserve("loop", uint64(n)); err != nil {
		return nil, err
	}
	for i := range n {
		index := strconv.Itoa(i)
		export := params.NewMap(1)
		export.Set("i", params.Number(index))
		g.add("+loop-"+index, export)
	}
	return g.result(), nil
}

// runForEach repeats its body for every combination of the values of its
// lists, the first list outermost (operators.md 5.4).
func runForEach(_ context.Context, t *Task) (*Result, error) {
	g, err := newIterations(t)
	if err != nil {
		return nil, err
	}
	command, err := params.Required(t.Config, "_command", params.ParsedObject)
	if err != nil {
		return nil, err
	}
	axes, total, err := readAxes(command)
	if err != nil || total == 0 {
		return &Result{}, err
	}
	if err := g.reserve("for_each", total); err != nil {
		return nil, err
	}
	at := make([]int, len(axes)) // the combination, one position an axis
	tags := make([]string, len(axes))
	for range total {
		export := params.NewMap(len(axes))
		for k := range axes {
			export.Set(axes[k].key, axes[k].values[at[k]])
			tags[k] = axes[k].tags[at[k]]
		}
		g.add("+for-"+strings.Join(tags, "&"), export)
		for k := len(axes) - 1; k >= 0; k-- {
			if at[k]++; at[k] < len(axes[k].values) {
				break
			}
			at[k] = 0
		}
	}
	return g.result(), nil
}

// axis is one list of a `for_each>`.
type axis struct {
	key    string
	values params.List
	tags   []string // what each value adds to the name of its tasks
}

// readAxes returns the lists and the number of combinations, which is 0 as
// soon as one list is empty (O22).
func readAxes(command *params.Map) (axes []axis, total uint64, err error) {
	total = min(1, uint64(command.Len()))
	for key := range command.All() {
		values, err := params.Required(command, key, params.ParsedArray)
		if err != nil {
			return nil, 0, err
		}
		values = params.AsData(values).(params.List)
		prefix := strconv.Itoa(len(axes)) + "=" + nameTag(key) + "="
		tags := make([]string, len(values))
		for i, value := range values {
			tags[i] = prefix + strconv.Itoa(i) + "=" + nameTag(params.EnvText(value))
		}
		axes = append(axes, axis{key, values, tags})
		if hi, lo := bits.Mul64(total, uint64(len(values))); hi == 0 {
			total = lo
		} else {
			total = 1<<64 - 1 // only an empty list can make it small again
		}
	}
	return axes, total, nil
}

// runForRange repeats its body for the slices of a range of integers
// (operators.md 5.5).
func runForRange(_ context.Context, t *Task) (*Result, error) {
	g, err := newIterations(t)
	if err != nil {
		return nil, err
	}
	command, err := params.Required(t.Config, "_command", params.ParsedObject)
	if err != nil {
		return nil, err
	}
	from, err := params.Required(command, "from", params.Long)
	if err != nil {
		return nil, err
	}
	to, err := params.Required(command, "to", params.Long)
	if err != nil {
		return nil, err
	}
	if to < from {
		to = from
	}
	width := uint64(to) - uint64(from) // exact even where the signed difference is not
	step, err := rangeStep(command, width)
	if err != nil || width == 0 {
		return &Result{}, err
	}
	n := (width-1)/step + 1
	if err := g.reserve("for_range", n); err != nil {
		return nil, err
	}
	for i := range n {
		low := from + int64(i*step)
		high := to
		if i < n-1 {
			high = low + int64(step)
		}
		f, h := strconv.FormatInt(low, 10), strconv.FormatInt(high, 10)
		slice := params.NewMap(3)
		slice.Set("from", params.Number(f))
		slice.Set("to", params.Number(h))
		slice.Set("index", params.Number(strconv.FormatUint(i, 10)))
		export := params.NewMap(1)
		export.Set("range", slice)
		g.add("+range-from="+f+"&to="+h, export)
	}
	return g.result(), nil
}

// rangeStep reads how far the slices of a range of the given width reach.
func rangeStep(command *params.Map, width uint64) (uint64, error) {
	step, _ := command.Lookup("step")
	slices, _ := command.Lookup("slices")
	key := "step"
	switch {
	case step != nil && slices != nil:
		return 0, configError("Only one of step and slices can be given")
	case step == nil && slices == nil:
		return 0, configError("Either step or slices is required")
	case step == nil:
		key = "slices"
	}
	n, err := params.Required(command, key, params.Long)
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, configError("%s must be positive, but is %d", key, n)
	}
	if key == "slices" && width > 0 {
		return (width-1)/uint64(n) + 1, nil
	}
	return uint64(n), nil
}
