package params_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	. "gitdag/engine/params"
)

// The naive model: every store is applied to the parameters themselves, one after another.

type put struct {
	store *Map
	reset []string
}

func applyNaively(base *Map, puts []put) *Map {
	out := deepCopy(base).(*Map)
	for _, p := range puts {
		for _, path := range p.reset {
			resetNaively(out, strings.Split(path, "."))
		}
		mergeNaively(out, p.store)
	}
	return out
}

func resetNaively(m *Map, path []string) {
	for ; len(path) > 1; path = path[1:] {
		v, _ := m.Lookup(path[0])
		inner, ok := v.(*Map)
		if !ok {
			return
		}
		m = inner
	}
	m.Delete(path[0])
}

func mergeNaively(dst, src *Map) {
	for key, value := range src.All() {
		old, _ := dst.Lookup(key)
		lower, ok1 := old.(*Map)
		upper, ok2 := value.(*Map)
		if ok1 && ok2 {
			mergeNaively(lower, upper)
		} else {
			dst.Set(key, deepCopy(value))
		}
	}
}

func deepCopy(v any) any {
	switch v := v.(type) {
	case *Map:
		out := NewMap(0)
		for key, value := range v.All() {
			out.Set(key, deepCopy(value))
		}
		return out
	case List:
		out := List{}
		for _, item := range v {
			out = append(out, deepCopy(item))
		}
		return out
	}
	return v
}

func randomValue(r *rand.Rand, depth int) any {
	if depth > 0 && r.IntN(2) == 0 {
		return randomMap(r, depth-1)
	}
	switch r.IntN(4) {
	case 0:
		return nil
	case 1:
		return List{Of("a", 1)}
	}
	return Number(fmt.Sprint(r.IntN(100)))
}

func randomMap(r *rand.Rand, depth int) *Map {
	m := NewMap(0)
	for range r.IntN(4) {
		m.Set(randomKey(r), randomValue(r, depth))
	}
	return m
}

func randomKey(r *rand.Rand) string { return string(rune('a' + r.IntN(4))) }

func randomPut(r *rand.Rand) put {
	p := put{store: randomMap(r, 3)}
	for range r.IntN(3) {
		path := randomKey(r)
		for r.IntN(2) == 0 {
			path += "." + randomKey(r)
		}
		p.reset = append(p.reset, path)
	}
	return p
}

func TestStoresAreTheStoresInOrder(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var puts []put
		groups := []Stores{{}}
		for range 1 + r.IntN(8) {
			if r.IntN(3) == 0 {
				groups = append(groups, Stores{})
			}
			p := randomPut(r)
			puts = append(puts, p)
			groups[len(groups)-1] = groups[len(groups)-1].Put(p.store, p.reset)
		}
		for len(groups) > 1 { // any bracketing gives the same
			i := r.IntN(len(groups) - 1)
			groups[i] = groups[i].Append(groups[i+1])
			groups = append(groups[:i+1], groups[i+2:]...)
		}
		base := randomMap(r, 3)
		before := string(Encode(base))
		got, want := groups[0].ApplyTo(base), applyNaively(base, puts)
		if !Equal(got, want) {
			t.Fatalf("seed %d: stores %s on %s: got %s, want %s", seed, describe(puts), before, Encode(got), Encode(want))
		}
		if string(Encode(base)) != before {
			t.Fatalf("seed %d: the base was changed to %s, want %s", seed, Encode(base), before)
		}
	}
}

func describe(puts []put) string {
	var b strings.Builder
	for _, p := range puts {
		fmt.Fprintf(&b, "%v%s ", p.reset, Encode(p.store))
	}
	return b.String()
}

