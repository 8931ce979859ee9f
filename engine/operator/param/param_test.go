package param_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/operator/param"
	"gitdag/engine/params"
)

// everywhere runs a test with each place for values.
func everywhere(t *testing.T, test func(t *testing.T, o operators)) {
	t.Run("directory", func(t *testing.T) { test(t, param.Operators(param.Server{}, param.Local(t.TempDir()))) })
	t.Run("postgresql", func(t *testing.T) {
		s, _ := postgres(t)
		test(t, param.Operators(s, ""))
	})
	t.Run("redis", func(t *testing.T) { test(t, param.Operators(cache.server(t), "")) })
}

// Each key of a task's own is a value, whatever it is called, and one that there is not is
// read as the empty text (O23).
func TestSetAndGet(t *testing.T) {
	everywhere(t, func(t *testing.T, o operators) {
		if got := o.run(t, "param_get>", nil, "a", "x", "shown", "y"); got != `{"x":"","y":""}` {
			t.Errorf("at the beginning: got %s", got)
		}
		if got := o.run(t, "param_set>", nil, "a", "é <'\"\\\n> ${b}", "n", params.Number("9007199254740993"), "d", params.Number("1e3"),
			"yes", true, "empty", "", "none", nil, "_retry", 3,
			"_timeout", "30s", "_labels", params.Of("team", "x")); got != "{}" {
			t.Errorf("set: got %s", got)
		}
		got := o.run(t, "param_get>", nil, "n", "a", "a", "b.c", "d", "d", "yes", "yes", "empty", "empty", "none", "none", "_retry", "retry", "shown", "shown",
			"_timeout", "30s", "_labels", params.Of("team", "x"))
		want := `{"a":"9007199254740993","b.c":{"!data":` + quoted("é <'\"\\\n> ${b}") + `},"d":"1000.0","yes":"true","empty":"","none":"","retry":"3","shown":""}`
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}

		// One that is written once more is replaced, the others stay.
		o.run(t, "param_set>", "command", "a", "new")
		o.run(t, "_type", "param_set", "c", "c")
		got = o.run(t, "param_get>", "itself", "param_set>", "command", "a", "a", "yes", "yes", "c", "c")
		if want := `{"itself":"","command":"command","a":"new","yes":"true","c":"c"}`; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}

		// All or nothing.
		o.wantFailure(t, `Expected string type for key 'b' but got ["x"] (array) (config)`, "param_set>", nil, "a", "newer", "b", []any{"x"})
		o.wantFailure(t, `Expected string type for key 'a' but got {"x":1} (object) (config)`, "param_get>", nil, "a", params.Of("x", 1))
		if got := o.run(t, "param_get>", nil, "a", "a"); got != `{"a":"new"}` {
			t.Errorf("after a failure: got %s", got)
		}
		if got := o.run(t, "param_set>", nil) + o.run(t, "param_get>", nil); got != "{}{}" {
			t.Errorf("without keys: got %s", got)
		}
	})
}

func quoted(text string) string { return string(params.AppendJSON(nil, text)) }

// Each of two operators repeats its own failure.
func TestEntries(t *testing.T) {
	for typ, entry := range param.Operators(param.Server{}, "") {
		if !entry.Retries || entry.Pure || entry.Options != nil {
			t.Errorf("%s: got %+v", typ, entry)
		}
	}
}

