package engine

import (
	"errors"
	"fmt"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

func TestFailureTellsWhere(t *testing.T) {
	broken := &operator.Error{Message: "Command failed with code 7", Kind: "runtime"}
	own := &operator.Error{Message: "no", Kind: "runtime", Extra: params.Of("stacktrace", "a, b")}
	for _, c := range []struct {
		err  error
		typ  string
		want string
	}{
		{&operator.Error{Message: "boom"}, "fail", `{"message":"boom"}`},
		{broken, "sh", `{"message":"Command failed with code 7 (runtime)","stacktrace":"Command failed with code 7 (runtime), at sh> of +w+a"}`},
		{fmt.Errorf("run: %w", broken), "", `{"message":"Command failed with code 7 (runtime)","stacktrace":"Command failed with code 7 (runtime), at +w+a"}`},
		{errors.New("disk full"), "py", `{"message":"disk full (runtime)","stacktrace":"disk full (runtime), at py> of +w+a"}`},
		{own, "py", `{"message":"no (runtime)","stacktrace":"a, b"}`},
	} {
		if got := string(params.Encode(failure(c.err, c.typ, "+w+a"))); got != c.want {
			t.Errorf("%v: got %s, want %s", c.err, got, c.want)
		}
	}
}
