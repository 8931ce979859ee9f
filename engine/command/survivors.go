package command

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a process as the system's table shows it. Start, in the system's
// own unit, tells it from a later one with the same number.
type process struct {
	PID    int
	Group  int
	Start  uint64
	zombie bool
}

// Survivor is a living process of a task.
type Survivor struct {
	// Task and Execution are what its [Marker] says.
	Task      uint64
	Execution int

	process
}

// Survivors lists the processes whose environment carries a [Marker] of
// dataID, this process and its group excepted. Processes of other users, whose
// environment cannot be read, are left out.
func Survivors(dataID string) ([]Survivor, error) {
	procs, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	self, group := os.Getpid(), syscall.Getpgrp()
	mark := []byte("\x00" + markerName + "=" + dataID + "/")
	var found []Survivor
	for _, p := range procs {
		if p.PID == self || p.Group == group || p.zombie {
			continue
		}
		env, err := environment(p.PID)
		if err != nil {
			continue // ended meanwhile, or not ours
		}
		_, rest, ok := bytes.Cut(env, mark)
		if !ok {
			continue
		}
		value, _, _ := bytes.Cut(rest, []byte{0})
		if s, ok := parseMarker(string(value)); ok {
			s.process = p
			found = append(found, s)
		}
	}
	return found, nil
}

// parseMarker reads "task/execution".
func parseMarker(value string) (Survivor, bool) {
	task, execution, ok := strings.Cut(value, "/")
	t, err := strconv.ParseUint(task, 10, 64)
	if !ok || err != nil {
		return Survivor{}, false
	}
	e, err := strconv.Atoi(execution)
	return Survivor{Task: t, Execution: e}, err == nil
}

// End ends the process groups of the survivors, with SIGTERM and after the
// grace period with SIGKILL, and returns when they are gone or ctx is done. A
// group may start processes that leave it while it ends: ask [Survivors] again
// until it finds none.
func End(ctx context.Context, survivors []Survivor, grace time.Duration) error {
	groups := signalGroups(survivors, syscall.SIGTERM)
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	expired := deadline.C
	pause := time.Millisecond
	for {
		groups = living(groups)
		if len(groups) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("end process groups %v: %w", groups, context.Cause(ctx))
		case <-expired:
			expired = nil
			for _, group := range groups {
				// Seen alive a moment ago and without interruption since the
				// first signal: the number still names the same group.
				_ = syscall.Kill(-group, syscall.SIGKILL)
			}
		case <-time.After(pause):
			pause = min(2*pause, 100*time.Millisecond)
		}
	}
}

// signalGroups signals each group that has at least one of the survivors, and
// returns those groups.
func signalGroups(survivors []Survivor, sig syscall.Signal) []int {
	var groups []int
	for _, s := range survivors {
		if slices.Contains(groups, s.Group) {
			continue
		}
		now, err := lookProcess(s.PID)
		if err != nil || now.zombie || now.Start != s.Start || now.Group != s.Group {
			continue
		}
		if syscall.Kill(-s.Group, sig) == nil {
			groups = append(groups, s.Group)
		}
	}
	return groups
}