// Tasks side by side lose nothing, and what one sets is seen as a whole.
func TestSideBySide(t *testing.T) {
	everywhere(t, func(t *testing.T, o operators) {
		const tasks, rounds = 8, 5
		var wg sync.WaitGroup
		for i := range tasks {
			wg.Go(func() {
				for n := range rounds {
					own := []any{"param_set>", nil, fmt.Sprint("own", i), n, "first", i, "second", i}
					if i%2 == 0 { // in another order
						own = []any{"param_set>", nil, "second", i, "first", i, fmt.Sprint("own", i), n}
					}
					if _, err := o.try(t.Context(), task(t, own...)); err != nil {
						t.Error(err)
					}
					result, err := o.try(t.Context(), task(t, "param_get>", nil, "first", "a", "second", "b"))
					if err != nil {
						t.Error(err)
						return
					}
					a, _ := result.Store.Lookup("a")
					if b, _ := result.Store.Lookup("b"); a != b {
						t.Errorf("got %v and %v, which no task has written", a, b)
					}
				}
			})
		}
		wg.Wait()
		for i := range tasks {
			if got, want := o.run(t, "param_get>", nil, fmt.Sprint("own", i), "x"), fmt.Sprintf(`{"x":"%d"}`, rounds-1); got != want {
				t.Errorf("%d: got %s, want %s", i, got, want)
			}
		}
	})
}

// A task whose server is silent ends when it is killed.
func TestKilledWhileItWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, s := range []param.Server{
		{Type: param.Redis, Host: "127.0.0.1"}, {Type: param.PostgreSQL, Host: "127.0.0.1", User: "u", Database: "d"},
	} {
		s.Port = l.Addr().(*net.TCPAddr).Port
		ctx, kill := context.WithCancelCause(t.Context())
		go func() {
			if c, err := l.Accept(); err == nil {
				defer c.Close()
				_, _ = c.Read(make([]byte, 100))
				kill(errors.New("killed"))
				_, _ = c.Read(make([]byte, 100)) // until the client goes
			}
		}()
		begin := time.Now()
		_, err := operators(param.Operators(s, "")).try(ctx, task(t, "param_set>", nil, "a", "b"))
		if err == nil || ctx.Err() == nil || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: got %v after %s", s.Type, err, time.Since(begin))
		}
		if failure := (*operator.Error)(nil); errors.As(err, &failure) {
			t.Errorf("%s: got the failure %v, want the end of the context", s.Type, err)
		}
	}
}

func TestServersThatAreNotThere(t *testing.T) {
	port := freePort()
	redis := operators(param.Operators(param.Server{Type: param.Redis, Host: "127.0.0.1", Port: port, Password: "canary"}, ""))
	redis.wantFailure(t, fmt.Sprintf("get 1 values: redis at 127.0.0.1:%d: dial tcp 127.0.0.1:%[1]d: connect: connection refused (runtime)", port),
		"param_get>", nil, "a", "b")
	pg := operators(param.Operators(param.Server{Type: param.PostgreSQL, Host: "127.0.0.1", Port: port, User: "u", Database: "d", Password: "canary"}, ""))
	_, err := pg.try(t.Context(), task(t, "param_set>", nil, "a", "b"))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("Failed to connect to d as u at 127.0.0.1:%d", port)) || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := param.Server{Type: param.PostgreSQL, Host: "h", User: "u", Database: "d"}
	for want, s := range map[string]param.Server{
		"": good,
		"type is missing: it is postgresql or redis":     {Host: "h"},
		`type is postgresql or redis, not "mysql"`:       {Type: "mysql"},
		"port is between 1 and 65535, not 65536":         {Type: param.Redis, Port: 65536},
		`host is a name or an address, not "/run/redis"`: {Type: param.Redis, Host: "/run/redis"},
		"database is for postgresql":                     {Type: param.Redis, Database: "1"},
		"host is missing, which postgresql needs":        {Type: param.PostgreSQL, User: "u", Database: "d"},
		"user is missing, which postgresql needs":        {Type: param.PostgreSQL, Host: "h", Database: "d"},
		"database is missing, which postgresql needs":    {Type: param.PostgreSQL, Host: "h", User: "u"},
	} {
		if got := fmt.Sprint(s.Validate()); got != want && !(want == "" && got == "<nil>") {
			t.Errorf("%+v: got %s, want %s", s, got, want)
		}
	}
	if err := errors.Join(param.Server{}.Validate(), param.Server{Type: param.Redis}.Validate()); err != nil {
		t.Errorf("got %v", err)
	}
}
