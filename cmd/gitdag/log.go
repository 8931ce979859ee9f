package main

import (
	"bytes"
	"cmp"
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
	var follow, verbose bool
	cmd := &cobra.Command{
		Use:     "log ATTEMPT [+TASK]",
		Aliases: []string{"logs"},
		Short:   "Prints what the tasks of an attempt have printed",
		Long: "Prints what the tasks of an attempt have printed: of all of them, or of those whose full names begin with +TASK.\n" +
			"Lines that say that they are below the level INFO are left out, with the lines that follow them.",
		Example: "  gitdag log 42\n  gitdag log 42 +daily+load -f",
		Args:    arguments(cobra.RangeArgs(1, 2)),
	}
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		reader := logReader{agent: agent, out: c.stdout, json: o.json, verbose: verbose, seen: map[string]*logPlace{}}
		var err error
		if reader.attempt, err = parseID("ATTEMPT", args[0]); err != nil {
			return err
		}
		if len(args) == 2 {
			if reader.prefix = args[1]; !strings.HasPrefix(reader.prefix, "+") {
				return usagef("a task's name begins with +: %q", reader.prefix)
			}
		}
		return c.printLog(ctx, &reader, follow)
	})
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "leave out nothing")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the attempt is over, or those tasks are")
	return cmd
}

func (c *cli) printLog(ctx context.Context, r *logReader, follow bool) error {
	if err := r.read(ctx, follow); err != nil {
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
	verbose bool
	seen    map[string]*logPlace
	printed bool // in the last look
}

// logPlace is how far a log has been read.
type logPlace struct {
	task   string
	offset int64
	rest   []byte // of a line that has no end yet
	quiet  bool   // the last line that has a level is left out
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
	last := !follow
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		if err := r.look(ctx, last); err != nil || last {
			return err
		}
		if r.printed {
			pause = firstPoll
		}
		var err error
		if last, err = r.over(ctx); err != nil {
			return err
		}
		if last {
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// over tells whether nothing more is printed: the attempt is done, or the tasks
// are whose logs are read.
func (r *logReader) over(ctx context.Context) (bool, error) {
	attempt, err := r.agent.Attempt(ctx, r.attempt)
	if err != nil || attempt.Done || r.prefix == "" {
		return attempt.Done, err
	}
	tasks, err := r.agent.Tasks(ctx, r.attempt)
	if err != nil {
		return false, err
	}
	over := false
	for i := range tasks {
		if !strings.HasPrefix(tasks[i].FullName, r.prefix) {
			continue
		}
		switch tasks[i].State {
		case "success", "error", "group_error", "canceled":
			over = true
		default:
			return false, nil
		}
	}
	return over, nil
}

// look prints what has come since the last look; the last one leaves nothing.
func (r *logReader) look(ctx context.Context, last bool) error {
	r.printed = false
	files, err := r.agent.Logs(ctx, r.attempt, r.prefix)
	if err != nil {
		return err
	}
	sortLogs(files)
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

// sortLogs puts logs in the order in which their tasks began. A task has a log
// for each execution: they stay together.
func sortLogs(files []api.LogFile) {
	first := map[string]string{}
	for i := range files {
		f := &files[i]
		if began, there := first[f.TaskName]; !there || logTime(f) < began {
			first[f.TaskName] = logTime(f)
		}
	}
	slices.SortStableFunc(files, func(a, b api.LogFile) int {
		return cmp.Or(
			cmp.Compare(first[a.TaskName], first[b.TaskName]),
			cmp.Compare(a.TaskName, b.TaskName),
			cmp.Compare(logTime(&a), logTime(&b)))
	})
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
			if err := r.print(place, place.rest[:end]); err != nil {
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
	return r.print(place, text)
}

// print writes whole lines.
func (r *logReader) print(place *logPlace, text []byte) error {
	if r.verbose && !r.json {
		_, err := r.out.Write(text)
		return err
	}
	e := json.NewEncoder(r.out)
	e.SetEscapeHTML(false)
	for line := range bytes.Lines(text) {
		var err error
		switch {
		case !r.verbose && !place.shows(line):
		case r.json:
			err = e.Encode(logLine{place.task, string(bytes.TrimRight(line, "\r\n"))})
		default:
			_, err = r.out.Write(line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// levelled is the beginning of a line that has a level, as log lines of Digdag
// and of many a logger have: a time, if any, and the level in brackets.
var levelled = regexp.MustCompile(`^[0-9: +.-]*\[([A-Za-z]+)\]`)

// shows tells whether a line belongs to what is INFO or above. One without a
// level belongs to the line before it.
func (p *logPlace) shows(line []byte) bool {
	if m := levelled.FindSubmatch(line); m != nil {
		switch strings.ToLower(string(m[1])) {
		case "trace", "debug":
			p.quiet = true
		case "info", "warn", "error":
			p.quiet = false
		}
	}
	return !p.quiet
}

// logLine is a line as other programs get it.
type logLine struct {
	Task string `json:"task"`
	Line string `json:"line"`
}
