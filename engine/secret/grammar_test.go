package secret

import (
	"errors"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "a.b": true, "pg.pass-word_1": true, "a1.b2": true, "A.Z": true, "a--_b": true, "a.b.c.d": true,
		strings.Repeat("k", MaxKey): true, strings.Repeat("k", MaxKey+1): false,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "1a": false, "a-": false, "a_": false, "-a": false, "a.1": false,
		"../a": false, "a/b": false, "a\n": false, "a b": false, "a\x00": false, "ä": false, "=": false,
	} {
		err := CheckKey(text)
		var invalid *Invalid
		if got := IsKey(text); got != want || (err == nil) != want || !want && !errors.As(err, &invalid) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	if err := CheckKey(strings.Repeat("k", 1<<20)); len(err.Error()) > 100 {
		t.Errorf("a long key makes an error of %d bytes", len(err.Error()))
	}
}

func TestValues(t *testing.T) {
	for _, good := range []string{"", "x", "ä\x00\n", strings.Repeat("v", MaxValue)} {
		if err := CheckValue("k", good); err != nil {
			t.Errorf("%.10q: got %v, want none", good, err)
		}
	}
	for bad, want := range map[string]string{
		strings.Repeat("v", MaxValue+1): "the value of secret k has 16385 bytes; 16384 are allowed",
		"hunter2\xff":                   "the value of secret k is no UTF-8 text",
	} {
		var invalid *Invalid
		if err := CheckValue("k", bad); !errors.As(err, &invalid) || err.Error() != want {
			t.Errorf("%.10q: got %v, want %s", bad, err, want)
		}
	}
}
