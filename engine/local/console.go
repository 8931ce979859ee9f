package local

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Console writes log lines as Digdag does: time, level, thread, message. It may
// be used by many goroutines; a line is one Write.
type Console struct {
	mu    sync.Mutex
	w     io.Writer
	level slog.Level
	color bool
	quiet bool // of what a Watcher shows
	now   func() time.Time
}

// LevelTrace is below debug.
const LevelTrace = slog.LevelDebug - 4

// NewConsole returns a console that writes lines of a level and above to w, in
// colour if asked to.
func NewConsole(w io.Writer, level slog.Level, color bool) *Console {
	return &Console{w: w, level: level, color: color, now: time.Now}
}

// Beside returns a console like c that writes to w and leaves out the lines on
// what tasks do and how they fail: a [Watcher] shows that.
func (c *Console) Beside(w io.Writer) *Console {
	return &Console{w: w, level: c.level, color: c.color, quiet: true, now: c.now}
}

// task writes a line that a watcher shows, too.
func (c *Console) task(level slog.Level, thread, format string, args ...any) {
	if !c.quiet {
		c.printf(level, thread, format, args...)
	}
}

// consoleTime is the format of times in log lines.
const consoleTime = "2006-01-02 15:04:05 -0700"

func (c *Console) printf(level slog.Level, thread, format string, args ...any) {
	if level < c.level {
		return
	}
	message := fmt.Sprintf(format, args...)
	name, color := levelName(level)
	line := fmt.Sprintf("%s [%s] (%s): %s\n", c.now().Format(consoleTime), name, thread, strings.TrimRight(message, "\n"))
	if c.color && color != "" {
		line = color + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.w, line) // nowhere to report that nobody listens
}

func levelName(level slog.Level) (name, color string) {
	switch {
	case level >= slog.LevelError:
		return "ERROR", "\x1b[31m"
	case level >= slog.LevelWarn:
		return "WARN", "\x1b[33m"
	case level >= slog.LevelInfo:
		return "INFO", ""
	case level >= slog.LevelDebug:
		return "DEBUG", "\x1b[2m"
	}
	return "TRACE", "\x1b[2m"
}

// Warn writes a warning of the command itself.
func (c *Console) Warn(format string, args ...any) {
	c.printf(slog.LevelWarn, mainThread, format, args...)
}

// Info writes a line of the command itself.
func (c *Console) Info(format string, args ...any) {
	c.printf(slog.LevelInfo, mainThread, format, args...)
}

const mainThread = "main"

// logger returns the log of the engine, whose lines are the console's.
func (c *Console) logger() *slog.Logger { return slog.New(&handler{console: c}) }

// handler is the console as a slog.Handler.
type handler struct {
	console *Console
	attrs   []slog.Attr
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.console.level }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.console.printf(r.Level, mainThread, "%s", b.String())
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{console: h.console, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

func (h *handler) WithGroup(string) slog.Handler { return h }
