package local

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/schedule"
)

// sessionDir is the format of the name of a session's directory.
const sessionDir = "20060102T150405-0700"

// checkSession tells whether a session expression can be read at all.
func checkSession(text string) error {
	switch text {
	case "", "last", "daily", "hourly", "schedule":
		return nil
	}
	if _, err := schedule.ParseLocal(text, time.UTC); err != nil {
		return fmt.Errorf(
			`--session must be last, hourly, daily, schedule, "yyyy-MM-dd" or "yyyy-MM-dd HH:mm:ss", not %q`, text)
	}
	return nil
}

// session works out the session time that an expression stands for. For one
// that follows from what is saved or from the schedule, note says so.
func session(text string, w *dig.Workflow, saved string, now time.Time) (at time.Time, note string, err error) {
	switch text {
	case "", "last":
		at, note = lastSession(w, saved, now)
	case "daily":
		at = schedule.TruncateDay(now, w.Zone)
	case "hourly":
		at = schedule.TruncateHour(now, w.Zone)
	case "schedule":
		if w.Schedule == nil {
			return time.Time{}, "", errors.New(`--session schedule needs a workflow with a "schedule:"`)
		}
		at = lastTick(w, now)
	default:
		at, err = schedule.ParseLocal(text, w.Zone)
	}
	return at.Truncate(time.Second).In(w.Zone), note, err
}

func lastTick(w *dig.Workflow, now time.Time) time.Time {
	if tick, ok := w.Schedule.Last(now); ok {
		return tick.Session
	}
	return schedule.TruncateDay(now, w.Zone)
}

// lastSession returns the newest session that has saved a state of the
// workflow, whatever its date (L53); without one the schedule's last tick, or
// today.
func lastSession(w *dig.Workflow, saved string, now time.Time) (at time.Time, note string) {
	entries, _ := os.ReadDir(saved) // none, if nothing was ever saved
	var times []time.Time
	dirs := map[int64]string{}
	for _, e := range entries {
		t, err := time.Parse(sessionDir, e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		times = append(times, t)
		dirs[t.Unix()] = e.Name()
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	for _, t := range times {
		if hasState(saved+string(os.PathSeparator)+dirs[t.Unix()], w.Name) {
			return t, "going on with the last session that has saved states"
		}
	}
	if w.Schedule != nil {
		return lastTick(w, now), "no session has saved states: using the last time of the schedule"
	}
	return schedule.TruncateDay(now, w.Zone), "no session has saved states: using today"
}

// hasState tells whether a session's directory holds a state of the workflow.
func hasState(dir, workflow string) bool {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), "+"+workflow)
		if ok && strings.HasSuffix(rest, stateSuffix) && (rest[0] == '+' || rest[0] == '^') {
			return true
		}
	}
	return false
}
