package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/journal/journaltest"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

const canary = "c4nary-in-the-mine"

// canaries hands out one secret; its value is not known beforehand.
type canaries struct{}

func (canaries) Secret(context.Context, string) (string, error) { return canary, nil }

// spilling is an operator that spills its secret in the way that its command names.
type spilling struct{}

func (spilling) Run(ctx context.Context, t *operator.Task) (*operator.Result, error) {
	way, _ := t.Config.Lookup("_command")
	value, err := t.Secrets.Secret(ctx, "k")
	if err != nil {
		return nil, err
	}
	inText := "it is " + value + "!"
	object := params.Of("a", params.List{"x", params.Of("b", inText)})
	switch way {
	case "panic":
		panic(inText)
	case "plain error":
		return nil, fmt.Errorf("no: %w", errors.New(inText))
	case "error object":
		return nil, &operator.Error{Message: "no", Kind: "runtime", Extra: params.Of("detail", object, value, 1, "stacktrace", inText)}
	case "wrapped error object":
		return nil, fmt.Errorf("%s: %w", inText, &operator.Error{Message: inText, Kind: "runtime"})
	case "notify":
		return &operator.Result{Notify: inText}, nil
	case "store":
		return &operator.Result{Store: object}, nil
	case "store a number":
		return &operator.Result{Store: params.Of("n", params.Number("1"), value, 2)}, nil
	case "export":
		return &operator.Result{Export: params.Of("e", params.Template(inText))}, nil
	case "subtasks":
		return &operator.Result{Subtasks: params.Of("+a", params.Of("echo>", params.Template(inText)))}, nil
	case "bad subtasks":
		return &operator.Result{Subtasks: params.Of("+"+value, params.Of("echo>", "x", "sh>", "y"))}, nil
	case "reset":
		return &operator.Result{Reset: []string{value}}, nil
	case "poll":
		return nil, &operator.Poll{After: time.Hour, State: params.Of("s", inText)}
	case "log":
		for _, piece := range []string{"it is ", value[:3], value[3:9], value[9:] + "!\n"} {
			if _, err := io.WriteString(t.Log, piece); err != nil {
				return nil, err
			}
		}
		if _, err := t.Log.File(); !errors.Is(err, errors.ErrUnsupported) {
			return nil, errors.New("the file of the log can be had")
		}
		_, err = io.WriteString(t.Log, value[:len(value)-1]) // ends in the middle
	}
	return nil, err
}

// Whatever an operator spills of its secrets is in no journal, no record, no alert, no
// task's log and not in the engine's own.
func TestSecretsStayWithTheirOperators(t *testing.T) {
	const stored, masked = "A secret would be written to disk: ", "it is ***!"
	for way, want := range map[string]string{
		"panic": masked + " (panic)", "plain error": "no: " + masked + " (runtime)", "error object": "no (runtime)", "wrapped error object": masked + " (runtime)",
		"store": stored + "the stored parameter 'a.1.b' contains one", "store a number": stored + "the stored parameter '***' contains one",
		"export": stored + "the exported parameter 'e' contains one", "subtasks": stored + "the generated parameter '+a.echo>' contains one",
		"bad subtasks": stored + "the generated parameter '***' contains one", "reset": stored + "the name of a parameter to reset contains one",
		"poll": stored + "the state 's' of the operator contains one", "notify": "", "log": "",
	} {
		t.Run(way, func(t *testing.T) {
			var log bytes.Buffer
			ops := operator.Builtin()
			ops["spill"] = operator.Entry{Operator: spilling{}}
			d := openDurable(t, journaltest.New(), map[string]string{"w.dig": "+a:\n  spill>: " + way + "\n  _error: {echo>: \"told ${JSON.stringify(error)}\"}\n"}, func(o *Options) {
				o.Operators = operator.NewRegistry(ops)
				o.Secrets = func(*flow.AttemptFacts) operator.Secrets { return canaries{} }
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			rec := d.runTo("w")
			var message any
			for _, row := range rec.Tasks {
				if row.FullName == "+w+a" {
					message, _ = row.Error.Lookup("message")
				}
			}
			if message == nil {
				message = ""
			}
			if got := fmt.Sprint(message); rec.Succeeded != (want == "") || !strings.HasPrefix(got, want) || (want == "") != (got == "") {
				t.Errorf("success %v, %q, want %q", rec.Succeeded, got, want)
			}
			var alerts []flow.Alert
			if way != "log" {
				alerts = append(alerts, <-d.alerts)
			}
			d.e.Stop(t.Context())
			if way == "notify" && (len(alerts) != 1 || alerts[0].Message != masked) {
				t.Errorf("alerts %+v, want one that says %q", alerts, masked)
			}
			everything := fmt.Sprintf("%s\n%+v\n%s\n%+v\n%s", d.text(), rows(rec), log.String(), alerts, d.everything(t))
			if at := strings.Index(everything, canary); at >= 0 {
				t.Errorf("spilt: …%s…", everything[max(0, at-200):at+len(canary)])
			}
			if way == "log" && !strings.HasPrefix(d.text(), "it is ***!\n"+canary[:len(canary)-1]) {
				t.Errorf("logged %q", d.text())
			}
		})
	}
}

// everything is all that lies in the file system of the engine.
func (d *durable) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range d.fs.Files() {
		data, err := d.fs.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s: %s\n", name, data)
	}
	if all.Len() < 100 {
		t.Fatalf("there is no journal to look at: %q", all.String())
	}
	return all.String()
}

// rows are the texts of a record's tasks.
func rows(rec *flow.Record) string {
	var b strings.Builder
	for _, row := range rec.Tasks {
		fmt.Fprintf(&b, "%+v\n", row)
		for _, m := range []*params.Map{row.Config, row.Export, row.Returned, row.Store, row.OpState, row.Error} {
			fmt.Fprintf(&b, "%s\n", params.Encode(m))
		}
	}
	return b.String()
}

// A masked error is what it was, but for its texts.
func TestMaskedErrors(t *testing.T) {
	k := secret.NewMasks(time.Now).Of(t.Context(), 1, canaries{})
	plain := errors.New("nothing to hide: " + canary)
	if got := maskError(k, plain); got != plain {
		t.Errorf("without secrets: got %v, want the same", got)
	}
	if _, err := k.Watch(canaries{}).Secret(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	got := maskError(k, fmt.Errorf("a: %w", plain))
	if got.Error() != "a: nothing to hide: ***" || !errors.Is(got, plain) || errors.As(got, new(*operator.Error)) {
		t.Errorf("got %v", got)
	}
	object := &operator.Error{Message: "x", Extra: params.Of("k", canary)}
	var found *operator.Error
	if got := maskError(k, fmt.Errorf("a: %w", object)); !errors.As(got, &found) || string(params.Encode(found.Extra)) != `{"k":"***"}` || !errors.Is(got, object) {
		t.Errorf("got %v with %s", got, params.Encode(found.Extra))
	}
	harmless := &operator.Error{Message: "x", Extra: params.Of("k", "v")}
	poll := &operator.Poll{State: params.Of("k", canary)}
	for _, err := range []error{harmless, poll, nil} {
		if got := maskError(k, err); got != err {
			t.Errorf("got %v, want %v as it is", got, err)
		}
	}
	numbers := params.Of("a", params.List{params.Number("1"), true, nil}, "b", params.Template("${x}"))
	if got := maskMap(k, numbers); got != numbers {
		t.Errorf("got %s, want it as it is", params.Encode(got))
	}
}
