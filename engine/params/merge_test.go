package params_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	. "gitdag/engine/params"
)

func TestMerge(t *testing.T) {
	for name, c := range map[string]struct {
		dst, src *Map
		want     string
	}{
		"new keys are appended":           {Of("a", 1), Of("c", 2, "b", 3), `{"a":1,"c":2,"b":3}`},
		"a replaced key keeps its place":  {Of("a", 1, "b", 2), Of("b", 3, "a", 4), `{"a":4,"b":3}`},
		"objects merge at any depth":      {Of("o", Of("p", Of("x", 1))), Of("o", Of("p", Of("y", 2))), `{"o":{"p":{"x":1,"y":2}}}`},
		"lists never merge":               {Of("l", List{Number("1")}), Of("l", List{}), `{"l":[]}`},
		"null replaces":                   {Of("a", Of("x", 1)), Of("a", nil), `{"a":null}`},
		"an object replaces a scalar":     {Of("a", 1), Of("a", Of("x", 1)), `{"a":{"x":1}}`},
		"a scalar replaces an object":     {Of("a", Of("x", 1)), Of("a", "s"), `{"a":"s"}`},
		"nil maps are empty":              {nil, nil, `{}`},
		"the kind of text goes with it":   {Of("a", Template("${x}")), Of("b", "${x}"), `{"a":"${x}","b":{"!data":"${x}"}}`},
		"merging into an empty map":       {nil, Of("a", 1), `{"a":1}`},
		"an empty object merges to dst's": {Of("a", Of("x", 1)), Of("a", NewMap(0)), `{"a":{"x":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(Encode(Merge(c.dst, c.src))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzMergeAgainstTheDefinition(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		dst, src := randomMap(r, 4), randomMap(r, 4)
		beforeDst, beforeSrc := string(Encode(dst)), string(Encode(src))
		want := deepCopy(dst).(*Map)
		mergeNaively(want, src)
		got := Merge(dst, src)
		if !Equal(got, want) {
			t.Errorf("Merge(%s, %s): got %s, want %s", beforeDst, beforeSrc, Encode(got), Encode(want))
		}
		got.Set("a", "changed")
		if string(Encode(dst)) != beforeDst || string(Encode(src)) != beforeSrc {
			t.Errorf("Merge(%s, %s) changed its arguments", beforeDst, beforeSrc)
		}
	})
}

func TestAsDataAndAsTemplate(t *testing.T) {
	v := Of("a", Template("${x}"), "l", List{"$", Template("plain"), Of("o", Template("$"))}, "n", 1)
	if got, want := string(Encode(AsData(v))), `{"a":{"!data":"${x}"},"l":[{"!data":"$"},"plain",{"o":{"!data":"$"}}],"n":1}`; got != want {
		t.Errorf("AsData: got %s, want %s", got, want)
	}
	if got, want := string(Encode(AsTemplate(v))), `{"a":"${x}","l":["$","plain",{"o":"$"}],"n":1}`; got != want {
		t.Errorf("AsTemplate: got %s, want %s", got, want)
	}
	if got, want := string(Encode(v)), `{"a":"${x}","l":[{"!data":"$"},"plain",{"o":"$"}],"n":1}`; got != want {
		t.Errorf("the argument became %s, want %s", got, want)
	}
	data := Of("a", "x", "l", List{Of("b", 1)})
	if AsData(data) != any(data) || AsTemplate(data) != any(data) {
		t.Error("a value with nothing to change was copied")
	}
	if AsTemplate("x") != any("x") || AsTemplate("$") != any(Template("$")) || AsData(Template("$")) != any("$") {
		t.Error("a lone text was not converted")
	}
}

// Layers of 100 visible parameters: what the start of every task pays.
func BenchmarkLayers(b *testing.B) {
	b.ReportAllocs()
	layers := make([]*Map, 5)
	for i := range layers {
		layers[i] = NewMap(40)
		for j := range 40 {
			layers[i].Set(fmt.Sprintf("key_%d", i*15+j), "value")
		}
	}
	for b.Loop() {
		var all *Map
		for _, layer := range layers {
			all = Merge(all, layer)
		}
	}
}
