package params_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "gitdag/engine/params"
)

func TestMapAgainstASlice(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := NewMap(r.IntN(20))
		var keys []string
		for i := range 100 {
			key := fmt.Sprint(r.IntN(25))
			if r.IntN(3) == 0 {
				m.Delete(key)
				keys = slices.DeleteFunc(keys, func(k string) bool { return k == key })
				continue
			}
			m.Set(key, Number(fmt.Sprint(i)))
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
			if v, ok := m.Lookup(key); !ok || v != any(Number(fmt.Sprint(i))) {
				t.Fatalf("seed %d: Lookup(%s): got %v, %v", seed, key, v, ok)
			}
		}
		if got := m.Keys(); !slices.Equal(got, keys) || m.Len() != len(keys) {
			t.Fatalf("seed %d: got keys %v, want %v", seed, got, keys)
		}
		c := m.Clone()
		c.Set("other", nil)
		if m.Has("other") || !c.Has("other") || m.Equal(c) {
			t.Fatalf("seed %d: a clone shares its keys", seed)
		}
	}
}

func TestNilMapIsEmpty(t *testing.T) {
	var m *Map
	if m.Len() != 0 || m.Has("a") || len(m.Keys()) != 0 || !m.Equal(NewMap(0)) || m.Clone().Len() != 0 {
		t.Error("a nil map does not read as an empty one")
	}
}

func TestAllStopsWhenAsked(t *testing.T) {
	seen := 0
	for range Of("a", 1, "b", 2).All() {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("got %d keys, want 1", seen)
	}
}

func TestOf(t *testing.T) {
	got := Of("i", 1, "j", int64(2), "f", 1.5, "s", []string{"x"}, "l", []any{1, nil}, "b", true)
	if want := `{"i":1,"j":2,"f":1.5,"s":["x"],"l":[1,null],"b":true}`; string(Encode(got)) != want {
		t.Errorf("got %s, want %s", Encode(got), want)
	}
	for name, pairs := range map[string][]any{"odd": {"a"}, "kind": {"a", struct{}{}}, "key": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("want a panic")
				}
			}()
			Of(pairs...)
		})
	}
}

func TestEqual(t *testing.T) {
	values := []any{
		nil, true, false, Number("1"), Number("1.0"), "1", "$", Template("$"),
		List{},
		List{nil},
		List{Number("1")},
		NewMap(0), Of("a", 1, "b", 2), Of("b", 2, "a", 1), Of("a", 1), Of("a", Template("$")), Of("a", "$"),
	}
	for i, a := range values {
		for j, b := range values {
			if got := Equal(a, b); got != (i == j) {
				t.Errorf("Equal(%s, %s): got %v", Encode(a), Encode(b), got)
			}
		}
	}
	if !Equal("x", Template("x")) {
		t.Error("text with nothing to evaluate differs by its kind")
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		` {"b" : 1 , "a":[ 1.50, -0, 12345678901234567890, 1e400 ] } `: `{"b":1,"a":[1.50,-0,12345678901234567890,1e400]}`,
		`{"a":1,"b":2,"a":3}`:      `{"a":3,"b":2}`,
		`"\u00e9\ud83d\ude00\n\/"`: "\"é😀\\n/\"",
		`"\ud83d"`:                 "\"\ufffd\"",
		`[[],{},null,true,false]`:  `[[],{},null,true,false]`,
		`5`:                        `5`,
		`"${x}"`:                   `{"!data":"${x}"}`,
		`{"!data":"x"}`:            `{"!!data":"x"}`,
	} {
		v, err := Parse([]byte(text))
		if err != nil || string(Encode(v)) != want {
			t.Errorf("Parse(%s): got %s, %v, want %s", text, Encode(v), err, want)
		}
	}
	for _, text := range []string{``, `{`, `{"a"}`, `[1,]`, `01`, `nul`, `"a`, `1 2`, strings.Repeat("[", 20000)} {
		if v, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%.20s): got %v, want an error", text, v)
		}
	}
}

func TestEncodeKeepsKind(t *testing.T) {
	for _, v := range []any{
		Of("a", Template("${x}"), "b", "${x}", "c", "plain", "d", Number("12345678901234567890.10")),
		Of("!data", "x"), Of("!!data", "$"), Of("!data", Of("!data", Template("$"))), Of("!data", List{"$1"}),
		List{nil, true, false, "$", Template("$")},
		Of("!data", "x", "b", "y"), Of("data", "$x"), Of("x!data", 1),
		Of("!data", Template("$x")), Of("!data", Template("$x"), "b", "$y"), Of("!!!data", nil), "$", Template("$"),
	} {
		b := Encode(v)
		got, err := Decode(b)
		if err != nil || !Equal(got, v) || string(Encode(got)) != string(b) {
			t.Errorf("Decode(Encode) of %s: got %s, %v", b, Encode(got), err)
		}
	}
	if got, want := string(Encode(List{"a$", Template("b$"), Of("!data", 1)})), `[{"!data":"a$"},"b$",{"!!data":1}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,"x$",{"!data":"$"},{"!!data":2}],"!data":3}`, `"\u0000\\"`, `{"!data":{"!data":"$"}}`, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Decode(Encode(v))
		if err != nil || !Equal(again, v) {
			t.Errorf("%q: got %s, want %s, %v", text, Encode(again), Encode(v), err)
		}
		if plain, err := Parse(AppendJSON(nil, v)); err != nil || !Equal(plain, AsData(v)) {
			t.Errorf("%q: the wire form reads as %s, want %s, %v", text, Encode(plain), Encode(AsData(v)), err)
		}
	})
}

func TestWireForm(t *testing.T) {
	m := Of("z", Template("${x}"), "a", "<&\"\\\u2028\x01\b\f\r\t\xff", "n", Number("1.0"), "l", List{}, "none", nil)
	got, err := m.MarshalJSON()
	want := `{"z":"${x}","a":"<&\"\\` + "\u2028" + `\u0001\b\f\r\t` + "\ufffd" + `","n":1.0,"l":[],"none":null}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	wrapped, err := json.Marshal(map[string]any{"m": Of("k", List{Number("1e2")}), "n": Number("7"), "l": List(nil)})
	if want := `{"l":[],"m":{"k":[1e2]},"n":7}`; err != nil || string(wrapped) != want {
		t.Errorf("got %s, %v, want %s", wrapped, err, want)
	}
	var back struct{ M *Map }
	if err := json.Unmarshal([]byte(`{"M":{"b":"${x}","a":10000000000000000000001}}`), &back); err != nil {
		t.Fatal(err)
	}
	if got, want := string(Encode(back.M)), `{"b":{"!data":"${x}"},"a":10000000000000000000001}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, text := range []string{`[1]`, `{`, `"x"`} {
		if err := new(Map).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("UnmarshalJSON(%s): want an error", text)
		}
	}
	if err := new(Map).UnmarshalJSON([]byte(`null`)); err != nil {
		t.Errorf("null: got %v", err)
	}
}

func TestForeignValuesPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	Encode(struct{}{})
}
