package params_test

import (
	"testing"

	. "gitdag/engine/params"
)

func TestEncodeKeepsKind(t *testing.T) {
	for _, v := range []any{
		Of("a", Template("${x}"), "b", "${x}", "c", "plain", "d", Number("12345678901234567890.10")),
		Of("!data", "x"), Of("!!data", "$"), Of("!data", Of("!data", Template("$"))), Of("!data", List{"$1"}),
		List{nil, true, false, "$", Template("$")}, Of("!data", "x", "b", "y"), Of("data", "$x"),
		Of("!data", Template("$x")), Of("!data", Template("$x"), "b", "$y"),
	} {
		b := Encode(v)
		got, err := Decode(b)
		if err != nil || !Equal(got, v) || string(Encode(got)) != string(b) {
			t.Errorf("Decode(Encode) of %s: got %s, %v", b, Encode(got), err)
		}
	}
}
