package notify

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Printer is a channel that writes each message as plain text, for a terminal and
// for an agent without any configured channel.
type Printer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewPrinter returns a printer on w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

// Send writes the message with one call of w's Write.
func (p *Printer) Send(_ context.Context, a Alert) (Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.w, Render(a).String()); err != nil {
		return Receipt{}, &Error{Reason: fmt.Sprintf("print alert: %v", err)}
	}
	return Receipt{}, nil
}

// Logger is a channel that writes each message's first line to the log.
type Logger struct {
	Log *slog.Logger
}

// Send logs the alert; it cannot fail.
func (l Logger) Send(ctx context.Context, a Alert) (Receipt, error) {
	level := slog.LevelInfo
	if t := a.Kind.Tone(); t == Bad || t == Warning {
		level = slog.LevelWarn
	}
	l.Log.Log(ctx, level, Render(a).Title, "alert", a.Key, "project", a.Project, "workflow", a.Workflow, "attempt", a.Attempt)
	return Receipt{}, nil
}
