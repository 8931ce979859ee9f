package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// logCommand prints what the tasks of an attempt have printed.
func (c *cli) logCommand() *cobra.Command {
	var o clientOptions
	var follow bool
	cmd := &cobra.Command{
		Use:     "log ATTEMPT [+TASK]",
		Aliases: []string{"logs"},
		Short:   "Prints what the tasks of an attempt have printed",
		Long:    "Prints what the tasks of an attempt have printed: of all of them, or of those whose full names begin with +TASK.",
		Example: "  gitdag log 42\n  gitdag log 42 +daily+load -f",
		Args:    arguments(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			reader := logReader{out: c.stdout, json: o.json, seen: map[string]*logPlace{}}
			var err error
			if reader.attempt, err = parseID("ATTEMPT", args[0]); err != nil {
				return err
			}
			if len(args) == 2 {
				if reader.prefix = args[1]; !strings.HasPrefix(reader.prefix, "+") {
					return usagef("a task's name begins with +: %q", reader.prefix)
				}
			}
			if reader.agent, err = c.connect(&o); err != nil {
				return err
			}
			return c.printLog(cmd.Context(), &reader, follow)
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the attempt is over")
	return cmd
}

func (c *cli) printLog(ctx context.Context, r *logReader, follow bool) error {
	err := r.read(ctx, follow)
	if ctx.Err() != nil {
		return &exitError{130}
	}
	if err != nil {
		return err
	}
	if len(r.seen) == 0 && r.prefix != "" {
		c.hint("no task whose full name begins with %s has printed anything; full names begin with the workflow's: +WORKFLOW+TASK", r.prefix)
	}
	return nil
}

// logReader prints the logs of an attempt.
type logReader struct {
	agent   *client.Client
	attempt api.ID
	prefix  string
	out     io.Writer
	json    bool
	seen    map[string]*logPlace
	printed bool // in the last look
}

// logPlace is how far a log has been read.
type logPlace struct {
	task   string
	offset int64
	rest   []byte // of a line that has no end yet
}

const (
	firstPoll = 200 * time.Millisecond
	lastPoll  = 2 * time.Second
	// maxRest is where a line is printed that has no end.
	maxRest = 64 << 10
)

// read prints what there is. To follow, it looks again and again, the last time
// after the attempt was over: what was written in between is not missed.
func (r *logReader) read(ctx context.Context, follow bool) error {
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		attempt, err := r.agent.Attempt(ctx, r.attempt)
		if err != nil {
			return err
		}
		last := attempt.Done || !follow
		if err := r.look(ctx, last); err != nil || last {
			return err
		}
		if r.printed {
			pause = firstPoll
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look prints what has come since the last look; the last one leaves nothing.
func (r *logReader) look(ctx context.Context, last bool) error {
	r.printed = false
	files, err := r.agent.Logs(ctx, r.attempt, r.prefix)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(a, b api.LogFile) int { return strings.Compare(logTime(&a), logTime(&b)) })
	for i := range files {
		f := &files[i]
		place := r.seen[f.FileName]
		if place == nil {
			place = &logPlace{task: f.TaskName}
			r.seen[f.FileName] = place
		}
		if f.FileSize > place.offset {
			if err := r.copy(ctx, f.FileName, place); err != nil {
				return err
			}
			r.printed = true
		}
		if last {
			if err := r.finish(place); err != nil {
				return err
			}
		}
	}
	return nil
}

var nanoseconds = regexp.MustCompile(`@([0-9a-f]{16})\.`)

// logTime orders logs by their beginnings, more finely than whole seconds where
// the file's name tells.
func logTime(f *api.LogFile) string {
	all := nanoseconds.FindAllStringSubmatch(f.FileName, -1)
	if len(all) == 0 {
		return fmt.Sprintf("%08x", f.FileTime.Unix())
	}
	return all[len(all)-1][1]
}

// copy prints what a log has behind a place. Between two logs that grow at the
// same time lines stay whole.
func (r *logReader) copy(ctx context.Context, name string, place *logPlace) error {
	log, err := r.agent.Log(ctx, r.attempt, name, place.offset)
	if err != nil {
		return err
	}
	defer log.Close()
	chunk := make([]byte, 32<<10)
	for {
		n, err := log.Read(chunk)
		place.offset += int64(n)
		place.rest = append(place.rest, chunk[:n]...)
		if end := bytes.LastIndexByte(place.rest, '\n') + 1; end > 0 {
			if err := r.print(place.task, place.rest[:end]); err != nil {
				return err
			}
			place.rest = append(place.rest[:0], place.rest[end:]...)
		}
		if len(place.rest) > maxRest {
			if err := r.finish(place); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log %s: %w", name, err)
		}
	}
}

// finish prints a line that has no end.
func (r *logReader) finish(place *logPlace) error {
	if len(place.rest) == 0 {
		return nil
	}
	text := append(place.rest, '\n')
	place.rest = nil
	return r.print(place.task, text)
}

// print writes whole lines.
func (r *logReader) print(task string, text []byte) error {
	if !r.json {
		_, err := r.out.Write(text)
		return err
	}
	e := json.NewEncoder(r.out)
	e.SetEscapeHTML(false)
	for line := range bytes.Lines(text) {
		if err := e.Encode(logLine{task, string(bytes.TrimRight(line, "\r\n"))}); err != nil {
			return err
		}
	}
	return nil
}

// logLine is a line as other programs get it.
type logLine struct {
	Task string `json:"task"`
	Line string `json:"line"`
}