func TestStoresRules(t *testing.T) {
	for name, c := range map[string]struct {
		stores Stores
		base   *Map
		want   string
	}{
		"nothing":                         {Stores{}, Of("a", 1), `{"a":1}`},
		"on nothing":                      {Stores{}.Put(Of("a", 1), nil), nil, `{"a":1}`},
		"replaced keys stay in place":     {Stores{}.Put(Of("n", 1, "a", 2), nil), Of("a", 0, "b", 0), `{"a":2,"b":0,"n":1}`},
		"a reset key moves to the end":    {Stores{}.Put(Of("a", 2), []string{"a"}), Of("a", 0, "b", 0), `{"b":0,"a":2}`},
		"objects merge":                   {Stores{}.Put(Of("o", Of("x", 1)), nil), Of("o", Of("y", 2)), `{"o":{"y":2,"x":1}}`},
		"an object replaces a scalar":     {Stores{}.Put(Of("o", Of("x", 1)), nil), Of("o", 1), `{"o":{"x":1}}`},
		"a scalar cuts what lies below":   {Stores{}.Put(Of("o", 1), nil).Put(Of("o", Of("x", 1)), nil), Of("o", Of("y", 2)), `{"o":{"x":1}}`},
		"reset clears before the merge":   {Stores{}.Put(Of("o", Of("x", 1)), []string{"o"}), Of("o", Of("y", 2)), `{"o":{"x":1}}`},
		"inner reset":                     {Stores{}.Put(nil, []string{"o.y"}), Of("o", Of("y", 2, "z", 3)), `{"o":{"z":3}}`},
		"inner reset of nothing":          {Stores{}.Put(nil, []string{"p.y"}), Of("o", 1), `{"o":1}`},
		"inner reset through a scalar":    {Stores{}.Put(nil, []string{"o.y"}), Of("o", 1), `{"o":1}`},
		"inner reset of what was stored":  {Stores{}.Put(Of("o", Of("y", 1, "z", 1)), nil).Put(nil, []string{"o.y"}), nil, `{"o":{"z":1}}`},
		"a group's stores come after":     {Stores{}.Put(Of("a", 1), nil).Append(Stores{}.Put(Of("a", 2, "b", 2), nil)), nil, `{"a":2,"b":2}`},
		"null is a value":                 {Stores{}.Put(Of("a", nil), nil), Of("a", Of("x", 1)), `{"a":null}`},
		"an empty object leaves objects":  {Stores{}.Put(Of("o", NewMap(0)), nil), Of("o", Of("y", 2)), `{"o":{"y":2}}`},
		"an empty object replaces others": {Stores{}.Put(Of("o", NewMap(0)), nil), Of("o", 1), `{"o":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(Encode(c.stores.ApplyTo(c.base))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestStoringAgainDoesNotGrow(t *testing.T) {
	var s Stores
	size := func(rounds int) uint64 {
		for i := range rounds {
			s = s.Put(Of("loop", Of("count", i, "last", "x")), []string{"loop.old"})
			s = s.Append(Stores{}.Put(Of("loop", Of("count", i)), nil))
		}
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := size(10)
	after := size(5000)
	if after > before+200_000 {
		t.Errorf("heap grew from %d to %d bytes by storing the same keys", before, after)
	}
	if got, want := string(Encode(s.ApplyTo(nil))), `{"loop":{"count":4999,"last":"x"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every version stays alive, as when every task of a long sequence holds the stores that it sees.
func TestExtendingALongChainIsCheap(t *testing.T) {
	const n = 100_000
	versions := make([]Stores, 0, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var s Stores
	for i := range n {
		s = s.Put(Of(fmt.Sprintf("key_%d", i), i), nil)
		versions = append(versions, s)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 2000 {
		t.Errorf("got %d bytes allocated a store, want at most 2000", each)
	}
	if got := versions[n/2].ApplyTo(nil).Len(); got != n/2+1 {
		t.Errorf("an older version has %d keys, want %d", got, n/2+1)
	}
}

func BenchmarkPutDistinctKeys(b *testing.B) {
	b.ReportAllocs()
	var s Stores
	for i := range b.N {
		s = s.Put(Of(fmt.Sprintf("key_%d", i), "v"), nil)
	}
}
