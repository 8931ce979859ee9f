package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/operator"
)

// lineTime is the format of times in the lines that task logs get from us
// (server.md 2.2).
const lineTime = "2006-01-02 15:04:05.000 -0700"

// around lets a task's log begin with what the task is about to do, so that no
// task is without one, and end with the keys that nothing has read. It is
// engine.Options.Around.
func around(operators *operator.Registry, log *slog.Logger) func(context.Context, *engine.Call, engine.Runner) (*operator.Result, error) {
	return func(ctx context.Context, c *engine.Call, run engine.Runner) (*operator.Result, error) {
		tell := func(level, message string) {
			v, t := c.Dispatch.View, c.Task
			_, err := fmt.Fprintf(t.Log, "%s [%s] (%04d@[0:%s:%d:%d]%s): %s\n", time.Now().Format(lineTime), level,
				t.ID, v.Attempt.ProjectName, v.Session.ID, v.Attempt.ID, t.FullName, message)
			if err != nil { // no reason to fail a task that may print nothing
				log.Warn("a line of a task log is lost", "task", t.FullName, "err", err)
			}
		}
		var poll *operator.Poll
		if c.Task.State == nil && !c.Survived { // not at each poll
			tell("INFO", operator.Describe(c.Task))
		}
		result, err := run(ctx)
		if err != nil && !errors.As(err, &poll) && ctx.Err() == nil {
			tell("ERROR", "Task "+c.Task.FullName+" failed.\n"+err.Error())
		}
		if err == nil {
			entry, _ := operators.Lookup(c.Task.Type)
			for _, key := range entry.Unused(c.Task) {
				tell("ERROR", unusedText(entry, c.Task, key))
			}
		}
		return result, err
	}
}

func unusedText(entry operator.Entry, t *operator.Task, key string) string {
	text := fmt.Sprintf("parameter %q is not used at task %s", key, t.FullName)
	if hint := dig.DidYouMean(key, entry.Options); hint != "" {
		text += ", " + hint
	}
	return text
}

// ownLines is how many lines a task's log may have that are ours.
const ownLines = 3

// ownLine is how a line begins that [around] has written.
var ownLine = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4} \[(INFO|ERROR)\] \(`)

// printed returns what the task itself printed of the last lines of its log: an
// alert names the command and the failure elsewhere.
func printed(lines []string) []string {
	var list []string
	for _, line := range lines {
		switch m := ownLine.FindStringSubmatch(line); {
		case m == nil:
			list = append(list, line)
		case m[1] == "ERROR":
			return list
		}
	}
	return list
}
