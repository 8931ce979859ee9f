package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"regexp"
	"testing"

	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"

	"github.com/google/go-cmp/cmp"
)

type lineLog struct{ io.Writer }

func (lineLog) File() (*os.File, error) { return nil, errors.ErrUnsupported }

// A task's log begins with its command and tells how it failed and what it did
// not use, but not what is no end of it.
func TestLinesOfATaskLog(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	const head = "TIME [INFO] (0007@[0:proj:3:5]+w+t): echo>: hi\n"
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		state *params.Map
		err   error
		want  string
	}{
		{
			"success", t.Context(), nil, nil,
			head + "out\nTIME [ERROR] (0007@[0:proj:3:5]+w+t): parameter \"mesage\" is not used at task +w+t\n",
		},
		{
			"failure", t.Context(), nil, &operator.Error{Message: "no", Kind: "config"},
			head + "out\nTIME [ERROR] (0007@[0:proj:3:5]+w+t): Task +w+t failed.\nno (config)\n",
		},
		{"first poll", t.Context(), nil, &operator.Poll{}, head + "out\n"},
		{"another poll", t.Context(), params.Of("a", 1), &operator.Poll{}, "out\n"},
		{"killed", ended, nil, context.Canceled, head + "out\n"},
	} {
		var out bytes.Buffer
		config := params.Of("mesage", 1, "echo>", "hi", "_command", "hi", "_type", "echo")
		c := &engine.Call{
			Dispatch: &flow.Dispatch{View: &flow.View{}},
			Task: &operator.Task{
				FullName: "+w+t", ID: 7, Type: "echo", Config: config, Local: params.Of("mesage", 1, "echo>", "hi"),
				State: tt.state, Log: lineLog{&out},
			},
		}
		c.Dispatch.View.Attempt.ProjectName, c.Dispatch.View.Attempt.ID, c.Dispatch.View.Session.ID = "proj", 5, 3
		operators := operator.NewRegistry(operator.Builtin())
		_, err := around(operators, slog.New(slog.DiscardHandler))(tt.ctx, c, func(context.Context) (*operator.Result, error) {
			_, _ = io.WriteString(&out, "out\n")
			return nil, tt.err
		})
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, want the operator's answer %v", tt.name, err, tt.err)
		}
		got := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4}`).ReplaceAllString(out.String(), "TIME")
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The hint names a key that there is.
func TestUnusedText(t *testing.T) {
	wait := operator.Builtin()["wait"]
	got := unusedText(wait, &operator.Task{FullName: "+w+t"}, "pol_interval")
	if want := `parameter "pol_interval" is not used at task +w+t, did you mean "poll_interval"?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
