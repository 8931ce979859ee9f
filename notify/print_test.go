package notify

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestPrinter(t *testing.T) {
	var b bytes.Buffer
	r, err := NewPrinter(&b).Send(t.Context(), failed())
	if err != nil || r != (Receipt{}) {
		t.Errorf("got %v, %v", r, err)
	}
	if got, want := b.String(), Render(failed()).String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("pipe closed") }

func TestPrinterFails(t *testing.T) {
	_, err := NewPrinter(broken{}).Send(t.Context(), failed())
	if got := OutcomeOf(err); got.Class != Temporary || !strings.Contains(got.Reason, "pipe closed") {
		t.Errorf("got %v, want a temporary failure", got)
	}
}

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	l := Logger{Log: slog.New(slog.NewTextHandler(&b, nil))}
	for _, tt := range []struct {
		kind Kind
		want string
	}{{AttemptFailed, "level=WARN msg=\"FAILED  p/w\""}, {AttemptRecovered, "level=INFO msg=\"RECOVERED  p/w\""}} {
		b.Reset()
		if _, err := l.Send(t.Context(), Alert{Kind: tt.kind, Project: "p", Workflow: "w"}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), tt.want) {
			t.Errorf("got %q, want %q in it", b.String(), tt.want)
		}
	}
}
